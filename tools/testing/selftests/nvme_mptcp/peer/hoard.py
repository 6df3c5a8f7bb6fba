#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Fills a TCP connection that nobody reads, and keeps it: a few MiB of what all of TCP may have."""

import socket
import time

SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
SIZE = 8 << 20

listener = socket.create_server(("127.0.0.1", 0))
listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, SIZE)
writer = socket.create_connection(listener.getsockname())
writer.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, SIZE)
reader, _ = listener.accept()
writer.setblocking(False)
try:
    while writer.send(bytes(65536)):
        pass
except BlockingIOError:
    print("ready", flush=True)
time.sleep(1000)
