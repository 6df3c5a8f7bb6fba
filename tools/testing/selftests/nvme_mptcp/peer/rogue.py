#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
#
# A target that does one thing wrong, or that does what is allowed and no other target does, for testing what the host
# makes of it. It knows just enough of NVMe/TCP for a host to connect to it, and to read and write its namespace.
#
#   rogue.py ADDRESS PORT [WHAT=NUMBER...]
#
# Its ICResp: type, length, version, alignment, digests, maxdata. Its controller: mqes, sgls, icdoff, maxcmd, kas.
# In answer to Connect: term=1 (C2HTermReq), silent=1 (nothing), badpdu=1 (a PDU of no type).
# In answer to a read: short=1 (half of the data), baddigest=1, badheader=1 (its header's digest), c2h=N (in PDUs of N
# bytes), lateterm=1 (C2HTermReq).
# In answer to a write: r2t=N (an R2T from there on), ask=N (by R2Ts of N bytes).
#
# What the host does wrong in sending the data of a write is printed, and ends the connection; and how many PDUs it took.
import socket
import struct
import sys
import threading

from pdu import COMMON, crc32c

wrong = {k: int(v) for k, v in (arg.split("=") for arg in sys.argv[3:])}
IPPROTO_MPTCP = 262
disk = bytearray(2048 * 512)


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


def digested(bit):
    """Whether headers (1) or data (2) have digests."""
    return wrong.get("digests", 0) & bit


def small(sock, kind, body):
    """Sends a PDU without data."""
    pdu = header(kind, 24, 28 if digested(1) else 24, digested(1)) + body
    sock.sendall(pdu + (crc32c(pdu) if digested(1) else b""))


def answer(sock, sqe, result=0, status=0):
    cid = struct.unpack_from("<H", sqe, 2)[0]
    small(sock, 5, struct.pack("<QHHHH", result, 0xffff, 0, cid, status << 1))


def data(sock, sqe, payload, bad=0, badheader=0):
    cid = struct.unpack_from("<H", sqe, 2)[0]
    size = wrong.get("c2h", len(payload))
    hdgst, ddgst = (4 if digested(bit) else 0 for bit in (1, 2))
    for offset in range(0, len(payload), size):
        part = payload[offset : offset + size]
        last = offset + size >= len(payload)
        flags = digested(1) | digested(2) | 4 * last
        head = header(7, 24, 24 + hdgst + len(part) + ddgst, flags, 24 + hdgst) + struct.pack(
            "<HHII4x", cid, 0, offset, len(part))
        sock.sendall(head + (crc32c(head[badheader:]) if hdgst else b"") + part
                     + (crc32c(part[bad:]) if ddgst else b""))


def where(sqe):
    """The offset and the length of a read or a write, in bytes."""
    lba, blocks = struct.unpack_from("<QH", sqe, 40)
    return lba * 512, (blocks + 1) * 512


def read(sock, sqe):
    if wrong.get("lateterm"):
        sock.sendall(header(3, 24, 24) + struct.pack("<HI10x", 2, 0))
        return
    offset, length = where(sqe)
    payload = bytes(disk[offset : offset + (length // 2 if wrong.get("short") else length)])
    data(sock, sqe, payload, wrong.get("baddigest", 0), wrong.get("badheader", 0))
    answer(sock, sqe)


def write(sock, sqe, capsule):
    cid = struct.unpack_from("<H", sqe, 2)[0]
    offset, length = where(sqe)
    if capsule:
        disk[offset : offset + length] = capsule
        answer(sock, sqe)
        return
    if "r2t" in wrong:
        small(sock, 9, struct.pack("<HHII4x", cid, 1, wrong["r2t"], length))
        return
    size = wrong.get("ask", length)
    pdus = []
    for start in range(0, length, size):
        end = min(start + size, length)
        tag = 1 + start // size
        small(sock, 9, struct.pack("<HHII4x", cid, tag, start, end - start))
        done = start
        while done < end:
            head = get(sock, 24)
            kind, flags, hlen, pdo, plen = COMMON.unpack_from(head)
            body = struct.unpack_from("<HHII", head, 8)
            amount = min(end - done, wrong.get("maxdata", 65536))
            if (kind, hlen, pdo, plen) != (6, 24, 24, 24 + amount) or body != (cid, tag, done, amount):
                return tell(sock, "wrong: expected", amount, "at", done, "got", head.hex())
            if (flags & 4 != 0) != (done + amount == end):
                return tell(sock, "wrong: flags", flags, "at", done, "of", start, end)
            disk[offset + done : offset + done + amount] = get(sock, amount)
            done += amount
            pdus.append(amount)
    print("written in", len(pdus), "PDUs by", -(-length // size), "R2Ts", flush=True)
    answer(sock, sqe)


def tell(sock, *words):
    print(*words, flush=True)
    sock.close()
    sys.exit()  # of this thread


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
        sqe, capsule = command(sock)
        if sqe[0] == 1:
            write(sock, sqe, capsule)
        else:
            {2: read}.get(sqe[0], answer)(sock, sqe)


def command(sock):
    """A command, and the data in its capsule. Their digests are not looked at."""
    _, flags, hlen, pdo, plen = COMMON.unpack(get(sock, 8))
    rest = get(sock, plen - 8)
    return rest[:64], rest[pdo - 8 : plen - 8 - (4 if flags & 2 else 0)] if pdo else b""


def serve(sock):
    regs = {0: wrong.get("mqes", 127) | 1 << 16 | 30 << 24 | 1 << 37, 8: 0x10400}
    get(sock, 128)
    sock.sendall(icresp())
    while True:
        sqe, _ = command(sock)
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
