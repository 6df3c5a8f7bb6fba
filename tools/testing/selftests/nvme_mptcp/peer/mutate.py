# SPDX-License-Identifier: GPL-2.0
"""Mutating PDUs. Whatever is random comes from the generator that is handed over, so the same seed gives the same."""

import random
import sys

import pdu

# What numbers are wrong most easily at.
EDGES = (0, 1, 2, 3, 4, 7, 8, 23, 24, 25, 71, 72, 73, 127, 128, 129, 511, 512, 4095, 4096, 4097, 8192, 65535, 65536,
         0x400000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFE8, 0xFFFFFFFC, 0xFFFFFFFE, 0xFFFFFFFF, 1 << 63, (1 << 64) - 1)


def generator(*names):
    return random.Random(":".join(map(str, names)))


def number(rng, size):
    """For a field of `size` bytes."""
    value = rng.choice(EDGES) if rng.random() < 0.7 else rng.getrandbits(8 * size)
    return (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")


def some_field(rng, data, start, end):
    """Another number in one or two of the fields in that range."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2))):
        size = rng.choice((1, 1, 2, 2, 4, 4, 8))
        if end - start < size:
            size = 1
        at = start + rng.randrange((end - start) // size) * size
        data[at : at + size] = number(rng, size)
    return bytes(data)


def some_bits(rng, data, start, end):
    data = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(start, end)] ^= 1 << rng.randrange(8)
    return bytes(data)


def body(rng, data):
    """Wrong within its header: type and lengths stay."""
    change = some_field if rng.random() < 0.8 else some_bits
    return change(rng, data, pdu.COMMON.size, max(min(data[2], len(data)), pdu.COMMON.size + 1))


def anything(rng, data):
    """Wrong anywhere, in its length too."""
    kind = rng.randrange(9)
    if kind < 3:
        return some_field(rng, data, 0, min(len(data), 32))
    if kind == 3:
        return some_bits(rng, data, 0, len(data))
    if kind == 4:
        return data[: rng.randrange(len(data))]
    if kind == 5:
        return data + rng.randbytes(rng.randint(1, 200))
    if kind == 6:
        return data + data
    if kind == 7:
        at = rng.randrange(len(data))
        return data[:at] + data[at + rng.randint(1, 16) :]
    return bytes((rng.choice((*range(10), 0x42, 0xFF)), *rng.randbytes(rng.randint(7, 150))))


def with_digest(data):
    """The header digest anew, if the header says that there is one."""
    hlen = data[2]
    if len(data) < hlen + 4:
        return data
    return data[:hlen] + pdu.crc32c(data[:hlen]) + data[hlen + 4 :]


def pieces(rng, data):
    """The stream, cut at random places; mostly not at all."""
    if rng.random() < 0.8 or len(data) < 2:
        return [data]
    cuts = sorted(rng.sample(range(1, len(data)), min(rng.randint(1, 4), len(data) - 1)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)])]


class Count:
    """What one process has done, told before each case on its standard output. Of the mutated PDUs, those are broken that are
    wrong anywhere, and not only in what a connection may survive."""

    def __init__(self, wanted):
        self.wanted, self.mutated, self.broken, self.connections = wanted, 0, 0, 0

    def done(self):
        return self.mutated >= self.wanted

    def tell(self, case):
        print(f"case {case} pdus {self.mutated} broken {self.broken} connections {self.connections}", flush=True)


def arguments():
    """ADDRESS PORT NQN SEED COUNT FIRST STEP"""
    address, port, nqn, seed, count, first, step = sys.argv[1:]
    return address, int(port), nqn, seed, int(count), int(first), int(step)

