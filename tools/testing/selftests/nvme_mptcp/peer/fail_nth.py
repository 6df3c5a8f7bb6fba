#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Does one thing again and again; the first time its first allocation fails, then its second, and so on, until it is
through without a failure (/proc/PID/fail-nth, of kernels with fault injection). Which allocations count is up to the
filters of failslab and fail_page_alloc. Those of this process count, and those of the kernel's workers if it is they
who do the work.

fail_nth.py [--most ROUNDS] [--times N] WHAT ARGUMENT...

    connect OPTIONS             a controller, deleted again if it is there
    enable SUBSYSTEM PORT       a port
    accept ADDRESS PORT NQN     a host's connections, with some I/O
    io OPTIONS                  of a controller, which is connected anew if it is lost
    reset OPTIONS               of one
    disconnect OPTIONS          of one, always anew

A place is where it leaves our code: the calls in it, by address, and what it calls. Most of the allocations of one
place are of no interest: the nvme core alone makes a hundred files in sysfs. So steps get longer while the place remains
the same, and what has been skipped is looked at only where the place has changed meanwhile.

The number of allocations differs from round to round, for what was left over of the one before. So what is quick is
done N times from the beginning.

Prints a line for each round: its number, what came of it, and the places of the allocations that have failed.
"""

import argparse
import contextlib
import errno
import glob
import mmap
import os
import re
import sys
import time

import host
import kmsg

FABRICS = "/dev/nvme-fabrics"
LONGEST_STEP = 32
PATIENCE = 400


def write(path, text):
    with open(path, "wb", buffering=0) as file:
        file.write(text.encode())


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def wait_for(what, condition):
    """Longer than any time-out of the kernel's."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE} s in vain for {what}")
        time.sleep(0.02)


def identifiers(name):
    """The readable parts of a symbol's name, of Rust's: it is mangled."""
    if not name.startswith("_R"):
        return [name]
    found, at = [], 2
    while at < len(name):
        if digits := re.compile(r"\d+").match(name, at):
            start = digits.end() + (name[digits.end() : digits.end() + 1] == "_")
            at = start + int(digits[0])
            found.append(name[start:at])
        elif skip := re.compile(r"(Cs|B|s)[0-9A-Za-z]*_").match(name, at):
            at = skip.end()
        else:
            at += 1
    return found


def readable(frame):
    """A frame without the crate, and without offset and size but for the first, which tells calls apart."""
    name, _, offset = frame.partition("+")
    parts = identifiers(name)
    return "::".join(parts[1:][-3:] or parts), offset.split("/")[0]


class Failures:
    """What the kernel says about allocations that have failed; unless they expect to, and are done in another way then."""

    LAST = re.compile(r"^dump_stack|^should_fail|^rust_helper_")

    def __init__(self):
        self.log = kmsg.Log()

    def places(self):
        """Of those since the last time."""
        places, frames = [], None
        for line in self.log.lines():
            line = line.strip()
            if line.startswith("FAULT_INJECTION: forcing"):
                frames = []
            elif line == "</TASK>" and frames is not None:
                places.append(self._place(frames))
                frames = None
            elif frames is not None and re.match(r"[\w.]+\+0x", line):
                frames.append(line)
        return tuple(places)

    def _place(self, frames):
        frames = [frame for frame in frames if not self.LAST.match(frame)]
        ours = [i for i, frame in enumerate(frames) if frame.endswith("_mptcp]")]
        if not ours:
            return "elsewhere"
        called = frames[ours[0] - 1] if ours[0] else "?"
        calls = [" ".join(filter(None, readable(frames[i].split()[0]))) for i in ours]
        return " < ".join([readable(called.split()[0])[0], *calls])


