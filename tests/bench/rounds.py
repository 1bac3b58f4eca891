# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: sides, interleaved rounds, and the table.

Machines are noisy and shared. So both sides are measured in the same rounds, in an order that alternates, each in one process
of its own that lives through all rounds; what counts is the ratio within a round, and its median over the rounds.
"""
import os
import platform
import random
import statistics
import subprocess


class Unable(Exception):
    """A side cannot do what it is asked; the text is the reason."""


class Side:
    """A program that obeys the lines of weightfs.c."""

    def __init__(self, name, *command):
        self.name, self.command, self.process = name, command, None

    def start(self):
        if not os.access(self.command[0], os.X_OK):
            raise Unable("not built (it needs cargo and crates from the registry)" if self.name == "crate" else "no program")
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, verb, path, count=1):
        """Nanoseconds of one of `count`."""
        if not self.process:
            self.start()
        self.process.stdin.write(f"{verb} {count} {path}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().rstrip("\n")
        if not answer.startswith("ok "):
            raise Unable(answer.removeprefix("error ") or "it died")
        return int(answer.split()[1]) / count

    def peak(self):
        """The most memory the process has ever had, in bytes (ru_maxrss would remember the parent's as well)."""
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        raise Unable("no VmHWM")

    def stop(self):
        if self.process:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
            self.process = None


def interleave(jobs, rounds, few=None):
    """{name: function that measures once} -> {name: [one measurement a round]}, and {name: reason} of those that cannot.
    `few`: {name: rounds} of those that take part in the first rounds only."""
    measured, unable = {}, {}
    for name, job in jobs.items():
        try:
            job()  # warms up, and is not counted
            measured[name] = []
        except Unable as error:
            unable[name] = str(error)
    for number, order in enumerate(orders(list(measured), rounds)):
        for name in order:
            if number < (few or {}).get(name, rounds):
                measured[name].append(jobs[name]())
    return measured, unable


def orders(names, rounds):
    """An order for each round: every second one is the one before reversed, and new neighbours after that."""
    chance = random.Random(1)
    for number in range(rounds):
        if number % 2 == 0 and number > 0:
            chance.shuffle(names)
        yield names[:: -1 if number % 2 else 1]


class Table:
    """Rows of Markdown, and whether every goal was met."""

    HEAD = ("what", "side", "median", "weightfs / side", "range", "goal")

    def __init__(self):
        self.rows, self.skipped, self.missed, self.judged = [], [], [], 0

    def add(self, what, measured, unable, goals=None, rounds=None):
        """`goals`: {side: (the most that weightfs / side may be, what is aimed at or None)}."""
        ours = measured.get("weightfs")
        for name, reason in unable.items():
            self.skipped.append(f"SKIP {what}: {name}: {reason}")
        for name, times in measured.items():
            row = [f"{what} ({rounds} rounds)" if name == "weightfs" else "", name, duration(statistics.median(times)), "", "", ""]
            if ours and name != "weightfs":
                ratios = sorted(mine / other for mine, other in zip(ours, times))
                row[3] = f"{statistics.median(ratios):.3f}"
                row[4] = f"{ratios[0]:.3f} to {ratios[-1]:.3f}"
                if goals and name in goals:
                    row[5] = self.judge(f"{what}, weightfs / {name}", statistics.median(ratios), *goals[name])
            self.rows.append(row)

    def add_memory(self, what, sizes, unable, limit, unit, unit_name):
        for name, reason in unable.items():
            self.skipped.append(f"SKIP {what}: {name}: {reason}")
        for name, size in sizes.items():
            row = [what if name == "weightfs" else "", name, mebibytes(size), "", f"{size / unit:.2f} x {unit_name}", ""]
            if name == "weightfs":
                row[5] = self.judge(what, size, limit, form=mebibytes)
            else:
                row[3] = f"{sizes['weightfs'] / size:.3f}" if "weightfs" in sizes else ""
            self.rows.append(row)

    def judge(self, what, value, limit, aim=None, form="{:.3g}".format):
        self.judged += 1
        aimed = "" if aim is None else f"; {form(aim)}: {'met' if value <= aim else 'not met'}"
        if value <= limit:
            return f"at most {form(limit)}: met{aimed}"
        self.missed.append(f"MISSED {what}: {form(value)}, at most {form(limit)}")
        return f"at most {form(limit)}: MISSED{aimed}"

    def show(self):
        widths = [max(len(row[column]) for row in [self.HEAD, *self.rows]) for column in range(len(self.HEAD))]
        for row in [self.HEAD, ["-" * width for width in widths], *self.rows]:
            print("|", " | ".join(cell.ljust(width) for cell, width in zip(row, widths)), "|")
        print(*["", *self.skipped, *self.missed], sep="\n")


def duration(nanoseconds):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.0f} ns"


def mebibytes(size):
    return f"{size / (1 << 20):.1f} MiB"


def machine():
    processor = "unknown processor"
    with open("/proc/cpuinfo") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{os.cpu_count()} x {processor}, {memory:.0f} GiB, Linux {platform.release()}, load {load}"
