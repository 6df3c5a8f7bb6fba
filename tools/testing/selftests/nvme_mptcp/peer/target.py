# SPDX-License-Identifier: GPL-2.0
"""A target in user space: just enough of NVMe/TCP for a host to connect to it, to read the zeroes of its namespace
and to write to it in vain. All that it says goes through `send`, so whoever wants something wrong said overrides a
method or gives an option."""

import socket
import struct
import threading

import pdu
from host import IPPROTO_MPTCP
from pdu import Type

BLOCKS, BLOCK = 2048, 512


class Gone(Exception):
    """The host has ended the connection."""


class Connection:
    """One connection of a host, thus one queue.

    Options are those of its ICResp: type, length, version, alignment, digests, maxdata; and those of the controller:
    mqes, sgls, icdoff, maxcmd, kas, oaes, nqn, queues, and the uuid of its namespace."""

    def __init__(self, sock, options):
        self.socket, self.options = sock, options
        self.hdgst = self.ddgst = False
        self.number = None
        self.registers = {0: self.option("mqes", 127) | 1 << 16 | 30 << 24 | 1 << 37, 8: 0x10400}

    def option(self, name, default=0):
        return self.options.get(name, default)

    # What comes and goes.

    def receive_bytes(self, count):
        data = bytearray()
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except OSError as error:
                raise Gone from error
            if not part:
                raise Gone
            data += part
        return bytes(data)

    def receive(self):
        """The next PDU of the host, with its data."""
        header = self.receive_bytes(pdu.COMMON.size)
        _, _, hlen, pdo, plen = pdu.COMMON.unpack(header)
        rest = self.receive_bytes(plen - len(header))
        end = len(rest) - 4 * self.ddgst
        return pdu.Pdu(header + rest[: hlen - len(header)], rest[pdo - len(header) : end] if pdo else b"")

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Gone from error

    def reset(self):
        """Ends the connection at once, whatever is under way."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
        raise Gone

    # What it says.

    def build(self, kind, body, data=b"", **wrong):
        return pdu.build(kind, body, data, hdgst=self.hdgst, ddgst=self.ddgst, **wrong)

    def response(self, cid, result=0, status=0, **wrong):
        return self.build(Type.RESPONSE, struct.pack("<QHHHH", result, 0xFFFF, 0, cid, status << 1), **wrong)

    def c2h_data(self, cid, data, offset=0, length=None, flags=pdu.LAST, **wrong):
        body = struct.pack("<HHII4x", cid, 0, offset, len(data) if length is None else length)
        return self.build(Type.C2H_DATA, body, data, flags=flags, **wrong)

    def r2t(self, cid, offset, length, tag=1, **wrong):
        return self.build(Type.R2T, struct.pack("<HHII4x", cid, tag, offset, length), **wrong)

    def icresp(self):
        return pdu.build(
            self.option("type", Type.ICRESP),
            struct.pack("<HBBI112x", self.option("version"), self.option("alignment"), self.option("digests"),
                        self.option("maxdata", 65536)),
            plen=self.option("length", 128),
        )

    # What it does.

    def handshake(self):
        self.receive_bytes(128)
        self.send(self.icresp())
        self.hdgst, self.ddgst = bool(self.option("digests") & 1), bool(self.option("digests") & 2)

    def serve(self):
        self.handshake()
        while True:
            command = self.receive()
            assert command.type == Type.COMMAND, command
            entry = command.header[8:72]
            opcode, cid = entry[0], struct.unpack_from("<H", entry, 2)[0]
            if opcode == 0x7F:
                self.fabrics(entry, cid, command)
            elif self.number:
                {1: self.write, 2: self.read}.get(opcode, self.other)(entry, cid, command)
            else:
                self.admin(opcode, entry, cid)

    def connect(self, cid):
        self.send(self.response(cid, 1))

    def fabrics(self, entry, cid, _command):
        kind, offset = entry[4], struct.unpack_from("<I", entry, 44)[0]
        if kind == 0:  # Property Set
            self.registers[offset] = struct.unpack_from("<Q", entry, 48)[0]
            if offset == 0x14:
                self.registers[0x1C] = (self.registers[offset] & 1) | (8 if self.registers[offset] & 0xC000 else 0)
            self.send(self.response(cid))
        elif kind == 4:  # Property Get
            self.send(self.response(cid, self.registers.get(offset, 0)))
        elif kind == 1:
            self.number = struct.unpack_from("<H", entry, 42)[0]
            self.connect(cid)
        else:
            self.send(self.response(cid, 0, 0x4001))

    def admin(self, opcode, entry, cid):
        if opcode == 0x06 and entry[40] < 4:
            self.send(self.c2h_data(cid, self.identify(entry[40])) + self.response(cid))
        elif opcode == 0x09:  # Set Features: the number of queues
            self.send(self.response(cid, (self.option("queues", 1) - 1) * 0x10001))
        elif opcode == 0x18:  # Keep Alive
            self.send(self.response(cid))
        elif opcode == 0x0C:
            self.event(cid)
        else:
            self.send(self.response(cid, 0, 0x4001))

    def event(self, cid):
        """It has been asked to tell what happens. Nothing does."""

    def other(self, _entry, cid, _command):
        self.send(self.response(cid))

    def read(self, entry, cid, _command):
        """Each block has its number in it, many times; so the first one is zeroes, and there are no partitions."""
        first = struct.unpack_from("<Q", entry, 40)[0]
        blocks = (struct.pack("<Q", number) * (BLOCK // 8) for number in range(first, first + length(entry) // BLOCK))
        self.send(self.c2h_data(cid, b"".join(blocks)) + self.response(cid))

    def write(self, entry, cid, command):
        """Asks for what is not in the capsule, all at once, and drops it."""
        if not command.data:
            self.send(self.r2t(cid, 0, length(entry)))
            self.take_data(length(entry))
        self.send(self.response(cid))

    def take_data(self, left):
        while left:
            part = self.receive()
            assert part.type == Type.H2C_DATA, part
            left -= len(part.data)

    def identify(self, kind):
        data = bytearray(4096)
        if kind == 0:  # the namespace
            struct.pack_into("<QQQ", data, 0, BLOCKS, BLOCKS, BLOCKS)
            data[130] = 9
            return bytes(data)
        if kind == 2:  # the namespaces
            data[0] = 1
            return bytes(data)
        if kind == 3:  # its identifiers
            data[:4] = b"\x03\x10\x00\x00"
            data[4:20] = self.option("uuid", b"nvme-mptcp rogue")
            return bytes(data)
        struct.pack_into("<H", data, 78, 1)  # CNTLID
        struct.pack_into("<I", data, 80, 0x10400)  # VER
        data[111] = 1  # CNTRLTYPE: I/O
        struct.pack_into("<I", data, 92, self.option("oaes"))
        struct.pack_into("<H", data, 320, self.option("kas", 10))
        data[512:514] = b"\x66\x44"  # SQES, CQES
        struct.pack_into("<H", data, 514, self.option("maxcmd", 128))
        struct.pack_into("<I", data, 516, 1)  # NN
        struct.pack_into("<I", data, 536, self.option("sgls", 0x100001))
        name = self.option("nqn", "nqn.none").encode()
        data[768 : 768 + len(name)] = name
        struct.pack_into("<IIHBB", data, 1792, 4, 1, self.option("icdoff"), 0, 1)
        return bytes(data)


def length(entry):
    """Of a read or write, in bytes."""
    return (struct.unpack_from("<H", entry, 48)[0] + 1) * BLOCK


def listen(address, port):
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(100)
    return listener


def serve(listener, make):
    """Serves each connection, by what `make` makes of it, in a thread of its own."""

    def run(sock):
        try:
            make(sock).serve()
        except Gone:
            pass
        sock.close()

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=run, args=(connection,), daemon=True).start()