def kworkers():
    for path in glob.glob("/proc/[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if read(path).startswith("kworker"):
                yield f"{os.path.dirname(path)}/fail-nth"


class Action:
    """Something that is done with failures. `workers`: by the kernel's workers."""

    workers = False

    def prepare(self):
        """Before each time, without failures."""

    def undo(self):
        """After each time that it has succeeded."""

    def finish(self):
        """After all."""


class Connect(Action):
    def __init__(self, options):
        self.options = options
        self.ctrl = None

    def do(self):
        device = os.open(FABRICS, os.O_RDWR)
        try:
            os.write(device, self.options.encode())
            self.ctrl = "nvme" + re.search(r"instance=(\d+)", os.read(device, 200).decode())[1]
        finally:
            os.close(device)

    def attribute(self, name):
        return f"/sys/class/nvme/{self.ctrl}/{name}"

    def state(self):
        try:
            return read(self.attribute("state"))
        except OSError:
            return None

    def there(self):
        return self.state() is not None

    def delete(self):
        write(self.attribute("delete_controller"), "1")
        wait_for("the deletion", lambda: not self.there())

    def undo(self):
        self.delete()


class Enable(Action):
    def __init__(self, subsystem, port):
        self.subsystem, self.name = subsystem, f"{port}/subsystems/{os.path.basename(subsystem)}"

    def do(self):
        os.symlink(self.subsystem, self.name)

    def undo(self):
        os.unlink(self.name)


class Accept(Action):
    workers = True

    def __init__(self, address, port, nqn):
        self.target = address, int(port), nqn

    def do(self):
        peer = host.Host(*self.target, timeout=20)
        try:
            queue = peer.queue(1)
            queue.command(host.WRITE, bytes(4096), nsid=1, cdw10=host.read_write(0, 8))
            queue.finish()
            queue.command(host.READ, nsid=1, length=4096, cdw10=host.read_write(0, 8))
            queue.finish()
            queue.close()
        finally:
            peer.admin.close()


class Connected(Connect):
    """A controller that is there and live each time before."""

    workers = True

    def prepare(self):
        wait_for("the controller to be live", self.live)

    def live(self):
        if not self.there():
            super().do()
        return self.state() == "live"

    def undo(self):
        pass

    def finish(self):
        if self.there():
            self.delete()


class Io(Connected):
    def __init__(self, options):
        super().__init__(options)
        self.data, self.back = mmap.mmap(-1, 256 << 10), mmap.mmap(-1, 256 << 10)
        self.written = 0

    def prepare(self):
        super().prepare()
        wait_for("the disk", self.disk)

    def disk(self):
        """With native multipath it belongs to the subsystem."""
        for subsystem in glob.glob(f"/sys/class/nvme-subsystem/*/{self.ctrl}"):
            for disk in os.listdir(os.path.dirname(subsystem)):
                if re.fullmatch(r"nvme\d+n\d+", disk) and os.path.exists(f"/dev/{disk}"):
                    return f"/dev/{disk}"
        return None

    def do(self):
        disk = os.open(self.disk(), os.O_RDWR | os.O_DIRECT)
        try:
            for length in 4096, len(self.data):
                self.written += 1
                self.data[:] = self.written.to_bytes(4, "little") * (len(self.data) // 4)
                written = os.pwritev(disk, [memoryview(self.data)[:length]], 1 << 20)
                read = os.preadv(disk, [memoryview(self.back)[:length]], 1 << 20)
                if written == length == read and self.data[:length] != self.back[:length]:
                    sys.exit("read something else than was written, without an error")
        finally:
            os.close(disk)


class Reset(Connected):
    def do(self):
        write(self.attribute("reset_controller"), "1")


class Disconnect(Connected):
    def do(self):
        self.delete()


ACTIONS = {
    "connect": Connect,
    "enable": Enable,
    "accept": Accept,
    "io": Io,
    "reset": Reset,
    "disconnect": Disconnect,
}


class Rounds:
    def __init__(self, action, most):
        self.action, self.most = action, most
        self.own = os.open("/proc/thread-self/fail-nth", os.O_RDWR)
        self.failures = Failures()
        self.done = 0
        self.armed = []

    def _arm(self, nth):
        self.armed = []
        for path in kworkers() if self.action.workers else ():
            with contextlib.suppress(OSError):
                write(path, str(nth))
                self.armed.append(path)
        os.pwrite(self.own, str(nth).encode(), 0)

    def _disarm(self):
        """Whether anything has failed."""
        failed = int(os.pread(self.own, 20, 0)) == 0
        os.pwrite(self.own, b"0", 0)
        for path in self.armed:
            with contextlib.suppress(OSError):
                failed |= int(read(path)) == 0
                write(path, "0")
        return failed

    def round(self, nth):
        """Lets the allocation number `nth` fail, or the next one that the kernel tells of. Returns where that was, nothing
        if there are not so many. Each is tried twice: what the kernel keeps for itself, as pages for the stacks of
        allocations, it allocates once, and then it is the turn of what came after it.
        """
        failed, places, tries = True, (), 0
        while failed and not places and self.done < self.most:
            failed, places = self.once(nth + tries // 2)
            tries += 1
        return places

    def once(self, nth):
        self.done += 1
        self.action.prepare()
        self.failures.places()
        self._arm(nth)
        try:
            self.action.do()
            result = "succeeded"
        except OSError as error:
            result = errno.errorcode.get(error.errno, type(error).__name__)
        except (host.Closed, AssertionError) as error:
            result = type(error).__name__
        finally:
            failed = self._disarm()
        if result == "succeeded":
            self.action.undo()
        places = self.failures.places()
        print(nth, result, *(f"| {place}" for place in places or ["untold" if failed else "nothing failed"]), flush=True)
        return failed, places

    def between(self, low, before, high, after):
        """Looks at what was skipped, as long as the place changes in it."""
        if high - low < 2 or before == after or self.done >= self.most:
            return
        middle = (low + high) // 2
        place = self.round(middle)
        self.between(low, before, middle, place)
        self.between(middle, place, high, after)

    def all(self):
        nth, step, same, before = 1, 1, 0, self.round(1)
        while before and self.done < self.most:
            place = self.round(nth + step)
            self.between(nth, before, nth + step, place)
            nth, same, before = nth + step, same + 1 if place == before else 0, place
            step = min(step * 2, LONGEST_STEP) if same > 1 else 1
        return not before


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--most", type=int, default=1000)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("what", choices=ACTIONS)
    parser.add_argument("arguments", nargs="+")
    args = parser.parse_args()
    rounds = Rounds(ACTIONS[args.what](*args.arguments), args.most)
    complete = all([rounds.all() for _ in range(args.times)])
    rounds.action.finish()
    print(f"{'complete' if complete else 'not complete'} after {rounds.done} rounds", file=sys.stderr)


if __name__ == "__main__":
    main()
