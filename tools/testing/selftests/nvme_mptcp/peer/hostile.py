#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Hosts that misbehave.

hostile.py ADDRESS PORT NQN crowd COUNT    many that connect, and stop somewhere before they are connected
hostile.py ADDRESS PORT NQN unread         one that never reads the answers to its commands
hostile.py ADDRESS PORT NQN unfinished     one that leaves a PDU unfinished
hostile.py ADDRESS PORT NQN unsent         one that does not send the data that it is asked for
hostile.py ADDRESS PORT NQN failed         one whose controller has failed, and that says nothing any more
hostile.py ADDRESS PORT NQN hoard COUNT    COUNT that ask the discovery subsystem for all that it may tell, and do not read it
hostile.py ADDRESS PORT NQN drip           one whose ICReq comes slowly, byte by byte
hostile.py ADDRESS PORT NQN resets         some that reset the connection, one at each point of the protocol
hostile.py ADDRESS PORT NQN undigested     some that leave between the data of a command and their digest
hostile.py ADDRESS PORT NQN provoke        one for each way to break the protocol
hostile.py ADDRESS PORT NQN leave HOW      some that leave in the middle of their work: close, reset, fatal, silent
hostile.py ADDRESS PORT NQN storm COUNT    COUNT that come, work and leave, one after another, until nobody listens
hostile.py ADDRESS PORT NQN stuck COUNT    COUNT that leave while an admin command of theirs is executed

Those that the target has to drop (crowd, unread, unfinished, unsent, failed, hoard, drip, leave fatal, leave silent) print "ready" when all is as bad
as it gets, and end when the target has dropped all of them.
"""

import itertools
import resource
import select
import socket
import struct
import sys
import time

import kmsg
import pdu
from host import ASYNC_EVENT, BLOCK, CONNECT, FABRICS, IDENTIFY, READ, WRITE, Closed, Connection, Host, read_write
from pdu import Type

# Fatal error statuses of a C2HTermReq.
BAD_HEADER, SEQUENCE, BAD_DIGEST, OUT_OF_RANGE, TOO_MUCH, UNSUPPORTED = 1, 2, 3, 4, 5, 6
# The connection ends, and nothing is told: the end of a conversation, or what no header can be blamed for.
NOTHING = None
SET_FEATURES = 0x09
# A write that is broken is of the first blocks, which must not change; one that is in order is of these.
ELSEWHERE = 256


def wait_for_end(connections):
    """Until the target has dropped all connections, of which nobody reads."""
    poll = select.poll()
    left = {connection.socket.fileno(): connection for connection in connections}
    for number in left:
        poll.register(number, select.POLLRDHUP)
    print("ready", flush=True)
    while left:
        for number, _ in poll.poll():
            poll.unregister(number)
            left.pop(number).close()


def crowd(address, port, _nqn, count):
    """A quarter each says nothing, half a header, half an ICReq, and half a command."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(count) + 100, int(count) + 100))
    icreq = pdu.icreq()
    command = pdu.build(Type.COMMAND, pdu.sqe(READ, 1))
    begins = (b"", icreq[:5], icreq[:60], icreq + command[:40])
    connections = []
    for number in range(int(count)):
        connections.append(Connection(address, port))
        connections[-1].send(begins[number % len(begins)])
    wait_for_end(connections)


