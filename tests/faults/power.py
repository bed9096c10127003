#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The power fails at every point of a crash, an import, a report and a tick.

  power.py BUILD_DIR [--fs ext4|xfs] [--all] [--only COMMAND:N] [--seed N]

The state lies on an image behind a loop device. A command is stopped behind its n-th call,
some dirty pages are written back as the kernel might have, and the file system is shut
down without writing anything more: what is not in the image was lost. (A copy made while
it runs is of no one moment, and was seen not to mount.) The image is mounted again, which
replays the file system's journal, under another boot id. Then what corefold promises must hold: folds since the last sync
may be missing, nothing else. So

  - the ledger adds up, and knows every crash that was counted before the last sync;
  - every record that is there is counted as kept, with its weight, and no other, and its
    core is whole;
  - the process that was in a crash loop is still throttled;
  - the next crash is handled.

A throttle file of which some pages were written back and others not is rebuilt; how often
is told at the end.

Needs root, mkfs.ext4 and mkfs.xfs, and loop devices; without them it is skipped (77).
"""

import argparse
import ctypes
import fcntl
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

import faults
from sound import Broken, check_core, check_ledger

NOBODY = 65534
CLONE_NEWNS = 0x20000
SHUT_DOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, XFS_IOC_GOINGDOWN
WITHOUT_FLUSH = struct.pack("I", 2)
# Megabytes, how it is made, how it is mounted: copies of the template have its uuid.
MKFS = {
    "ext4": (24, ["mkfs.ext4", "-q", "-F", "-b", "4096", "-J", "size=4"], "loop"),
    "xfs": (300, ["mkfs.xfs", "-q", "-f"], "loop,nouuid"),  # it makes none that is smaller
}
WRITES = ("write", "pwrite64", "fsync", "fdatasync", "linkat", "unlinkat", "renameat",
          "renameat2", "ftruncate", "fallocate", "mkdirat")  # fmt: skip
SYNC_RANGE = 7  # wait, write, wait


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


class Machine:
    def __init__(self, build, fs):
        self.fs = fs
        self.base = tempfile.mkdtemp(prefix="corefold-power.", dir="/var/tmp")
        os.chmod(self.base, 0o755)
        self.path = lambda *parts: os.path.join(self.base, *parts)
        os.mkdir(self.path("bin"))
        for name in ("src/corefold", "src/corefold-keep", "tests/faults/inject"):
            shutil.copy(os.path.join(build, name), self.path("bin"))
        os.mkdir(self.path("mnt"))
        os.mkdir(self.path("mnt/state"))
        with open(self.path("c.conf"), "w") as f:
            f.write(
                "[Throttle]\nCrashLoopLimit=2\nReportEvery=3\nAgeOut=5000h\nPendingMax=1ms\n"
                f"[Store]\nDirectory={self.path('mnt/state')}\nKeepFree=0%\nMaxUse=90%\n"
            )
        with open(self.path("boot_id"), "w") as f:
            f.write("01234567-89ab-cdef-0123-456789abcdef\n")
        os.chmod(self.path("boot_id"), 0o644)
        self.core = faults.make_core(self.path("core"), 1, b"import", b"", 0)
        self.mounted = False
        self.whole = {}
        self.libc = ctypes.CDLL(None, use_errno=True)
        # Mounts of our own: whoever made a namespace meanwhile would hold a dead one.
        if self.libc.unshare(CLONE_NEWNS) != 0:
            skip(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)

    def done(self):
        self.unmount()
        shutil.rmtree(self.base, ignore_errors=True)

    def mount(self, image):
        done = subprocess.run(
            ["mount", "-o", MKFS[self.fs][2], self.path(image), self.path("mnt")], capture_output=True
        )
        if done.returncode != 0:
            raise Broken(f"mount: {done.stderr.decode()}")
        self.mounted = True

    def lose_power(self):
        fd = os.open(self.path("mnt"), os.O_RDONLY)
        fcntl.ioctl(fd, SHUT_DOWN, WITHOUT_FLUSH)
        os.close(fd)

    def unmount(self):
        if self.mounted:
            subprocess.run(["umount", self.path("mnt")], check=True)
        self.mounted = False

    def copy(self, source, to):
        subprocess.run(["cp", "--sparse=always", self.path(source), self.path(to)], check=True)

    def make(self):
        with open(self.path("template"), "wb") as f:
            f.truncate(MKFS[self.fs][0] << 20)
        mkfs = MKFS[self.fs][1] + [self.path("template")]
        subprocess.run(mkfs, check=True, capture_output=True)
        try:
            self.mount("template")
        except Broken as e:
            skip(str(e).strip())
        os.mkdir(self.path("mnt/state"), 0o700)
        os.chown(self.path("mnt/state"), NOBODY, NOBODY)

    def corefold(self, *arguments):
        return [self.path("bin/corefold"), arguments[0], "-C", self.path("c.conf"), *arguments[1:]]

    def command(self, arguments):
        return self.corefold(*(self.path("core") if a == "CORE" else a for a in arguments))

    def run(self, command, **more):
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, user=NOBODY, group=NOBODY,
            extra_groups=[], env={"TZ": "UTC0"}, timeout=60, **more,
        )  # fmt: skip

    def after_boot(self, *arguments):
        """Runs a command as the next boot would."""
        script = (
            f"mount --bind {self.path('boot_id')} /proc/sys/kernel/random/boot_id && "
            f"exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups \"$@\""
        )
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script, "sh", *self.corefold(*arguments)],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
        )  # fmt: skip
        if done.returncode != 0:
            raise Broken(f"{arguments[0]}: exit {done.returncode}: {done.stderr.decode()}")
        return done

    def must(self, *arguments):
        done = self.run(self.corefold(*arguments))
        if done.returncode != 0:
            raise Broken(f"{arguments[0]}: exit {done.returncode}: {done.stderr.decode()}")
        return done

    def write_back(self, rng):
        """Some pages of the state's files reach the disk before the power fails."""
        state = self.path("mnt/state")
        for name in ("throttle", "counters", "events"):
            path = os.path.join(state, name)
            if not os.path.exists(path):
                continue
            fd = os.open(path, os.O_RDONLY)
            for page in range(os.fstat(fd).st_size // 4096 + 1):
                if rng.random() < 0.5:
                    self.libc.sync_file_range(
                        fd, ctypes.c_long(page * 4096), ctypes.c_long(4096), SYNC_RANGE
                    )
            os.close(fd)


def prepare_loop(machine):
    for _ in range(4):
        machine.must("report", "sleep")
    machine.must("report", "another")


# command: what comes before it (unsynced), what it is, crashes it counts. CORE is a file.
COMMANDS = {
    "import": (["x"], ["replay", "--import", "CORE"], 1),
    "keep": ([], ["report", "sleep"], 1),
    "fold": (["sleep", "x", "x", "x"], ["report", "sleep"], 1),
    "first": ([], ["report", "first"], 1),
    "tick": (["x", "x", "x", "x"], ["tick"], 0),
}


def check(machine, least, most):
    machine.after_boot("report", "next")
    machine.after_boot("tick")
    status = json.loads(machine.after_boot("status", "--json").stdout)
    check_ledger(status, least + 1, most + 1)
    loop = [p for p in status["processes"] if p["process"] == "sleep"]
    if not loop or not loop[0]["throttled"]:
        raise Broken("the crash loop is forgotten")
    weight = 0
    cores = machine.path("mnt/state/cores")
    for name in os.listdir(cores):
        if name.endswith(".json"):
            with open(os.path.join(cores, name)) as f:
                record = json.load(f)
            weight += record["weight"]
            core = os.path.join(cores, name[: -len(".json")] + ".core.gz")
            if os.path.exists(core):
                check_core(machine, record, core)
            elif record["capture"] != "none":
                raise Broken(f"{name} says {record['capture']}, but there is no core")
    if weight != status["kept_weight"]:
        raise Broken(f"the records stand for {weight}, kept weight is {status['kept_weight']}")
    return os.path.exists(machine.path("mnt/state/throttle.bad"))


def cut(machine, name, n, rng):
    """One power cut. Returns whether the throttle file had to be rebuilt."""
    before, command, delta = COMMANDS[name]
    machine.copy("template", "image")
    machine.mount("image")
    try:
        counted = json.loads(machine.must("status", "--json").stdout)["crashes"]
        for process in before:
            machine.must("report", process)
        most = json.loads(machine.must("status", "--json").stdout)["crashes"] + delta
        inject = [machine.path("bin/inject"), str(n), "after"]
        machine.run(inject + machine.command(command))
        machine.write_back(rng)
        machine.lose_power()
    finally:
        machine.unmount()
    machine.mount("image")
    try:
        return check(machine, counted, most)
    finally:
        machine.unmount()


def calls_of(machine, name):
    before, command, _ = COMMANDS[name]
    machine.copy("template", "image")
    machine.mount("image")
    listing = machine.path("mnt/state/calls")
    for process in before:
        machine.must("report", process)
    done = machine.run([machine.path("bin/inject"), "-o", listing, "1", "list"] + machine.command(command))
    with open(listing) as f:
        calls = f.read().split()
    machine.unmount()
    if done.returncode != 0:
        raise Broken(f"{name}, undisturbed: {done.stderr.decode()}")
    return calls


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--fs", choices=MKFS, default="ext4")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only")
    # The same sample every time, so that a red run is about the change and not about luck;
    # COREFOLD_TEST_SEED takes others.
    parser.add_argument("--seed", type=int, default=int(os.environ.get("COREFOLD_TEST_SEED", 1)))
    arguments = parser.parse_args()
    everything = arguments.all or os.environ.get("COREFOLD_TEST_ALL") == "yes"
    if os.getuid() != 0:
        skip("only root can mount an image")
    for tool in (MKFS[arguments.fs][1][0], "unshare", "setpriv"):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            skip(f"no {tool}")
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    machine = Machine(arguments.build, arguments.fs)
    failures = cuts = rebuilt = 0
    try:
        machine.make()
        prepare_loop(machine)
        machine.must("tick")
        machine.unmount()
        for name in COMMANDS:
            calls = calls_of(machine, name)
            points = [n for n, call in enumerate(calls, 1) if call in WRITES]
            if arguments.only:
                wanted, n = arguments.only.split(":")
                points = [int(n)] if wanted == name else []
            elif not everything:
                points = points[:: max(1, len(points) // 6)]
            for n in points:
                for part in range(4 if everything else 1):
                    rng = random.Random(f"{arguments.seed} {name} {n} {part}")
                    cuts += 1
                    try:
                        rebuilt += cut(machine, name, n, rng)
                    except (Broken, OSError, ValueError) as e:
                        failures += 1
                        print(f"FAIL {name}:{n} ({calls[n - 1]}) part {part}: {e}", flush=True)
    finally:
        machine.done()
    print(f"# {arguments.fs}: {cuts} power cuts, {failures} failures, {rebuilt} rebuilt, seed {arguments.seed}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
