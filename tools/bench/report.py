#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Makes report.md and plots of the results.jsonl in a directory: report.py DIR

Every figure is the median of the rounds, with its smallest and largest value behind it.
"""
import json
import statistics
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PEERS = ["tcp", "numa", "round-robin", "queue-depth", "queue-depth-bbr", "mptcp", "mptcp-1", "mptcp-bbr"]
NAMES = {"tcp": "nvme-tcp, 1 NIC", "numa": "native, numa", "round-robin": "native, round-robin",
         "queue-depth": "native, queue-depth", "mptcp": "nvme-mptcp", "mptcp-1": "nvme-mptcp, 1 NIC",
         "queue-depth-bbr": "native, queue-depth, BBR for all", "mptcp-bbr": "nvme-mptcp, congestion=bbr"}
TITLES = {"cpu": "No rate limit: what the processor can do", "equal": "Four equal NICs",
          "unequal": "Four NICs, one at half speed", "lossy": "Four NICs, 0.5 % loss and 5 ms each way"}
MIB = 2 ** 20
# What the headers of Ethernet, IP and TCP leave for data of what tbf and netem count, and those of MPTCP as well.
TCP_PAYLOAD = 1448 / 1514
MPTCP_PAYLOAD = 1428 / 1514


def spread(values, digits=1):
    values = sorted(values)
    text = f"{statistics.median(values):.{digits}f}"
    if len(values) > 1:
        text += f" ({values[0]:.{digits}f}-{values[-1]:.{digits}f})"
    return text


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


class Report:
    def __init__(self, directory):
        self.dir = Path(directory)
        lines = [json.loads(line) for line in (self.dir / "results.jsonl").open()]
        self.facts = next(line["facts"] for line in lines if "facts" in line)
        self.runs = [line for line in lines if "case" in line]
        self.rate = float(self.facts["rate"])
        self.text = []

    def select(self, **want):
        return [run for run in self.runs if all(run.get(key) == value for key, value in want.items())]

    def values(self, key, **want):
        return [run[key] for run in self.select(**want)]

    def say(self, *text):
        self.text.extend(text)

    def save(self, name):
        plt.tight_layout()
        plt.savefig(self.dir / f"{name}.svg")
        plt.close()
        self.say(f"![{name}]({name}.svg)\n")

    def peers(self, case):
        return [peer for peer in PEERS if self.select(case=case, peer=peer)]

    def loads(self, case):
        return sorted({(run["bs"], -run["depth"], run["rw"]) for run in self.select(case=case)})

    def throughput(self, case, raw=None):
        """One table a case, one row a peer and load."""
        if not self.select(case=case):
            return
        self.say(f"## {TITLES[case]}\n")
        if raw:
            self.say(f"Raw sum of the links: {raw:.1f} MiB/s, less TCP's headers: {raw * TCP_PAYLOAD:.1f}, "
                     f"less MPTCP's as well: {raw * MPTCP_PAYLOAD:.1f} (for an MTU of 1500).\n")
        rows = []
        for bs, depth, rw in self.loads(case):
            for peer in self.peers(case):
                want = {"case": case, "peer": peer, "bs": bs, "depth": -depth, "rw": rw}
                runs = self.select(**want)
                if not runs:
                    continue
                cpu = "s/GiB" if bs == "128k" else "us/IO"
                cost = [run["cpus"] * 1024 / run["mib_s"] if bs == "128k" else run["cpus"] * 1e6 / run["iops"]
                        for run in runs]
                rows.append([f"{bs} {rw}, depth {-depth}", NAMES[peer], spread(self.values("mib_s", **want)),
                             spread(self.values("mean_us", **want), 0), spread(self.values("p99_us", **want), 0),
                             spread(cost) + " " + cpu])
        self.say(table(["load", "peer", "MiB/s", "mean us", "p99 us", "CPU"], rows))
        self.bars(case, raw)

    def bars(self, case, raw):
        loads = self.loads(case)
        peers = self.peers(case)
        plt.figure(figsize=(1.6 + 1.5 * len(loads), 3.6))
        for number, peer in enumerate(peers):
            values = []
            for bs, depth, rw in loads:
                runs = self.values("mib_s", case=case, peer=peer, bs=bs, depth=-depth, rw=rw)
                values.append(statistics.median(runs) if runs else 0)
            width = 0.8 / len(peers)
            plt.bar([i + number * width for i in range(len(loads))], values, width, label=NAMES[peer])
        if raw:
            plt.axhline(raw * MPTCP_PAYLOAD, color="black", linewidth=0.8, linestyle=":")
        plt.xticks([i + 0.4 for i in range(len(loads))], [f"{bs} {rw}\ndepth {-depth}" for bs, depth, rw in loads],
                   fontsize=7)
        plt.ylabel("MiB/s")
        plt.legend(fontsize=7)
        self.save(case)

    def pull(self):
        if not self.select(case="pull"):
            return
        self.say("## One of four NICs dies at full load\n",
                 "64 KiB random read, depth 64. *Stall*: the longest time of one I/O. *Back*: until throughput is "
                 "90 % of three NICs' for a second.\n")
        rows = []
        for how in ("down", "silent"):
            plt.figure(figsize=(7, 3))
            for peer in self.peers("pull"):
                runs = self.select(case="pull", peer=peer, how=how)
                if not runs:
                    continue
                rows.append([{"down": "carrier lost", "silent": "packets vanish"}[how], NAMES[peer],
                             spread([run["error"] for run in runs], 0), spread([run["resets"] for run in runs], 0),
                             spread([run["max_us"] / 1e6 for run in runs], 2), spread([self.back(run) for run in runs])])
                log = runs[0]["log"]
                plt.plot([(time - runs[0]["at"]) / 1000 for time, _ in log], [rate / 1024 for _, rate in log],
                         linewidth=1, label=NAMES[peer])
            plt.xlabel(f"seconds after the NIC's death ({how})")
            plt.ylabel("MiB/s")
            plt.legend(fontsize=7)
            self.save(f"pull-{how}")
        self.say(table(["death", "peer", "I/O errors", "resets", "stall s", "back s"], rows))

    @staticmethod
    def back(run):
        """Seconds from the death until a second at 90 % of three quarters of what it was before."""
        log, at = run["log"], run["at"]
        before = [rate for time, rate in log if at - 4000 < time < at]
        wanted = 0.9 * 0.75 * sum(before) / max(1, len(before))
        for start, _ in log:
            second = [rate for time, rate in log if start <= time < start + 1000]
            if start >= at and len(second) >= 5 and sum(second) / 10 >= wanted:
                return (start - at) / 1000
        return float("nan")

    def scale(self):
        if not self.select(case="scale"):
            return
        self.say("## 1 to 8 NICs\n", f"nvme-mptcp, 128 KiB, NICs of {self.rate / 2:.0f} Mbit/s.\n")
        counts = sorted({run["nics"] for run in self.select(case="scale")})
        rows = []
        plt.figure(figsize=(4.5, 3))
        for rw in ("read", "write"):
            medians = [statistics.median(self.values("mib_s", case="scale", nics=n, rw=rw)) for n in counts]
            plt.plot(counts, medians, marker="o", label=rw)
            for n, median in zip(counts, medians):
                rows.append([rw, str(n), spread(self.values("mib_s", case="scale", nics=n, rw=rw)),
                             f"{median / (medians[0] * n):.2f}"])
        plt.xlabel("NICs")
        plt.ylabel("MiB/s")
        plt.legend(fontsize=7)
        self.save("scale")
        self.say(table(["", "NICs", "MiB/s", "of linear"], rows))

    def goals(self):
        """The goals of the project, next to what was measured."""
        def median(key, **want):
            values = self.values(key, **want)
            return statistics.median(values) if values else None

        rows = []

        def row(what, bar, value, ok):
            rows.append([what, bar, value, "yes" if ok else "**no**"])

        for bs, depth, bar in (("128k", 64, 1.0), ("4k", 64, 0.9)):
            for rw in ("read", "write"):
                want = {"case": "cpu", "bs": bs, "depth": depth, "rw": rw}
                a, b = median("mib_s", peer="mptcp", **want), median("mib_s", peer="tcp", **want)
                if a and b:
                    row(f"{bs} {rw}, depth {depth}, no rate limit", f">= {bar} x nvme-tcp", f"{a / b:.2f}", a / b >= bar)
        for rw in ("read", "write"):
            want = {"case": "cpu", "bs": "4k", "depth": 1, "rw": rw}
            a, b = median("mean_us", peer="mptcp", **want), median("mean_us", peer="tcp", **want)
            if a and b:
                row(f"4k {rw}, depth 1, mean latency", "<= 1.15 x nvme-tcp", f"{a / b:.2f}", a / b <= 1.15)
        raw = 4 * self.rate * 1e6 / 8 / MIB
        for case, share, total in (("equal", 0.95, raw), ("unequal", 0.94, raw * 7 / 8)):
            for rw in ("read", "write"):
                a = median("mib_s", case=case, peer="mptcp", rw=rw)
                if a:
                    row(f"{TITLES[case]}, {rw}", f">= {share:.0%} of the sum", f"{a / total:.1%}", a / total >= share)
        for rw in ("read", "write"):
            native = [median("mib_s", case="lossy", peer=peer, rw=rw) for peer in ("round-robin", "queue-depth")]
            for peer, how in (("mptcp", "cubic"), ("mptcp-bbr", "congestion=bbr")):
                a = median("mib_s", case="lossy", peer=peer, rw=rw)
                if a and all(native):
                    row(f"loss, {rw}, {how}", ">= 1.6 x the better native policy (cubic)", f"{a / max(native):.2f}",
                        a / max(native) >= 1.6)
        runs = self.select(case="pull", peer="mptcp")
        if runs:
            stall = max(run["max_us"] for run in runs) / 1e6
            errors, resets = (sum(run[key] for run in runs) for key in ("error", "resets"))
            row("one NIC dies", "0 errors, 0 resets, stall <= 1.0 s", f"{errors}, {resets}, {stall:.2f} s",
                not errors and not resets and stall <= 1)
        for rw in ("read", "write"):
            counts = sorted({run["nics"] for run in self.select(case="scale")})
            if counts:
                one, most = (median("mib_s", case="scale", nics=n, rw=rw) for n in (counts[0], counts[-1]))
                value = most / one / (counts[-1] / counts[0])
                row(f"{counts[0]} to {counts[-1]} NICs, {rw}", ">= 0.93 x linear", f"{value:.2f}", value >= 0.93)
        if rows:
            self.say("## The goals, and whether they are met\n", table(["case", "goal", "measured", "met"], rows))

    def write(self):
        facts = self.facts
        self.say("# Results of `make bench`\n",
                 f"{facts['date']}, commit {facts['commit']}, kernel {facts['kernel']}, {facts['machine']}"
                 f" ({facts['fio']}); NICs of {facts['rate']} Mbit/s; {facts['rounds']} rounds, interleaved. Median"
                 " (smallest-largest). CPU is that of the whole virtual machine, host and target.\n")
        self.goals()
        raw = 4 * self.rate * 1e6 / 8 / MIB
        self.throughput("cpu")
        self.throughput("equal", raw)
        self.throughput("unequal", raw * 7 / 8)
        self.throughput("lossy", raw)
        self.pull()
        self.scale()
        (self.dir / "report.md").write_text("\n".join(self.text))


if __name__ == "__main__":
    Report(sys.argv[1]).write()