def unread(address, port, nqn):
    host = Host(address, port, nqn)
    queue = host.queue(1, receive_buffer=4096)
    for block in range(30):
        queue.command(READ, nsid=1, length=1 << 20, cdw10=read_write(block, (1 << 20) // BLOCK))
    wait_for_end([queue])


def unfinished(address, port, nqn):
    host = Host(address, port, nqn)
    queue = host.queue(1)
    queue.send(pdu.build(Type.COMMAND, pdu.sqe(READ, 1))[:40])
    wait_for_end([queue])


def unsent(address, port, nqn):
    host = Host(address, port, nqn)
    queue, _ = _r2t(host)
    wait_for_end([queue])


def _fail(host):
    """A memory page size that no target has."""
    host.configure(1 << 7)
    host.configure(1 << 7 | 1)


def failed(address, port, nqn):
    host = Host(address, port, nqn)
    queue = host.queue(1)
    _fail(host)
    wait_for_end([host.admin, queue])


def hoard(address, port, _nqn, count):
    admins = []
    for _ in range(int(count)):
        host = Host(address, port, "nqn.2014-08.org.nvmexpress.discovery", entries=128, receive_buffer=4096)
        # Get Log Page: the discovery log, 256 KiB of it.
        entry = pdu.sqe(0x02, 1, length=256 << 10, cdw10=struct.pack("<I", 0xFFFF << 16 | 0x70))
        host.admin.send(pdu.build(Type.COMMAND, entry) * 250)
        admins.append(host.admin)
    time.sleep(2)
    wait_for_end(admins)


def drip(address, port, _nqn):
    connection = Connection(address, port)
    print("ready", flush=True)
    try:
        for byte in pdu.icreq():
            connection.send(bytes([byte]))
            if connection.ended(0.5):
                return
    except Closed:
        return
    sys.exit("the ICReq has come to its end")


def resets(address, port, nqn):
    """The admin queue stays, so that its controller does; its other queues come and are reset."""
    number = itertools.count(1)
    host = Host(address, port, nqn)
    icreq = pdu.icreq()
    for end in (0, 1, 7, 8, 9, 127, 128):
        connection = Connection(address, port)
        connection.send(icreq[:end])
        drop([connection], "reset")
    data = bytes(4096)
    write = pdu.build(Type.COMMAND, pdu.sqe(WRITE, 1, nsid=1, length=4096, sgl=pdu.IN_CAPSULE, cdw10=read_write(0, 8)), data)
    read = pdu.build(Type.COMMAND, pdu.sqe(READ, 1, nsid=1, length=65536, cdw10=read_write(0, 128)))
    for whole in (write, read):
        for end in (1, 8, 71, 72, 73, 1000, len(whole)):
            queue = host.queue(next(number))
            queue.send(whole[:end])
            drop([queue], "reset")
    for end in (0, 1, 8, 23, 24, 25, 1000, 8216):
        queue, tag = _r2t(host, next(number))
        queue.send(pdu.h2c_data(queue.cid, tag, 0, bytes(8192))[:end])
        drop([queue], "reset")
    host.admin.close()


def undigested(address, port, nqn):
    """Some whose connection ends between the data of a command and their digest."""
    connect = pdu.sqe(FABRICS, 1, fctype=CONNECT, length=1024, sgl=pdu.IN_CAPSULE)
    connect = pdu.build(Type.COMMAND, connect, bytes(1024), ddgst=True)
    write = pdu.sqe(WRITE, 1, nsid=1, length=4096, sgl=pdu.IN_CAPSULE, cdw10=read_write(0, 8))
    write = pdu.build(Type.COMMAND, write, bytes(4096), ddgst=True)
    number = itertools.count(1)
    host = Host(address, port, nqn)
    for mptcp, how, missing in itertools.product((True, False), ("close", "reset"), (1, 4)):
        connection = Connection(address, port, mptcp=mptcp)
        connection.initialize(digests=2)
        connection.send(connect[:-missing])
        capsule = host.queue(next(number), digests=2, mptcp=mptcp)
        capsule.send(write[:-missing])
        asked = host.queue(next(number), digests=2, mptcp=mptcp)
        asked.command(WRITE, nsid=1, length=8192, cdw10=read_write(0, 16))
        tag = asked.receive().transfer[1]
        asked.send(pdu.h2c_data(asked.cid, tag, 0, bytes(8192), ddgst=True)[:-missing])
        # What was sent has been received, though nothing of ours tells.
        host.admin.command(IDENTIFY, length=4096, cdw10=struct.pack("<I", 1))
        host.admin.finish()
        drop([connection, capsule, asked], how)
    host.admin.close()


def busy_host(address, port, nqn, **options):
    """A host with commands in every state. Returns all its connections."""
    host = Host(address, port, nqn, **options)
    host.admin.command(ASYNC_EVENT)
    reader, writer, waiting = (host.queue(number) for number in (1, 2, 3))
    for block in range(8):
        reader.command(READ, nsid=1, length=65536, cdw10=read_write(block, 128))
        # The target gets some of the data that it has asked for, or none.
        writer.command(WRITE, nsid=1, length=65536, cdw10=read_write(block, 128))
        waiting.command(WRITE, nsid=1, length=65536, cdw10=read_write(block, 128))
    answer = writer.receive()
    writer.h2c_data(answer.transfer[0], answer.transfer[1], 0, bytes(8192), last=False)
    writer.send(pdu.h2c_data(answer.transfer[0], answer.transfer[1], 8192, bytes(8192))[:1000])
    return [host.admin, reader, writer, waiting]


def drop(connections, how):
    for connection in connections:
        if how == "reset":
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


def leave(address, port, nqn, how):
    kato = 2000 if how == "silent" else 0
    connections = [c for _ in range(4) for c in busy_host(address, port, nqn, kato=kato)]
    if how == "fatal":
        for admin in connections[::4]:
            admin.send(bytes([0x42] * 64))
    if how in ("fatal", "silent"):
        wait_for_end(connections)
    else:
        drop(connections, how)


def stuck(address, port, nqn, count):
    hosts = [Host(address, port, nqn) for _ in range(int(count))]
    for host in hosts:
        # Get Log Page, SMART: 512 bytes.
        host.admin.command(0x02, nsid=0xFFFFFFFF, length=512, cdw10=struct.pack("<I", 127 << 16 | 2))
    # Nobody tells that a command has begun.
    time.sleep(2)
    drop([host.admin for host in hosts], "close")


def storm(address, port, nqn, count):
    for number, how, mptcp in zip(range(int(count)), itertools.cycle(("close", "reset")), itertools.cycle((1, 1, 0))):
        connections = []
        try:
            connections = busy_host(address, port, nqn, mptcp=mptcp)
        except (OSError, Closed, AssertionError, struct.error) as error:
            print(number, repr(error))
            if isinstance(error, ConnectionRefusedError):
                return
        drop(connections, how)


# Each breaks the protocol on a connection, and has the fatal error status that the target must tell.


def unknown_type(queue, _):
    queue.initialize()
    queue.send(pdu.build(0x42, bytes(64)))
    return BAD_HEADER


def answer_of_a_target(queue, _):
    queue.initialize()
    queue.send(pdu.build(Type.RESPONSE, bytes(16)))
    return BAD_HEADER


def wrong_header_length(queue, _):
    queue.initialize()
    queue.send(pdu.build(Type.COMMAND, bytes(64), hlen=71))
    return BAD_HEADER


def wrong_length_of_icreq(queue, _):
    queue.send(pdu.icreq(plen=1 << 30))
    return BAD_HEADER


def version(queue, _):
    queue.send(pdu.icreq(pfv=7))
    return UNSUPPORTED


def alignment(queue, _):
    queue.send(pdu.icreq(hpda=3))
    return UNSUPPORTED


def command_before_icreq(queue, _):
    queue.capsule(pdu.sqe(READ, 1))
    return SEQUENCE


def icreq_twice(queue, _):
    queue.initialize()
    queue.send(pdu.icreq())
    return SEQUENCE


def icreq_with_digest(queue, _):
    queue.initialize(digests=1)
    queue.send(pdu.icreq(hdgst=True))
    return SEQUENCE


def header_digest(queue, _):
    queue.initialize(digests=1)
    command = bytearray(pdu.build(Type.COMMAND, pdu.sqe(READ, 1), hdgst=True))
    command[-1] ^= 1
    queue.send(command)
    return BAD_DIGEST


def unsolicited_data(_, host):
    queue = host.queue(1)
    queue.h2c_data(1, 3, 0, bytes(512))
    return OUT_OF_RANGE, queue


def _r2t(host, number=1, block=0):
    """A queue, and an R2T for 8 KiB on it."""
    queue = host.queue(number)
    queue.command(WRITE, nsid=1, length=8192, cdw10=read_write(block, 16))
    answer = queue.receive()
    assert answer.type == Type.R2T, answer
    return queue, answer.transfer[1]


def data_at_a_wrong_offset(_, host):
    queue, tag = _r2t(host)
    queue.h2c_data(queue.cid, tag, 4096, bytes(4096))
    return OUT_OF_RANGE, queue


def more_data_than_asked_for(_, host):
    queue, tag = _r2t(host)
    queue.h2c_data(queue.cid, tag, 0, bytes(16384))
    return OUT_OF_RANGE, queue


def data_of_another_command(_, host):
    queue, tag = _r2t(host)
    queue.h2c_data(queue.cid + 1, tag, 0, bytes(8192))
    return BAD_HEADER, queue


def data_with_a_giant_plen(_, host):
    queue, tag = _r2t(host)
    queue.h2c_data(queue.cid, tag, 0, bytes(8192), plen=0xFFFFFFFF)
    return OUT_OF_RANGE, queue


def half_closed(_, host):
    """It will say nothing more, in the middle of a write, but would listen."""
    queue, _tag = _r2t(host)
    queue.socket.shutdown(socket.SHUT_WR)
    return NOTHING, queue


def data_with_an_unknown_tag(_, host):
    queue, _tag = _r2t(host)
    queue.h2c_data(1, 0xFFFE, 0, bytes(8192))
    return OUT_OF_RANGE, queue


def data_of_a_wrong_length(_, host):
    queue, tag = _r2t(host)
    queue.h2c_data(queue.cid, tag, 0, bytes(4096), length=8192)
    return OUT_OF_RANGE, queue


def wrong_length_of_a_command(_, host):
    queue = host.queue(1)
    queue.capsule(pdu.sqe(READ, 1, nsid=1, length=512, cdw10=read_write(0, 1)), plen=0xFFFFFFFF)
    return BAD_HEADER, queue


def capsule_without_its_data(_, host):
    """Whose PDU ends before the data do."""
    queue = host.queue(1)
    fields = {"nsid": 1, "length": 4096, "sgl": pdu.IN_CAPSULE, "cdw10": read_write(0, 8)}
    queue.capsule(pdu.sqe(WRITE, 1, **fields), bytes(512))
    return BAD_HEADER, queue


def capsule_with_too_much_data(_, host):
    """Of which the header tells. A target that ends the connection meanwhile must not keep it from being sent."""
    queue = host.queue(1)
    fields = {"nsid": 1, "length": 65536, "sgl": pdu.IN_CAPSULE, "cdw10": read_write(0, 128)}
    queue.send(pdu.build(Type.COMMAND, pdu.sqe(WRITE, 1, **fields), bytes(65536))[:4096])
    return TOO_MUCH, queue


def large_capsule_of_an_admin_command(_, host):
    """Whatever is configured for other queues."""
    fields = {"length": 8196, "sgl": pdu.IN_CAPSULE, "cdw10": struct.pack("<I", 1)}
    host.admin.send(pdu.build(Type.COMMAND, pdu.sqe(SET_FEATURES, 1, **fields), bytes(8196))[:4096])
    return TOO_MUCH, host.admin


def fatal_after_a_failure(_, host):
    """nvmet ends no controller twice, and one that the host has made fail counts as ended."""
    _fail(host)
    host.admin.send(pdu.build(0x42, bytes(64)))
    return BAD_HEADER, host.admin


def capsule_beyond_a_pdu(_, host):
    """Where capsules may be as large as a PDU."""
    queue = host.queue(1)
    length = (4 << 20) + 512
    fields = {"nsid": 1, "length": length, "sgl": pdu.IN_CAPSULE, "cdw10": read_write(0, length // 512)}
    queue.send(pdu.build(Type.COMMAND, pdu.sqe(WRITE, 1, **fields), bytes(length))[:4096])
    return TOO_MUCH, queue


def wrong_length_and_damaged(_, host):
    """A damaged header is called that, whatever it says."""
    queue = host.queue(1, digests=1)
    command = bytearray(pdu.build(Type.COMMAND, pdu.sqe(READ, 1), hdgst=True))
    command[5] ^= 1
    queue.send(command)
    return BAD_DIGEST, queue


def data_twice(_, host):
    queue, tag = _r2t(host, block=ELSEWHERE)
    queue.h2c_data(queue.cid, tag, 0, bytes(8192))
    queue.h2c_data(queue.cid, tag, 0, bytes(8192))
    return OUT_OF_RANGE, queue


def data_after_the_end(_, host):
    queue, tag = _r2t(host, block=ELSEWHERE)
    queue.h2c_data(queue.cid, tag, 0, bytes(8192))
    queue.finish()
    queue.h2c_data(queue.cid, tag, 8192, bytes(512))
    return OUT_OF_RANGE, queue


def data_in_a_wrong_order(_, host):
    queue, tag = _r2t(host)
    queue.h2c_data(queue.cid, tag, 0, bytes(2048), last=False)
    queue.h2c_data(queue.cid, tag, 4096, bytes(2048), last=False)
    return OUT_OF_RANGE, queue


def data_of_no_length(_, host):
    queue, tag = _r2t(host)
    queue.h2c_data(queue.cid, tag, 0, b"")
    return OUT_OF_RANGE, queue


def data_of_giant_length(_, host):
    queue, tag = _r2t(host)
    queue.h2c_data(queue.cid, tag, 0, b"", length=0xFFFFFFE8, plen=0)
    return OUT_OF_RANGE, queue


def data_for_a_read(_, host):
    """Whose tag is the first of the queue."""
    queue = host.queue(1)
    read = pdu.build(Type.COMMAND, pdu.sqe(READ, 1, nsid=1, length=512, cdw10=read_write(0, 1)))
    queue.send(read + pdu.h2c_data(1, 0, 0, bytes(512)))
    return OUT_OF_RANGE, queue


def damaged_data(_, host):
    queue = host.queue(1, digests=2)
    queue.command(WRITE, nsid=1, length=8192, cdw10=read_write(0, 16))
    tag = queue.receive().transfer[1]
    wrong = bytearray(pdu.h2c_data(queue.cid, tag, 0, bytes(8192), ddgst=True))
    wrong[-1] ^= 1
    queue.send(wrong)
    return NOTHING, queue


def damaged_data_in_the_capsule(_, host):
    queue = host.queue(1, digests=2)
    fields = {"nsid": 1, "length": 4096, "sgl": pdu.IN_CAPSULE, "cdw10": read_write(0, 8)}
    wrong = bytearray(pdu.build(Type.COMMAND, pdu.sqe(WRITE, 1, **fields), bytes(4096), ddgst=True))
    wrong[-1] ^= 1
    queue.send(wrong)
    return NOTHING, queue


def more_commands_than_entries(_, host):
    queue = host.queue(1, entries=16)
    queue.command(READ, nsid=1, length=1 << 20, cdw10=read_write(0, 2048))
    command = pdu.build(Type.COMMAND, pdu.sqe(READ, 2, nsid=1, length=1 << 20, cdw10=read_write(0, 2048)))
    queue.send(command * 64)
    return NOTHING, queue


def end_of_conversation(_, host):
    queue = host.queue(1)
    queue.send(pdu.build(Type.H2C_TERM, bytes(16)))
    return NOTHING, queue


def data_of_a_target(queue, _):
    queue.initialize()
    queue.send(pdu.build(Type.C2H_DATA, bytes(16), bytes(512)))
    return BAD_HEADER


def header_of_no_length(queue, _):
    queue.initialize()
    queue.send(pdu.build(Type.COMMAND, bytes(64), hlen=0))
    return BAD_HEADER


# What the target says about each. Nothing, if that is no error, or if only the dropping tells (not each of a crowd is told of).
PROVOCATIONS = {
    wrong_length_of_a_command: "a command of 4294967295 bytes with 0 bytes of data",
    capsule_without_its_data: "a command of 584 bytes with 4096 bytes of data",
    capsule_with_too_much_data: "a command of 65608 bytes with 65536 bytes of data",
    large_capsule_of_an_admin_command: "a command of 8268 bytes with 8196 bytes of data",
    fatal_after_a_failure: "unexpected pdu type 66",
    wrong_length_and_damaged: "header digest error",
    data_twice: "unexpected data offset 0",
    data_after_the_end: "invalid command state",
    data_in_a_wrong_order: "unexpected data offset 4096",
    data_of_no_length: "H2CData PDU len 0 is invalid",
    data_of_giant_length: "H2CData PDU len 4294967272 is invalid",
    data_for_a_read: "unsolicited H2CData",
    damaged_data: "data digest error",
    damaged_data_in_the_capsule: "data digest error",
    more_commands_than_entries: "out of commands",
    end_of_conversation: "unexpected pdu type 2",
    data_of_a_target: "unexpected pdu type 7",
    header_of_no_length: "pdu 4 bad hlen 0",
    unknown_type: "unexpected pdu type 66",
    answer_of_a_target: "unexpected pdu type 5",
    wrong_header_length: "pdu 4 bad hlen 71",
    wrong_length_of_icreq: "bad nvme-tcp pdu length",
    version: "bad pfv 7",
    alignment: "unsupported hpda 3",
    command_before_icreq: "before icreq",
    icreq_twice: "received icreq pdu in state",
    icreq_with_digest: None,
    header_digest: "header digest error",
    unsolicited_data: "unsolicited H2CData",
    data_at_a_wrong_offset: "unexpected data offset 4096",
    more_data_than_asked_for: "failed to build PDU iovec",
    data_of_another_command: "data of command 0x[0-9a-f]+ with the tag of another",
    data_with_a_giant_plen: "H2CData PDU len 8192 is invalid",
    half_closed: None,
    data_with_an_unknown_tag: "received out of bound ttag 65534",
    data_of_a_wrong_length: "H2CData PDU len 8192 is invalid",
}


def provoke(address, port, nqn, *names):
    failed = 0
    log = kmsg.Log()
    for provocation in [globals()[name] for name in names] or PROVOCATIONS:
        queue = Connection(address, port)
        host = Host(address, port, nqn)
        expected = provocation(queue, host)
        if isinstance(expected, tuple):
            expected, queue = expected
        try:
            # Commands that were in order may have been answered first.
            while (told := queue.receive()).type in (Type.RESPONSE, Type.C2H_DATA):
                pass
            status = told.fault[0] if told.type == Type.C2H_TERM else told
        except Closed:
            status = NOTHING
        except (struct.error, AssertionError) as error:
            status = repr(error)
        message = PROVOCATIONS.get(provocation)
        good = status == expected and queue.ended(30) and (not message or log.says(message))
        failed += not good
        print("ok" if good else "FAILED", provocation.__name__, "expected", expected, "got", status, "said", message, flush=True)
        queue.close()
        host.admin.close()
    sys.exit(failed > 0)


def main(address, port, nqn, kind, *rest):
    globals()[kind](address, int(port), nqn, *rest)


if __name__ == "__main__":
    main(*sys.argv[1:])
