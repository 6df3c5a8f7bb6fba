#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""A target that does one thing wrong, for testing what the host makes of it.

hostile_target.py ADDRESS PORT [WHAT=VALUE...]      hostile_target.py ADDRESS PORT @FILE (which has them; each connection looks again)

Its ICResp: type, length, version, alignment, digests, maxdata. Its controller: mqes, sgls, icdoff, maxcmd, kas.
In answer to Connect: term=1 (C2HTermReq), silent=1 (nothing), badpdu=1 (a PDU of no type), late_term=1 (the first I/O queue
gets a C2HTermReq after it, while the host waits for that of the second).
In answer to a read: read=KIND; to a write: write=KIND, r2t=N (an R2T from there on); to a request for events: event=KIND:
methods of Rogue tell which there are. baddigest=1: data have a wrong digest.
auth=silent: it wants authentication, and says nothing to the host's reply to its challenge.
reset=WHEN: the connection is reset at that moment: accept, handshake, connect, properties, enable, identify, features, io_connect, read,
r2t, data. features=refused: it grants no I/O queues.
split=1: every byte is sent by itself. drip=1: so is the ICResp, one a second. glue=1: answers are kept until there are some, and sent together.
"""

import socket
import struct
import sys
import time

import pdu
import target
from pdu import Type


class Rogue(target.Connection):
    def __init__(self, sock, options):
        super().__init__(sock, options)
        self.kept = self.transaction = b""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def reset_if(self, when):
        if self.option("reset") == when:
            self.reset()

    def send(self, data):
        if self.option("split"):
            # The middle of data is like the rest of them.
            end = max(len(data) - 60, 60)
            for piece in [*(data[i : i + 1] for i in range(60)), data[60:end], *(data[i : i + 1] for i in range(end, len(data)))]:
                super().send(piece)
            return
        if self.option("glue") and self.number:
            # Whatever the host has asked for so far is answered in one piece.
            self.kept += data
            self.socket.settimeout(0.05)
            try:
                if self.socket.recv(1, socket.MSG_PEEK):
                    return
            except TimeoutError:
                pass
            except OSError as error:
                raise target.Gone from error
            finally:
                self.socket.settimeout(None)
            data, self.kept = self.kept, b""
        super().send(data)

    def handshake(self):
        self.reset_if("accept")
        if self.option("reset") == "handshake":
            self.receive_bytes(100)
            super().send(self.icresp()[:64])
            self.reset()
        if self.option("drip"):
            self.receive_bytes(128)
            for byte in self.icresp():
                super().send(bytes([byte]))
                time.sleep(1)
        if self.option("write") in ("answered_early", "never_read"):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        super().handshake()

    def connect(self, cid):
        self.reset_if("io_connect" if self.number else "connect")
        if self.option("term"):
            super().send(pdu.build(Type.C2H_TERM, struct.pack("<HI10x", 2, 0)))
        elif self.option("badpdu"):
            super().send(pdu.build(0x42, bytes(16)))
        elif self.option("auth"):
            self.send(self.response(cid, 1 | 1 << 17))
        elif self.option("late_term") and self.number:
            time.sleep(2 * (self.number - 1))
            super().connect(cid)
            if self.number == 1:
                time.sleep(0.5)
                self.send(pdu.build(Type.C2H_TERM, struct.pack("<HI10x", 2, 0)))
        elif not self.option("silent"):
            super().connect(cid)

    def fabrics(self, entry, cid, command):
        if entry[4] == 5:  # Authentication Send: what it negotiates, then its reply
            if command.data[1] == 0:
                self.transaction = command.data[4:6]
                self.send(self.response(cid))
        elif entry[4] == 6:  # Authentication Receive: a challenge for SHA-256 without DH
            size = struct.unpack_from("<I", entry, 44)[0]
            challenge = struct.pack("<BBxx2sBxBBHI", 1, 1, self.transaction, 32, 1, 0, 0, 1) + bytes(range(32))
            self.send(self.c2h_data(cid, challenge.ljust(size, b"\0")) + self.response(cid))
        else:
            if entry[4] in (0, 4):  # Property Set, Property Get
                self.reset_if("properties" if entry[4] else "enable")
            super().fabrics(entry, cid, command)

    def admin(self, opcode, entry, cid):
        if opcode == 0x09:  # Set Features: the number of queues
            self.reset_if("features")
            if self.option("features"):
                self.send(self.response(cid, 0, 0x4002))
                return
        super().admin(opcode, entry, cid)

    def identify(self, kind):
        self.reset_if("identify")
        return super().identify(kind)

    def c2h_data(self, cid, data, *args, **wrong):
        built = super().c2h_data(cid, data, *args, **wrong)
        if self.ddgst and self.option("baddigest") and self.number:
            built = built[:-1] + bytes([built[-1] ^ 1])
        return built

    def read(self, entry, cid, command):
        if self.option("reset") == "read":
            super().send(self.c2h_data(cid, bytes(target.length(entry)))[:1000])
            self.reset()
        if self.option("read"):
            super().send(getattr(self, "read_" + self.option("read"))(cid, target.length(entry)))
        else:
            super().read(entry, cid, command)

    # What to say to a read of so many bytes.

    def read_half_closed(self, _cid, _size):
        self.socket.shutdown(socket.SHUT_WR)
        return b""

    def read_short(self, cid, size):
        return self.c2h_data(cid, bytes(size // 2)) + self.response(cid)

    def read_short_with_success(self, cid, size):
        return self.c2h_data(cid, bytes(size // 2), flags=pdu.LAST | pdu.SUCCESS)

    def read_without_data(self, cid, _size):
        return self.response(cid)

    def read_long(self, cid, size):
        return self.c2h_data(cid, bytes(size + 512)) + self.response(cid)

    def read_long_in_two(self, cid, size):
        return self.c2h_data(cid, bytes(size), flags=0) + self.c2h_data(cid, bytes(512), size) + self.response(cid)

    def read_twice(self, cid, size):
        return self.c2h_data(cid, bytes(size), flags=0) + self.c2h_data(cid, bytes(size)) + self.response(cid)

    def read_elsewhere(self, cid, size):
        half = size // 2
        return self.c2h_data(cid, bytes(half), half, flags=0) + self.c2h_data(cid, bytes(half)) + self.response(cid)

    def read_beyond(self, cid, size):
        return self.c2h_data(cid, bytes(size), 0xFFFFF000) + self.response(cid)

    def read_of_no_length(self, cid, size):
        return 3 * self.c2h_data(cid, b"", flags=0) + self.read_good(cid, size)

    def read_unknown(self, cid, size):
        return self.c2h_data(cid ^ 0xFFF, bytes(size))

    def read_other_generation(self, cid, size):
        return self.c2h_data(cid + 0x5000 & 0xFFFF, bytes(size))

    def read_giant(self, cid, size):
        return self.c2h_data(cid, bytes(size), plen=0xFFFFFFFF) + self.response(cid)

    def read_small_plen(self, cid, size):
        return self.c2h_data(cid, bytes(size), plen=8) + self.response(cid)

    def read_padded(self, cid, size):
        return self.c2h_data(cid, bytes(8 + size), length=size, pdo=32)

    def read_success_not_last(self, cid, size):
        return self.c2h_data(cid, bytes(size), flags=pdu.SUCCESS)

    def read_r2t(self, cid, size):
        return self.r2t(cid, 0, size)

    def read_late_data(self, cid, size):
        return self.read_good(cid, size) + self.c2h_data(cid, bytes(size))

    # The number that the tag's next command will have.
    def read_late_data_next(self, cid, size):
        return self.read_good(cid, size) + self.c2h_data(cid + 0x1000 & 0xFFFF, bytes(size))

    def read_good(self, cid, size):
        return self.c2h_data(cid, bytes(size)) + self.response(cid)

    def read_response_twice(self, cid, size):
        return self.read_good(cid, size) + self.response(cid)

    def read_response_next(self, cid, size):
        return self.read_good(cid, size) + self.response(cid + 0x1000 & 0xFFFF)

    def read_response_of_none(self, cid, size):
        return self.read_good(cid, size) + self.response(0xFFF)

    def read_giant_response(self, cid, size):
        return self.c2h_data(cid, bytes(size)) + self.response(cid, plen=1 << 31)

    def read_header_length(self, cid, size):
        return self.c2h_data(cid, bytes(size), hlen=25)

    def read_command(self, cid, size):
        return self.build(Type.COMMAND, bytes(64)) + self.read_good(cid, size)

    def write(self, entry, cid, command):
        size = target.length(entry)
        if self.option("r2t"):
            super().send(self.r2t(cid, self.option("r2t"), size))
        elif self.option("reset") == "r2t":
            super().send(self.r2t(cid, 0, size))
            self.reset()
        elif self.option("reset") == "data":
            super().send(self.r2t(cid, 0, size))
            self.receive_bytes(1000)
            self.reset()
        elif self.option("write"):
            getattr(self, "write_" + self.option("write"))(cid, size)
        else:
            super().write(entry, cid, command)

    # What to do with a write of so many bytes.

    def write_r2t_twice(self, cid, size):
        self.send(self.r2t(cid, 0, size))
        self.take_data(size)
        self.send(self.r2t(cid, 0, size))

    def write_r2t_before_the_end(self, cid, size):
        self.send(self.r2t(cid, 0, size // 2) + self.r2t(cid, size // 2, size // 2))

    def write_r2t_of_nothing(self, cid, _size):
        self.send(self.r2t(cid, 0, 0))

    def write_r2t_too_long(self, cid, size):
        self.send(self.r2t(cid, 0, size + 1))

    def write_r2t_unknown(self, cid, size):
        self.send(self.r2t(cid ^ 0xFFF, 0, size))

    def write_giant_r2t(self, cid, size):
        self.send(self.r2t(cid, 0, size, plen=0xFFFFFFFF))

    def write_response_twice(self, cid, size):
        self.send(self.r2t(cid, 0, size))
        self.take_data(size)
        self.send(self.response(cid) * 2)

    def write_r2t_late(self, cid, size):
        self.send(self.response(cid) + self.r2t(cid + 0x1000 & 0xFFFF, 0, size))

    def write_data(self, cid, size):
        self.send(self.c2h_data(cid, bytes(size)))

    # The rest of the data is still to be sent, and nobody reads it.
    def write_answered_early(self, cid, size):
        self.send(self.r2t(cid, 0, size))
        self.receive_bytes(pdu.COMMON.size)
        time.sleep(1)
        self.send(self.response(cid))
        time.sleep(1000)

    def write_never_read(self, cid, size):
        self.send(self.r2t(cid, 0, size))
        time.sleep(1000)

    def event(self, cid):
        kind = self.option("event")
        if kind == "flood":
            # The first is in order.
            self.send(self.response(cid, 0x70002) * 50)
        elif kind == "wrong":
            # Of a type that there is not, with all that can be wrong.
            self.send(self.response(cid, 0xFFFFFFFF))


def options_of(arguments):
    if arguments and arguments[0].startswith("@"):
        with open(arguments[0][1:], encoding="ascii") as file:
            arguments = file.read().split()
    pairs = (argument.split("=") for argument in arguments)
    return {name: int(value) if value.isdigit() else value for name, value in pairs}


def main(address, port, *arguments):
    listener = target.listen(address, int(port))
    print("listening", flush=True)
    target.serve(listener, lambda sock: Rogue(sock, options_of(arguments)))


if __name__ == "__main__":
    main(*sys.argv[1:])
