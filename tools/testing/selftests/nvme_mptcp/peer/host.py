# SPDX-License-Identifier: GPL-2.0
"""A host in user space: connections to a target, as MPTCP or plain TCP, that say what they are told to."""

import socket
import struct
import uuid

import pdu
from pdu import Type

IPPROTO_MPTCP = 262
FABRICS, READ, WRITE = 0x7F, 0x02, 0x01
PROPERTY_SET, CONNECT = 0x00, 0x01
KEEP_ALIVE, IDENTIFY, ASYNC_EVENT = 0x18, 0x06, 0x0C
BLOCK = 512


class Closed(Exception):
    """The target has ended the connection."""


class Connection:
    """One connection, thus one queue."""

    def __init__(self, address, port, *, mptcp=True, timeout=30, receive_buffer=None):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP if mptcp else 0)
        self.socket.settimeout(timeout)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect((address, port))
        self.hdgst = self.ddgst = False
        self.check = True
        self.cid = 0

    def close(self):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except ConnectionError as error:
            raise Closed from error

    def receive_bytes(self, count):
        data = bytearray()
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionError as error:
                raise Closed from error
            if not part:
                raise Closed
            data += part
        return bytes(data)

    def receive(self):
        """The next PDU."""
        header = self.receive_bytes(pdu.COMMON.size)
        _, flags, hlen, pdo, plen = pdu.COMMON.unpack(header)
        rest = self.receive_bytes(plen - len(header))
        data = rest[pdo - len(header) :] if pdo else b""
        if data and flags & pdu.DDGST:
            data, digest = data[:-4], data[-4:]
            assert not self.check or pdu.crc32c(data) == digest, "wrong data digest"
        return pdu.Pdu(header + rest[: hlen - len(header)], data)

    def ended(self, timeout):
        """Whether the target ends the connection within that time. Whatever it says before is dropped."""
        self.socket.settimeout(timeout)
        try:
            while self.socket.recv(1 << 16):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    def initialize(self, digests=0, **wrong):
        """ICReq and ICResp. `digests` are 1 for the header, 2 for data, 3 for both."""
        self.send(pdu.icreq(digests=digests, **wrong))
        answer = self.receive()
        self.hdgst, self.ddgst = bool(digests & 1), bool(digests & 2)
        return answer

    def capsule(self, entry, data=b"", **wrong):
        self.send(pdu.build(Type.COMMAND, entry, data, hdgst=self.hdgst, ddgst=self.ddgst, **wrong))

    def command(self, opcode, data=b"", **fields):
        """Sends a command with its data in the capsule, if any. Returns its number."""
        self.cid += 1
        if data:
            fields.update(length=len(data), sgl=pdu.IN_CAPSULE)
        self.capsule(pdu.sqe(opcode, self.cid, **fields), data)
        return self.cid

    def h2c_data(self, cid, ttag, offset, data, **wrong):
        self.send(pdu.h2c_data(cid, ttag, offset, data, hdgst=self.hdgst, ddgst=self.ddgst, **wrong))

    def finish(self, expected=0):
        """Waits for the response of the last command. Returns its result and what C2HData brought. `expected` is the
        status, its type included."""
        data = b""
        while True:
            answer = self.receive()
            if answer.type == Type.C2H_DATA:
                data += answer.data
                if answer.flags & pdu.SUCCESS:
                    return 0, data
            else:
                assert answer.type == Type.RESPONSE, answer
                result, _, cid, status = answer.completion
                assert cid == self.cid, f"response to {cid} instead of {self.cid}"
                assert status & 0x7FF == expected, f"status {status & 0x7FF:#x} instead of {expected:#x}"
                return result, data


def read_write(block, count):
    """CDW10 and on of a read or write."""
    return struct.pack("<QHHI", block, count - 1, 0, 0)


class Host:
    """A controller: its admin queue, and I/O queues as they are asked for."""

    def __init__(self, address, port, nqn, kato=0, entries=32, **options):
        """`kato` is in milliseconds, `entries` are those of the admin queue; the other options are those of each
        connection."""
        self.address, self.port, self.nqn, self.options = address, port, nqn, options
        self.hostid, self.hostnqn = uuid.uuid4(), None
        self.controller = 0xFFFF
        self.admin = self.queue(0, kato=kato, entries=entries)
        self.enable()

    def queue(self, number, entries=32, digests=0, kato=0, sqflow=True, **options):
        """Connects one queue."""
        connection = Connection(self.address, self.port, **{**self.options, **options})
        connection.initialize(digests)
        connect = struct.pack("<HHHBxI", 0, number, entries - 1, 0 if sqflow else 4, kato)
        data = struct.pack(
            "<16sH238x256s256s256x",
            self.hostid.bytes,
            self.controller,
            self.nqn.encode(),
            (self.hostnqn or f"nqn.2014-08.org.nvmexpress:uuid:{self.hostid}").encode(),
        )
        connection.command(FABRICS, data, fctype=CONNECT, cdw10=connect)
        result, _ = connection.finish()
        if not number:
            self.controller = result & 0xFFFF
        return connection

    def enable(self):
        """CC.EN, with the sizes of queue entries that NVMe over Fabrics has."""
        self.configure(1)

    def configure(self, value):
        """Sets CC to that, and the sizes of queue entries."""
        value |= 6 << 16 | 4 << 20
        self.admin.command(FABRICS, fctype=PROPERTY_SET, cdw10=struct.pack("<BxxxIQ", 0, 0x14, value))
        self.admin.finish()
