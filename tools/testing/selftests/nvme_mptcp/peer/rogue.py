#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
#
# A target that does one thing wrong, for testing what the host makes of it. It knows just enough of
# NVMe/TCP for a host to connect to it and to read the zeroes of its namespace.
#
#   rogue.py ADDRESS PORT [WHAT=NUMBER...]
#
# Its ICResp: type, length, version, alignment, digests, maxdata. Its controller: mqes, sgls, icdoff, maxcmd, kas.
# In answer to Connect: term=1 (C2HTermReq), silent=1 (nothing), badpdu=1 (a PDU of no type).
# In answer to a read: short=1 (half of the data), baddigest=1. In answer to a write: r2t=N (an R2T from there on).
import socket
import struct
import sys
import threading

from pdu import COMMON, crc32c

wrong = {k: int(v) for k, v in (arg.split("=") for arg in sys.argv[3:])}
IPPROTO_MPTCP = 262


def get(sock, length):
    data = b""
    while len(data) < length:
        try:
            part = sock.recv(length - len(data))
        except ConnectionError:
            part = b""
        if not part:
            sys.exit()  # of this thread
        data += part
    return data


def header(kind, hlen, plen, flags=0, pdo=0):
    return COMMON.pack(kind, flags, hlen, pdo, plen)


def icresp():
    return header(wrong.get("type", 1), 128, wrong.get("length", 128)) + struct.pack(
        "<HBBI112x", wrong.get("version", 0), wrong.get("alignment", 0),
        wrong.get("digests", 0), wrong.get("maxdata", 65536))


def identify(kind):
    data = bytearray(4096)
    if kind == 0:  # the namespace: 2048 blocks of 512 bytes
        struct.pack_into("<QQQ", data, 0, 2048, 2048, 2048)
        data[130] = 9
        return bytes(data)
    if kind == 2:  # the namespaces
        data[0] = 1
        return bytes(data)
    if kind == 3:  # its identifiers
        data[:4] = b"\x03\x10\x00\x00"
        data[4:20] = b"nvme-mptcp rogue"
        return bytes(data)
    struct.pack_into("<H", data, 78, 1)  # CNTLID
    struct.pack_into("<I", data, 80, 0x10400)  # VER
    data[111] = 1  # CNTRLTYPE: I/O
    struct.pack_into("<H", data, 320, wrong.get("kas", 10))
    data[512:514] = b"\x66\x44"  # SQES, CQES
    struct.pack_into("<H", data, 514, wrong.get("maxcmd", 128))
    struct.pack_into("<I", data, 516, 1)  # NN
    struct.pack_into("<I", data, 536, wrong.get("sgls", 0x100001))
    data[768:776] = b"nqn.none"
    struct.pack_into("<IIHBB", data, 1792, 4, 1, wrong.get("icdoff", 0), 0, 1)
    return bytes(data)


def answer(sock, sqe, result=0, status=0):
    cid = struct.unpack_from("<H", sqe, 2)[0]
    pdu = header(5, 24, 24) + struct.pack("<QHHHH", result, 0xffff, 0, cid, status << 1)
    sock.sendall(pdu)


def data(sock, sqe, payload, bad=0):
    cid = struct.unpack_from("<H", sqe, 2)[0]
    flags, digest = 4, b""
    if wrong.get("digests", 0) & 2:
        flags, digest = 6, crc32c(payload[bad:])
    sock.sendall(header(7, 24, 24 + len(payload) + len(digest), flags, 24) + struct.pack(
        "<HHII4x", cid, 0, 0, len(payload)) + payload + digest)


def read(sock, sqe):
    length = (struct.unpack_from("<H", sqe, 48)[0] + 1) * 512
    data(sock, sqe, bytes(length // 2 if wrong.get("short") else length), wrong.get("baddigest", 0))
    answer(sock, sqe)


def write(sock, sqe):
    cid = struct.unpack_from("<H", sqe, 2)[0]
    length = (struct.unpack_from("<H", sqe, 48)[0] + 1) * 512
    sock.sendall(header(9, 24, 24) + struct.pack("<HHII4x", cid, 1, wrong.get("r2t", 0), length))


def fabrics(sock, sqe, regs):
    kind = sqe[4]
    offset = struct.unpack_from("<I", sqe, 44)[0]
    if kind == 0:  # Property Set
        regs[offset] = struct.unpack_from("<Q", sqe, 48)[0]
        if offset == 0x14:
            regs[0x1c] = (regs[offset] & 1) | (8 if regs[offset] & 0xc000 else 0)
        answer(sock, sqe)
    elif kind == 4:  # Property Get
        answer(sock, sqe, regs.get(offset, 0))
    elif kind == 1:  # Connect
        if wrong.get("term"):
            sock.sendall(header(3, 24, 24) + struct.pack("<HI10x", 2, 0))
        elif wrong.get("badpdu"):
            sock.sendall(header(0x42, 24, 24) + bytes(16))
        elif not wrong.get("silent"):
            answer(sock, sqe, 1)
    else:
        answer(sock, sqe, 0, 0x4001)


def io(sock):
    while True:
        sqe = get(sock, struct.unpack("<4xI", get(sock, 8))[0] - 8)[:64]
        {1: write, 2: read}.get(sqe[0], answer)(sock, sqe)


def serve(sock):
    regs = {0: wrong.get("mqes", 127) | 1 << 16 | 30 << 24 | 1 << 37, 8: 0x10400}
    get(sock, 128)
    sock.sendall(icresp())
    while True:
        sqe = get(sock, struct.unpack("<4xI", get(sock, 8))[0] - 8)[:64]
        opcode = sqe[0]
        if opcode == 0x7f:
            fabrics(sock, sqe, regs)
            if sqe[4] == 1 and struct.unpack_from("<H", sqe, 42)[0]:
                io(sock)
        elif opcode == 0x06 and sqe[40] < 4:
            data(sock, sqe, identify(sqe[40]))
            answer(sock, sqe)
        elif opcode in (0x09, 0x18):  # Set Features (one queue), Keep Alive
            answer(sock, sqe)
        elif opcode != 0x0c:
            answer(sock, sqe, 0, 0x4001)


listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((sys.argv[1], int(sys.argv[2])))
listener.listen()
print("listening", flush=True)
while True:
    connection, _ = listener.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
