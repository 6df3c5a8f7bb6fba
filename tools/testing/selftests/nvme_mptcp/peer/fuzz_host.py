#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""A target whose PDUs are mutated, for what the host makes of it; and what makes the host talk to it.

fuzz_host.py ADDRESS PORT NQN SEED COUNT FIRST STEP

Cases FIRST, FIRST + STEP, ... until COUNT mutated PDUs have been sent. A case is a controller, by a connect through
/dev/nvme-fabrics to ADDRESS:PORT, where this program listens, and then commands through the character devices of the
controller and its namespace until it is gone. SEED and the numbers of the case, the queue and the PDU decide what
becomes of a PDU; what the kernel asks for besides is up to the kernel.
"""

import ctypes
import fcntl
import glob
import os
import select
import socket
import struct
import threading
import time

import mutate
import pdu
import target
from mutate import Count
from pdu import Type

WRONG, HARD = 0.8, 0.01
COMMANDS = 400
NVME_IOCTL_ADMIN_CMD, NVME_IOCTL_IO_CMD = 0xC0484E41, 0xC0484E43


class Answers(target.Connection):
    """The target's side of one connection of a case."""

    def __init__(self, sock, case):
        super().__init__(sock, case.options)
        self.case, self.sent = case, 0
        # Its PDUs are small, and none waits for the next.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        case.count.connections += 1

    def send(self, data):
        case = self.case
        self.sent += 1
        rng = mutate.generator(case.seed, case.number, self.number, self.sent)
        if rng.random() >= case.wrong(self):
            super().send(data)
            return
        hard = rng.random() < case.hard or data[0] == Type.ICRESP
        mutated = mutate.anything(rng, data) if hard else self.soft(rng, data)
        if self.hdgst and rng.random() < 0.9:
            mutated = mutate.with_digest(mutated)
        case.count.mutated += mutated != data
        case.count.broken += hard and mutated != data
        for piece in mutate.pieces(rng, mutated):
            super().send(piece)
        if hard and mutated != data:
            # The host is to end it by itself, unless it waits for what is missing.
            self.ends_within(0.1)

    def ends_within(self, seconds):
        poll = select.poll()
        poll.register(self.socket.fileno(), select.POLLRDHUP)
        poll.poll(1000 * seconds)
        self.reset()

    def soft(self, rng, data):
        """What a connection may survive: other data, another status, another result."""
        if data[0] == Type.RESPONSE:
            if rng.random() < 0.5:
                # Of the completion all but the command's number and, half of the time, the status.
                return mutate.some_field(rng, data, 8, 20)
            return data[:22] + mutate.number(rng, 2) + data[24:]
        if data[0] == Type.C2H_DATA:
            at = 24 + 4 * self.hdgst
            end = len(data) - 4 * self.ddgst
            if end - at > 8:
                return mutate.some_field(rng, data, at, min(end, at + rng.choice((64, 512, 4096))))
        # Of another R2T hardly one is in order.
        if data[0] == Type.R2T and rng.random() < 0.02:
            return mutate.some_field(rng, data, 8, 20)
        return data

    def answer(self, cid, data, status=0):
        """Data in one PDU or several, and the response."""
        rng = mutate.generator(self.case.seed, self.case.number, self.number, self.sent, "data")
        offset = 0
        while offset < len(data):
            part = data[offset : offset + rng.choice((512, 1024, 4096))]
            last = offset + len(part) == len(data)
            self.send(self.c2h_data(cid, part, offset, flags=pdu.LAST if last else 0))
            offset += len(part)
        self.send(self.response(cid, status=status))

    def admin(self, opcode, entry, cid):
        size = struct.unpack_from("<I", entry, 32)[0]
        if opcode == 0x06:
            kind = entry[40]
            self.answer(cid, self.identify(kind) if kind < 4 else bytes(4096), 0 if kind < 4 else 0x4002)
        elif opcode == 0x02:
            self.answer(cid, bytes(size))
        elif opcode == 0x09 and entry[40] == 7:  # number of queues
            self.send(self.response(cid))
        elif opcode in (0x09, 0x0A):
            self.send(self.response(cid))
        else:
            super().admin(opcode, entry, cid)

    def event(self, cid):
        """Once in a while something has happened."""
        rng = mutate.generator(self.case.seed, self.case.number, self.sent, "event")
        if self.case.armed and rng.random() < 0.1:
            self.send(self.response(cid, struct.unpack("<I", mutate.number(rng, 4))[0] & 0xFF07FF))

    def read(self, entry, cid, _command):
        self.answer(cid, bytes(target.length(entry)))

    def write(self, entry, cid, command):
        size = 0 if command.data else target.length(entry)
        offset = 0
        while offset < size:
            part = min(size - offset, 8192)
            self.send(self.r2t(cid, offset, part))
            self.take_data(part)
            offset += part
        self.send(self.response(cid))


