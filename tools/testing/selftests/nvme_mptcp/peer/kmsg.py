# SPDX-License-Identifier: GPL-2.0
"""What the kernel says."""

import os
import re


class Log:
    """The kernel's log, from now on."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def lines(self):
        """Those since the last time."""
        while True:
            try:
                yield os.read(self.fd, 8192).decode(errors="replace").partition(";")[2].split("\n")[0]
            except BlockingIOError:
                return
            except BrokenPipeError:  # overwritten before it was read
                continue

    def says(self, regex):
        """Whether one of them matches."""
        return any([re.search(regex, line) for line in self.lines()])
