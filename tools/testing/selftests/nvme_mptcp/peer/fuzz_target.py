#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""A host whose PDUs are mutated, for what the target makes of it.

fuzz_target.py ADDRESS PORT NQN SEED COUNT FIRST STEP

Cases FIRST, FIRST + STEP, ... until COUNT mutated PDUs have been sent. A case is a connection, or a controller with one
of its I/O queues; SEED and its number decide all that is sent, but for tags and the like that the target gives.
The namespace of NQN is overwritten.
"""

import socket
import struct
import uuid

import mutate
import pdu
from host import CONNECT, FABRICS, Closed, Connection, Host, read_write
from mutate import Count
from pdu import Type

# Of the commands of a case, how many are wrong; and of these, how many in a way that hardly a connection survives.
WRONG, HARD = 0.8, 0.015
COMMANDS = 240
LAST = 0xFFFE

ADMIN = (0x02, 0x06, 0x09, 0x0A, 0x0C, 0x08, 0x18, 0x7F, 0x00, 0x05, 0x0D, 0x10, 0x80, 0x81, 0x82)
IO = (0x00, 0x01, 0x01, 0x01, 0x02, 0x02, 0x04, 0x05, 0x08, 0x09, 0x0C, 0x0D, 0x0E, 0x11, 0x15, 0x7F)


class Case:
    def __init__(self, where, seed, number, count):
        self.where, self.count = where, count
        self.seed, self.number = seed, number
        self.rng = mutate.generator(seed, number)

    def wrong(self, data, digest):
        """The PDU, mutated or not."""
        rng = self.rng
        if rng.random() >= WRONG:
            return data
        hard = rng.random() < HARD
        mutated = mutate.anything(rng, data) if hard else self.soft(data)
        if digest and rng.random() < 0.9:
            mutated = mutate.with_digest(mutated)
        self.count.mutated += mutated != data
        self.count.broken += hard and mutated != data
        return mutated

    def soft(self, data):
        """A command with data in its capsule keeps its SGL, or there would be other PDUs than meant behind it."""
        if data[0] == Type.COMMAND and len(data) > 80:
            return mutate.some_field(self.rng, data, 48, 72) if self.rng.random() < 0.9 else mutate.body(self.rng, data)
        return mutate.body(self.rng, data)

    def send(self, connection, data):
        for piece in mutate.pieces(self.rng, data):
            connection.send(piece)

    def command(self, connection, opcodes, cid):
        """A command as a host might send it."""
        rng = self.rng
        opcode = rng.choice(opcodes)
        size = rng.choice((0, 512, 512, 512, 1024, 4096, 4096, 8192, 65536))
        fields = {"nsid": rng.choice((1, 1, 1, 1, 0, 2, 0xFFFFFFFF)), "length": size}
        blocks = max(size // 512, 1)
        cdw10 = read_write(rng.randrange(1000), blocks) if opcode in (1, 2, 5, 8) else rng.randbytes(rng.choice((0, 4, 24)))
        fctype = rng.choice((0, 1, 4, 5, 6, 8)) if opcode == FABRICS else None
        data = b""
        if opcode & 1 and size and size <= 1024 and rng.random() < 0.7:
            data = rng.randbytes(size)
            fields["sgl"] = pdu.IN_CAPSULE
        entry = pdu.sqe(opcode, cid, cdw10=cdw10, fctype=fctype, **fields)
        return pdu.build(Type.COMMAND, entry, data, hdgst=connection.hdgst, ddgst=connection.ddgst)

    def answer_r2t(self, connection, answer):
        """Data for what the target has asked for, in one PDU or two. When it asks is its choice, and must not change what is
        sent later, so this has random numbers of its own."""
        cid, tag, offset, length = answer.transfer
        before, self.rng = self.rng, mutate.generator(self.seed, self.number, cid, offset)
        try:
            self.data(connection, cid, tag, offset, length)
        finally:
            self.rng = before

    def data(self, connection, cid, tag, offset, length):
        rng = self.rng
        while length:
            part = min(length, rng.choice((512, 1024, 65536, 1 << 20)))
            built = pdu.h2c_data(cid, tag, offset, bytes(part), last=part == length, hdgst=connection.hdgst,
                                 ddgst=connection.ddgst)
            self.send(connection, self.wrong(built, connection.hdgst) if rng.random() < 0.1 else built)
            offset, length = offset + part, length - part

    def talk(self, connection, opcodes):
        """Many commands, each batch closed by one in order, whose answer tells that the connection still lives."""
        connection.socket.settimeout(0.3)
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.check = False
        for _ in range(COMMANDS // 12):
            batch = b"".join(
                self.wrong(self.command(connection, opcodes, cid), connection.hdgst) for cid in range(self.rng.randint(1, 12))
            )
            # Keep Alive, or Flush.
            opcode = 0x18 if opcodes is ADMIN else 0
            batch += pdu.build(Type.COMMAND, pdu.sqe(opcode, LAST, nsid=1), hdgst=connection.hdgst)
            self.send(connection, batch)
            while True:
                answer = connection.receive()
                if answer.type == Type.R2T:
                    self.answer_r2t(connection, answer)
                elif answer.type == Type.C2H_TERM:
                    return
                elif answer.type == Type.RESPONSE and answer.completion[2] == LAST:
                    break

    def icreq(self):
        connection = Connection(*self.where[:2], timeout=0.3)
        self.count.connections += 1
        try:
            self.send(connection, mutate.anything(self.rng, pdu.icreq(digests=self.rng.randrange(4))))
            self.count.mutated += 1
            self.count.broken += 1
            connection.receive()
            self.talk(connection, ADMIN)
        finally:
            connection.close()

    def stranger(self):
        """Connect commands that are wrong."""
        rng = self.rng
        connection = Connection(*self.where[:2], timeout=0.3)
        self.count.connections += 1
        try:
            connection.initialize(rng.choice((0, 0, 1, 3)))
            for cid in range(20):
                data = bytearray(
                    struct.pack("<16sH238x256s256s256x", uuid.UUID(int=rng.getrandbits(128)).bytes, 0xFFFF,
                                self.where[2].encode(), b"nqn.2014-08.org.nvmexpress:uuid:fuzz")
                )
                fields = {"length": 1024, "sgl": pdu.IN_CAPSULE, "fctype": CONNECT}
                entry = pdu.sqe(FABRICS, cid, cdw10=struct.pack("<HHHBxI", 0, rng.randrange(3), 31, 0, 0), **fields)
                if rng.random() < 0.5:
                    data = mutate.some_field(rng, data, 0, 18) if rng.random() < 0.5 else mutate.some_bits(rng, data, 0, 800)
                built = pdu.build(Type.COMMAND, entry, bytes(data), hdgst=connection.hdgst, ddgst=connection.ddgst)
                self.send(connection, self.wrong(built, connection.hdgst))
                connection.receive()
        finally:
            connection.close()

    def controller(self, io):
        host = Host(*self.where)
        self.count.connections += 1
        connections = [host.admin]
        try:
            if io:
                connections.append(
                    host.queue(self.rng.randint(1, 8), digests=self.rng.choice((0, 0, 0, 1, 2, 3)), sqflow=self.rng.random() < 0.5)
                )
                self.count.connections += 1
            self.talk(connections[-1], IO if io else ADMIN)
        finally:
            for connection in connections:
                connection.close()

    def run(self):
        kind = self.rng.random()
        try:
            if kind < 0.1:
                self.icreq()
            elif kind < 0.2:
                self.stranger()
            else:
                self.controller(kind > 0.5)
        # The target has ended it, is busy with the end of others, or waits for what will not come.
        except (Closed, TimeoutError, AssertionError, struct.error):
            pass


def main():
    address, port, nqn, seed, wanted, case, step = mutate.arguments()
    count = Count(wanted)
    while not count.done():
        count.tell(case)
        Case((address, port, nqn), seed, case, count).run()
        case += step
    count.tell(case - step)


if __name__ == "__main__":
    main()
