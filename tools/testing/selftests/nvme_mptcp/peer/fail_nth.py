#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Does one system call again and again; the first time its first allocation fails, then its second, and so on, until it
is through without a failure (/proc/self/fail-nth, of kernels with fault injection). Which allocations count is up to
the filters of failslab and fail_page_alloc.

fail_nth.py UNDO write FILE TEXT      fail_nth.py UNDO link TARGET NAME

UNDO is run by a shell after each call that has succeeded. Prints what came of each call.
"""

import errno
import itertools
import os
import subprocess
import sys


def call(what, first, second):
    if what == "link":
        return lambda: os.symlink(first, second)
    text = second.encode()

    def write():
        file = os.open(first, os.O_RDWR)
        try:
            os.write(file, text)
        finally:
            os.close(file)

    return write


def main(undo, what, first, second):
    work = call(what, first, second)
    control = os.open("/proc/thread-self/fail-nth", os.O_RDWR)
    for nth in itertools.count(1):
        os.pwrite(control, str(nth).encode(), 0)
        try:
            work()
            result = "succeeded"
        except OSError as error:
            result = errno.errorcode[error.errno]
        left = int(os.pread(control, 20, 0))
        os.pwrite(control, b"0", 0)
        print(nth, result, "without a failure" if left else "", flush=True)
        if result == "succeeded":
            subprocess.run(undo, shell=True, check=True)
        if left:
            sys.exit(result != "succeeded")


if __name__ == "__main__":
    main(*sys.argv[1:])