class Case:
    """One controller."""

    def __init__(self, where, seed, number, count):
        self.seed, self.number, self.count = seed, number, count
        self.address, self.port, self.nqn = where
        rng = self.rng = mutate.generator(seed, number)
        self.nqn = f"{self.nqn}-{number}"
        self.options = {"digests": rng.choice((0, 0, 0, 0, 1, 2, 3)), "oaes": 0x100, "nqn": self.nqn,
                        "uuid": struct.pack("<QQ", number + 1, 0x66757A7A)}
        stage = rng.random()
        # Wrong from the beginning, while it is set up, or afterwards only.
        self.stage = "handshake" if stage < 0.2 else "connect" if stage < 0.25 else "live"
        self.armed = False
        self.hard = 0.3 if self.stage == "connect" else HARD

    def wrong(self, connection):
        """How often a PDU of this connection is, now."""
        if connection.number is None:
            return 1 if self.stage == "handshake" else 0
        if self.armed:
            return WRONG
        return 0.1 if self.stage == "connect" else 0

    def connect(self):
        """Returns the number of the controller, or None."""
        options = [f"nqn={self.nqn}", "transport=mptcp", f"traddr={self.address}", f"trsvcid={self.port}",
                   "nr_io_queues=1", "ctrl_loss_tmo=0", "reconnect_delay=1", "keep_alive_tmo=600"]
        options += ["hdr_digest"] * (self.options["digests"] & 1) + ["data_digest"] * (self.options["digests"] >> 1)
        fabrics = os.open("/dev/nvme-fabrics", os.O_RDWR)
        try:
            os.write(fabrics, ",".join(options).encode())
            answer = os.read(fabrics, 100).decode()
        except OSError:
            return None
        finally:
            os.close(fabrics)
        return int(answer.split(",")[0].split("=")[1])

    def run(self):
        instance = self.connect()
        if instance is None:
            return
        generic = None
        deadline = time.monotonic() + 2
        while not generic and time.monotonic() < deadline and os.path.exists(f"/sys/class/nvme/nvme{instance}"):
            subsystem = glob.glob(f"/sys/class/nvme-subsystem/*/nvme{instance}")
            generic = subsystem and glob.glob(os.path.dirname(subsystem[0]) + "/ng*n1")
            time.sleep(0.01)
        self.armed = True
        self.talk(f"/dev/nvme{instance}", "/dev/" + os.path.basename(generic[0]) if generic else None)
        self.delete(instance)

    def talk(self, admin, io):
        try:
            admin = os.open(admin, os.O_RDWR)
        except OSError:
            return
        try:
            io = io and os.open(io, os.O_RDWR)
        except OSError:
            io = None
        buffer = ctypes.create_string_buffer(8192)
        try:
            for _ in range(COMMANDS):
                size = self.rng.choice((512, 512, 4096, 4096, 8192))
                if io and self.rng.random() < 0.7:
                    opcode, fd, request = self.rng.choice((1, 2, 2)), io, NVME_IOCTL_IO_CMD
                    cdws = (self.rng.randrange(1000), 0, size // 512 - 1)
                else:
                    opcode, fd, request = self.rng.choice((2, 6, 0x0A)), admin, NVME_IOCTL_ADMIN_CMD
                    size = 4096 if opcode == 6 else 0 if opcode == 0x0A else 512
                    cdws = ((size // 4 - 1) << 16 | 2 if opcode == 2 else self.rng.choice((1, 2, 7)), 0, 0)
                entry = struct.pack("<BBHIIIQQIIIIIIIIII", opcode, 0, 0, 1, 0, 0, 0, ctypes.addressof(buffer) if size else 0,
                                    0, size, *cdws, 0, 0, 0, 0, 0)
                try:
                    fcntl.ioctl(fd, request, entry)
                except OSError as error:
                    # ENODEV, ENXIO: it is gone, or going. Other errors are its answers.
                    if error.errno in (6, 19):
                        return
        finally:
            os.close(admin)
            if io:
                os.close(io)

    def delete(self, instance):
        path = f"/sys/class/nvme/nvme{instance}"
        try:
            with open(path + "/delete_controller", "w", encoding="ascii") as file:
                file.write("1")
        except OSError:
            # It goes by itself.
            while os.path.exists(path):
                time.sleep(0.02)


def main():
    address, port, nqn, seed, wanted, number, step = mutate.arguments()
    count = Count(wanted)
    listener = target.listen(address, port)
    case = None
    threading.Thread(target=target.serve, args=(listener, lambda sock: Answers(sock, case)), daemon=True).start()
    while not count.done():
        count.tell(number)
        case = Case((address, port, nqn), seed, number, count)
        case.run()
        number += step
    count.tell(number - step)


if __name__ == "__main__":
    main()
