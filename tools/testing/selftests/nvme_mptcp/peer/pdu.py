# SPDX-License-Identifier: GPL-2.0
"""The PDUs of NVMe/TCP: building and taking apart. Nothing here checks anything: a PDU may be as wrong as the
caller wants it."""

import functools
import struct
from enum import IntEnum


class Type(IntEnum):
    ICREQ = 0
    ICRESP = 1
    H2C_TERM = 2
    C2H_TERM = 3
    COMMAND = 4
    RESPONSE = 5
    H2C_DATA = 6
    C2H_DATA = 7
    R2T = 9


# Flags of the common header.
HDGST, DDGST, LAST, SUCCESS = 1, 2, 4, 8

# Types of SGL descriptors: data in the capsule, and data by R2T or C2HData.
IN_CAPSULE, TRANSPORT = 0x01, 0x5A

COMMON = struct.Struct("<BBBBI")  # type, flags, hlen, pdo, plen


def _crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc32c_table()


def crc32c(data):
    """The digest of NVMe/TCP, as on the wire."""
    return _crc32c(bytes(data))


# Most data here are zeroes, again and again.
@functools.lru_cache(maxsize=256)
def _crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return struct.pack("<I", crc ^ 0xFFFFFFFF)


def build(pdu_type, body, data=b"", *, flags=0, hdgst=False, ddgst=False, **wrong):
    """A whole PDU. `wrong` overrides fields of the common header: type, flags, hlen, pdo, plen."""
    hlen = COMMON.size + len(body)
    pdo = hlen + 4 * hdgst if data else 0
    ddgst = ddgst and bool(data)
    field = {
        "type": pdu_type,
        "flags": flags | HDGST * hdgst | DDGST * ddgst,
        "hlen": hlen,
        "pdo": pdo,
        "plen": hlen + 4 * hdgst + len(data) + 4 * ddgst,
        **wrong,
    }
    header = COMMON.pack(*(field[name] for name in ("type", "flags", "hlen", "pdo", "plen"))) + body
    pdu = header + (crc32c(header) if hdgst else b"") + data
    return pdu + (crc32c(data) if ddgst else b"")


def icreq(*, pfv=0, hpda=0, digests=0, maxr2t=0, **wrong):
    return build(Type.ICREQ, struct.pack("<HBBI112x", pfv, hpda, digests, maxr2t), **wrong)


def sqe(opcode, cid, *, nsid=0, length=0, sgl=TRANSPORT, cdw10=b"", fctype=None):
    """A submission queue entry: `cdw10` are its last 24 bytes, `fctype` is that of a fabrics command."""
    if fctype is not None:
        nsid = fctype
    return struct.pack("<BBHI16xQI3xB24s", opcode, 0x40, cid, nsid, 0, length, sgl, cdw10)


def h2c_data(cid, ttag, offset, data, *, length=None, last=True, **wrong):
    body = struct.pack("<HHII4x", cid, ttag, offset, len(data) if length is None else length)
    return build(Type.H2C_DATA, body, data, flags=LAST if last else 0, **wrong)


class Pdu:
    """A PDU that was received."""

    def __init__(self, header, data=b""):
        self.type, self.flags, self.hlen, self.pdo, self.plen = COMMON.unpack_from(header)
        self.header, self.data = header, data

    def __repr__(self):
        return f"{Type(self.type).name} flags={self.flags:#x} plen={self.plen}"

    def _unpack(self, layout):
        return struct.unpack_from("<" + layout, self.header, COMMON.size)

    @property
    def completion(self):
        """Of a response: result, submission queue head, command, status without phase."""
        result, head, _, cid, status = self._unpack("QHHHH")
        return result, head, cid, status >> 1

    @property
    def transfer(self):
        """Of C2HData, R2T: command, tag, offset, length."""
        return self._unpack("HHII")

    @property
    def fault(self):
        """Of a C2HTermReq: fatal error status and its information."""
        return self._unpack("HI")
