#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What a target must do on the wire, seen by a host that looks at every PDU.

protocol.py ADDRESS PORT NQN CHECK...
"""

import os
import socket
import struct
import sys
import time

import pdu
from host import BLOCK, FABRICS, CONNECT, IDENTIFY, KEEP_ALIVE, READ, WRITE, Closed, Host, read_write
from pdu import Type

KIB = 1024
DISCOVERY = "nqn.2014-08.org.nvmexpress.discovery"
GET_LOG_PAGE, SET_FEATURES, AUTH_SEND = 0x02, 0x09, 0x05
CONTROLLER_BUSY, CONNECT_INVALID, SGL_INVALID = 0x181, 0x182, 0x00F
INVALID_NAMESPACE, RESERVATION_CONFLICT = 0x00B, 0x083


def write_by_r2t(queue, block, data, piece):
    """Writes with data that the target asks for, in H2CData PDUs of `piece` bytes."""
    fields = {"nsid": 1, "length": len(data), "cdw10": read_write(block, len(data) // BLOCK)}
    cid = queue.command(WRITE, **fields)
    sent = 0
    while sent < len(data):
        answer = queue.receive()
        assert answer.type == Type.R2T, answer
        r2t_cid, tag, offset, length = answer.transfer
        assert (r2t_cid, offset) == (cid, sent), answer.transfer
        assert length <= len(data) - sent, f"asks for {length} bytes, beyond the data"
        end = offset + length
        while sent < end:
            part = data[sent : min(sent + piece, end)]
            queue.h2c_data(cid, tag, sent, part, last=sent + len(part) == end)
            sent += len(part)
    queue.finish()


def read(queue, block, length):
    queue.command(READ, nsid=1, length=length, cdw10=read_write(block, length // BLOCK))
    return queue.finish()[1]


def data_in_capsule(host):
    """Data in the capsule need no R2T."""
    queue = host.queue(1)
    data = os.urandom(8 * KIB)
    queue.command(WRITE, data, nsid=1, cdw10=read_write(0, len(data) // BLOCK))
    queue.finish()
    assert read(queue, 0, len(data)) == data


def data_by_r2t(host):
    """Data of one R2T may come in one PDU, or in several."""
    queue = host.queue(1)
    for piece in (64 * KIB, 8 * KIB, 1536):
        data = os.urandom(64 * KIB)
        write_by_r2t(queue, 100, data, piece)
        assert read(queue, 100, len(data)) == data


def small_data_by_r2t(host):
    """A host may want to be asked for data that would fit in the capsule; also if the command then fails."""
    queue = host.queue(1)
    data = os.urandom(8 * KIB)
    write_by_r2t(queue, 200, data, 4 * KIB)
    assert read(queue, 200, len(data)) == data
    queue.command(WRITE, nsid=77, length=512, cdw10=read_write(0, 1))
    queue.finish(INVALID_NAMESPACE)
    write_by_r2t(queue, 200, data[:512], 512)
    # A command that fails with its data in the capsule.
    queue.command(WRITE, data, nsid=77, cdw10=read_write(0, 16))
    queue.finish(INVALID_NAMESPACE)
    assert read(queue, 200, len(data)) == data


def digests(host):
    """Digests of the headers, of the data, and of both, each way."""
    for digests in (1, 2, 3):
        queue = host.queue(digests, digests=digests)
        data = os.urandom(32 * KIB)
        write_by_r2t(queue, 300, data, 16 * KIB)
        assert read(queue, 300, len(data)) == data
        queue.command(WRITE, data[:4096], nsid=1, cdw10=read_write(300, 8))
        queue.finish()


def initialization(host):
    """What ICResp says."""
    queue = host.queue(1)
    queue.close()
    for wanted in range(4):
        connection = type(queue)(host.address, host.port)
        answer = connection.initialize(wanted)
        pfv, cpda, agreed, most = struct.unpack_from("<HBBI", answer.header, 8)
        assert answer.type == Type.ICRESP and answer.plen == 128, answer
        assert (pfv, cpda, agreed) == (0, 0, wanted) and most >= 4096, (pfv, cpda, agreed, most)
        connection.close()


def success_flag(host):
    """Without flow control of the submission queue C2HData says success by itself, otherwise a response does."""
    for number, sqflow in ((1, False), (2, True)):
        queue = host.queue(number, sqflow=sqflow)
        queue.command(READ, nsid=1, length=4096, cdw10=read_write(0, 8))
        answer = queue.receive()
        assert answer.type == Type.C2H_DATA and answer.flags & pdu.LAST, answer
        assert bool(answer.flags & pdu.SUCCESS) == (not sqflow), answer
        # What comes next is about the next command, or the response.
        if sqflow:
            answer = queue.receive()
            assert answer.type == Type.RESPONSE, answer
            assert answer.completion[1] == 2, f"submission queue head {answer.completion[1]}"
        queue.command(READ, nsid=1, length=512, cdw10=read_write(0, 1))
        assert queue.receive().transfer[0] == queue.cid


def no_data(host):
    """Commands without data, and a transfer of zero length."""
    alive = Host(host.address, host.port, host.nqn, kato=30000)
    alive.admin.command(KEEP_ALIVE)
    alive.admin.finish()
    alive.admin.close()
    queue = host.queue(1)
    queue.command(0x00, nsid=1)  # flush
    queue.finish()
    # A read of a block into no memory at all: an error, and nothing else.
    queue.command(READ, nsid=1, length=0, cdw10=read_write(0, 1))
    answer = queue.receive()
    assert answer.type == Type.RESPONSE and answer.completion[3] & 0x7FF, answer.completion


def connect_first(host):
    """Before it is connected a queue executes nothing else, and it is connected once."""
    connection = type(host.admin)(host.address, host.port)
    connection.initialize()
    connection.command(IDENTIFY, length=4096, cdw10=struct.pack("<I", 1))
    answer = connection.receive()
    assert answer.type == Type.RESPONSE and answer.completion[3] & 0x7FF, answer
    connection.close()
    first = host.queue(1)
    # The number is taken, as long as that is open.
    try:
        host.queue(1)
    except AssertionError:
        pass
    else:
        raise AssertionError("queue 1 connected twice")
    first.close()


def admin_queue_first(host):
    """A controller ends with its admin queue, and no queue is connected to it any more."""
    mine = Host(host.address, host.port, host.nqn)
    queue = mine.queue(1)
    mine.admin.close()
    assert queue.ended(10), "a queue has outlived its controller"
    try:
        mine.queue(2)
    except AssertionError as error:
        assert f"status {CONNECT_INVALID:#x}" in str(error), error
    else:
        raise AssertionError("connected to a controller that has ended")


def strangers_data(host):
    """Nobody gets megabytes of memory before being connected."""
    connection = type(host.admin)(host.address, host.port)
    connection.initialize()
    connection.command(FABRICS, fctype=CONNECT, length=4 << 20)
    connection.finish(SGL_INVALID)
    connection.close()


def _admin_queue(host, entries, served):
    """Whether another controller may have an admin queue of so many entries."""
    mine, host.controller = host.controller, 0xFFFF
    try:
        host.queue(0, entries=entries).close()
    except AssertionError:
        assert not served, f"no admin queue of {entries} entries"
    else:
        assert served, f"an admin queue of {entries} entries"
    host.controller = mine


def large_admin_queue(host):
    """Nor for an admin queue, which anybody may connect to the discovery subsystem."""
    for entries, served in ((1024, True), (1025, False), (65536, False)):
        _admin_queue(host, entries, served)


def strangers_discovery(host):
    """Nor for a controller of the discovery subsystem, which anybody gets. The log can be read, in large pieces too."""
    discovery = Host(host.address, host.port, DISCOVERY)
    for entries, served in ((128, True), (129, False)):
        _admin_queue(discovery, entries, served)
    admin = discovery.admin
    for length, status in ((4 * KIB, 0), (256 * KIB, 0), (512 * KIB, SGL_INVALID)):
        dwords = length // 4 - 1
        cdw10 = struct.pack("<II", (dwords & 0xFFFF) << 16 | 0x70, dwords >> 16)
        admin.command(GET_LOG_PAGE, length=length, cdw10=cdw10)
        assert len(admin.finish(status)[1]) == (0 if status else length)
    admin.command(SET_FEATURES, length=1 << 20)
    admin.finish(SGL_INVALID)
    admin.close()


def strangers_fabrics_data(host):
    """Nor for what comes before an authentication, on any queue."""
    for queue in (host.admin, host.queue(1)):
        queue.command(FABRICS, fctype=AUTH_SEND, length=4 << 20)
        queue.finish(SGL_INVALID)


def late_icreq(host):
    """When there is no time for it, a connection may wait as long as it likes before it is connected."""
    connection = type(host.admin)(host.address, host.port)
    connection.send(pdu.icreq()[:60])
    time.sleep(0.5)
    connection.send(pdu.icreq()[60:])
    connection.receive()
    assert not connection.ended(5), "dropped"
    connection.close()


def largest(host):
    """As much as a command may transfer, both ways, and what is more is refused."""
    queue = host.queue(1)
    data = os.urandom(64 * KIB) * 64
    write_by_r2t(queue, 0, data, 1 << 20)
    assert read(queue, 0, len(data)) == data
    length = len(data) + BLOCK
    queue.command(READ, nsid=1, length=length, cdw10=read_write(0, length // BLOCK))
    answer = queue.receive()
    assert answer.type == Type.RESPONSE and answer.completion[3] & 0x7FF, answer


def many_queues(host):
    """As many queues as the target offers, all of them at work."""
    queues = [host.queue(number) for number in range(1, 65)]
    for block, queue in enumerate(queues):
        queue.command(READ, nsid=1, length=4096, cdw10=read_write(8 * block, 8))
    for queue in queues:
        assert len(queue.finish()[1]) == 4096


def glued_and_split(host):
    """PDUs are found wherever segments begin and end."""
    queue = host.queue(1)
    fields = {"nsid": 1, "length": 512}
    both = b"".join(
        pdu.build(Type.COMMAND, pdu.sqe(READ, cid, cdw10=read_write(cid, 1), **fields)) for cid in (1, 2)
    )
    for cut in range(len(both)):
        queue.send(both[:cut])
        queue.send(both[cut:])
        answers = [queue.receive() for _ in range(4)]
        assert sorted(a.completion[2] for a in answers if a.type == Type.RESPONSE) == [1, 2]


def every_byte(host):
    """Each byte comes by itself: of commands, of their data and digests."""
    data = os.urandom(BLOCK)
    fields = {"nsid": 1, "length": BLOCK, "cdw10": read_write(7, 1)}
    for number, digests in ((1, 0), (2, 3)):
        queue = host.queue(number, digests=digests)
        queue.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        every = {"hdgst": queue.hdgst, "ddgst": queue.ddgst}
        one_by_one(queue, pdu.build(Type.COMMAND, pdu.sqe(WRITE, 1, sgl=pdu.IN_CAPSULE, **fields), data, **every))
        assert queue.receive().type == Type.RESPONSE
        one_by_one(queue, pdu.build(Type.COMMAND, pdu.sqe(READ, 2, **fields), **every))
        assert queue.receive().data == data and queue.receive().type == Type.RESPONSE
        one_by_one(queue, pdu.build(Type.COMMAND, pdu.sqe(WRITE, 3, **fields), **every))
        tag = queue.receive().transfer[1]
        data = os.urandom(BLOCK)
        one_by_one(queue, pdu.h2c_data(3, tag, 0, data[:200], last=False, **every))
        one_by_one(queue, pdu.h2c_data(3, tag, 200, data[200:], **every))
        assert queue.receive().type == Type.RESPONSE
        one_by_one(queue, pdu.build(Type.COMMAND, pdu.sqe(READ, 4, **fields), **every))
        assert queue.receive().data == data and queue.receive().type == Type.RESPONSE


def one_by_one(queue, whole):
    for byte in whole:
        queue.send(bytes([byte]))


def _write(host, expected):
    queue = host.queue(1)
    queue.command(WRITE, bytes(BLOCK), nsid=1, cdw10=read_write(0, 1))
    queue.finish(expected)


def may_write(host):
    """No other host has reserved the namespace."""
    _write(host, 0)


def may_not_write(host):
    """Another host has reserved it."""
    _write(host, RESERVATION_CONFLICT)


def busy(host):
    """The target takes no new controllers now."""
    raise AssertionError("it does")


def astray(host):
    """A queue for a controller of another transport, whose number is the one before."""
    host.controller -= 1
    host.hostnqn = "nqn.2026-01.io.nvme-mptcp:astray"
    try:
        host.queue(60)
    except Closed:
        return
    raise AssertionError("connected to a controller of another transport")


def controller_number(host):
    """The lowest number that no other controller has."""
    print(host.controller)


def main(address, port, nqn, *names):
    for name in names:
        try:
            host = Host(address, int(port), nqn)
        except AssertionError as error:
            if name == "busy" and f"status {CONTROLLER_BUSY:#x}" in str(error):
                continue
            raise
        globals()[name](host)
        host.admin.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
