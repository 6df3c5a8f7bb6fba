#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Memory that is used again as soon as the kernel says that it is done with it.

recycle.py write DISK OFFSET LENGTH    writes OLD from its own pages, without a cache, waits until that has ended in
                                       success or in an error, fills the same pages with NEW at once, and holds them
                                       until its stdin ends
recycle.py print OLD|NEW LENGTH        so many bytes of it, for comparison
recycle.py watch NIC...                prints a line for each packet that arrives by a NIC and has some of OLD or NEW

Each line begins with the time: "TIME written", "TIME failed ERRNO", "TIME NIC OLD".
"""

import mmap
import os
import selectors
import socket
import sys
import time

# As long as one another, and so often in each packet with data that its cuts do not matter.
OLD, NEW = b"old page content", b"new page content"
# Of the kernel; Python has no names for them.
ETH_P_ALL, SO_RCVBUFFORCE = 3, 33


def say(*words):
    print(f"{time.monotonic():.6f}", *words, flush=True)


def write(disk, offset, length):
    pages = mmap.mmap(-1, length)
    pages[:] = OLD * (length // len(OLD))
    fd = os.open(disk, os.O_RDWR | os.O_DIRECT)
    try:
        os.pwrite(fd, pages, offset)
        result = ["written"]
    except OSError as error:
        result = ["failed", error.errno]
    pages[:] = NEW * (length // len(NEW))
    say(*result)
    sys.stdin.read()


def watch(*nics):
    selector = selectors.DefaultSelector()
    for nic in nics:
        sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        sniffer.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        sniffer.bind((nic, ETH_P_ALL))
        selector.register(sniffer, selectors.EVENT_READ, nic)
    say("watching")
    while True:
        for key, _ in selector.select():
            packet, address = key.fileobj.recvfrom(1 << 17)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            for pattern, name in (OLD, "OLD"), (NEW, "NEW"):
                if pattern in packet:
                    say(key.data, name)


if sys.argv[1] == "write":
    write(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
elif sys.argv[1] == "print":
    sys.stdout.buffer.write({"OLD": OLD, "NEW": NEW}[sys.argv[2]] * (int(sys.argv[3]) // len(OLD)))
else:
    watch(*sys.argv[2:])
