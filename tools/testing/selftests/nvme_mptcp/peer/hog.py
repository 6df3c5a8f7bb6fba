#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""More memory than there is.

hog.py MIB FILE    fills so much memory, each page with something of its own, and then reads and changes all of it again
                   and again until FILE exists. Pages that are only read are not written to the disk again.
"""

import itertools
import mmap
import os
import random
import struct
import sys

PAGE = mmap.PAGESIZE
size = int(sys.argv[1]) << 20
memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
# Something that is neither zero nor the same twice in a page.
filler = random.randbytes(PAGE - 16)


def page(offset: int, number: int) -> bytes:
    """What is in the page at `offset` after so many passes."""
    return struct.pack("<QQ", offset, number) + filler


for offset in range(0, size, PAGE):
    memory[offset : offset + PAGE] = page(offset, 0)
for number in itertools.count(1):
    for offset in range(0, size, PAGE):
        if memory[offset : offset + PAGE] != page(offset, number - 1):
            sys.exit(f"the page at {offset} has come back wrong")
        memory[offset : offset + PAGE] = page(offset, number)
    print("pass", number, flush=True)
    if os.path.exists(sys.argv[2]):
        break
