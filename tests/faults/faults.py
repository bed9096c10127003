#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every system call of a command fails once, and is the last one once.

  faults.py BUILD_DIR SCENE [--all] [--only N:ACTION] [--sample K]

A scene is a state directory and a command that runs on it. The command is repeated with
each of its calls disturbed (see inject.c). After each run the directory must be sound:

  - one more crash is handled and a tick succeeds, undisturbed;
  - crashes = kept weight + pending + in flight + evicted;
  - as many crashes as there were, one less only if the disturbed command was killed or
    said that it failed;
  - the weights of the records add up to the kept weight;
  - nothing temporary is left once a tick finds it old;
  - every core stored is whole gzip, and all of the dump if its record says so.

Without --all only a sample of the disturbances is run. No root is needed: root becomes
nobody first.
"""

import argparse
import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # not beside the source
from sound import Broken, check

NOBODY = 65534

# Errors worth trying, by call. Others get DEFAULT.
DEFAULT = ["EIO", "ENOMEM"]
ERRORS = {
    "openat": ["EMFILE", "ENOMEM", "EACCES", "EIO", "ENOSPC", "EMFILE+", "EIO+", "ENOSPC+"],
    "read": ["EIO", "EINTR"],
    "pread64": ["EIO", "EINTR"],
    "write": ["ENOSPC", "EIO", "EINTR", "ENOSPC+", "EIO+", "short"],
    "pwrite64": ["ENOSPC", "EIO", "EINTR", "ENOSPC+", "EIO+", "short"],
    "mmap": ["ENOMEM"],
    "brk": ["ENOMEM"],
    "mremap": ["ENOMEM"],
    "munmap": [],
    # These cannot fail.
    "getuid": [],
    "geteuid": [],
    "getgid": [],
    "getegid": [],
    "getpid": [],
    "gettid": [],
    "mprotect": ["ENOMEM"],
    "close": ["EIO", "EINTR"],
    "fsync": ["EIO", "ENOSPC"],
    "fdatasync": ["EIO", "ENOSPC"],
    "linkat": ["EIO", "ENOSPC", "EACCES", "EDQUOT"],
    "unlinkat": ["EIO", "EACCES"],
    "renameat": ["EIO", "ENOSPC", "EACCES"],
    "renameat2": ["EIO", "ENOSPC", "EACCES", "EINVAL"],
    "mkdirat": ["EIO", "ENOSPC", "EACCES", "ENOMEM"],
    "ftruncate": ["EIO", "ENOSPC", "EINTR"],
    "fallocate": ["ENOSPC", "EINTR", "EIO", "EOPNOTSUPP", "ENOSPC+"],
    "flock": ["EINTR", "ENOLCK", "EIO"],
    "fcntl": ["EMFILE", "ENOMEM", "EINTR", "ENOLCK"],
    "newfstatat": ["EIO", "ENOMEM", "EACCES"],
    "faccessat": ["EIO", "ENOMEM", "EACCES"],
    "faccessat2": ["EIO", "ENOMEM", "EACCES"],
    "memfd_create": ["ENOMEM", "EMFILE"],
    "execve": ["ENOENT", "ENOMEM", "EACCES", "EIO"],
    "exit_group": [],
    "exit": [],
    "clone": ["EAGAIN", "ENOMEM"],
    "clone3": ["EAGAIN", "ENOMEM"],
    "futex": [],
    "restart_syscall": [],
    "getrandom": ["EINTR"],
    "rt_sigprocmask": [],
    # The C library ends a program that cannot have these for a thread.
    "rseq": [],
    "set_robust_list": [],
}


def note(kind, desc, name=b"CORE\0"):
    pad = lambda b: b + b"\0" * (-len(b) % 4)
    return struct.pack("<III", len(name), len(desc), kind) + pad(name) + pad(desc)


def make_core(path, pid, process, auxv, megabytes):
    """A core as the kernel writes it: one thread, one segment of noise."""
    prstatus = bytearray(336)
    struct.pack_into("<iii", prstatus, 0, 11, 1, 0)
    struct.pack_into("<h", prstatus, 12, 11)
    struct.pack_into("<i", prstatus, 32, pid)
    prpsinfo = bytearray(136)
    struct.pack_into("<II", prpsinfo, 16, os.getuid(), os.getgid())
    struct.pack_into("<i", prpsinfo, 24, pid)
    prpsinfo[40 : 40 + len(process)] = process
    prpsinfo[56 : 56 + len(process)] = process
    siginfo = struct.pack("<iii", 11, 0, 1) + b"\0" * 116
    notes = note(1, bytes(prstatus)) + note(3, bytes(prpsinfo))
    notes += note(0x53494749, siginfo) + note(6, auxv)
    head = 64 + 2 * 56
    body_at = (head + len(notes) + 4095) // 4096 * 4096
    body = random.Random(1).randbytes(4096) * (megabytes * 256)
    ehdr = b"\x7fELF\x02\x01\x01" + b"\0" * 9
    ehdr += struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    phdrs = struct.pack("<IIQQQQQQ", 4, 0, head, 0, 0, len(notes), 0, 4)
    phdrs += struct.pack("<IIQQQQQQ", 1, 6, body_at, 0x10000000, 0, len(body), len(body), 4096)
    data = (ehdr + phdrs + notes).ljust(body_at, b"\0") + body
    with open(path, "wb") as f:
        f.write(data)
    return data


class World:
    """The programs, a core, a living process to be its victim, and one state directory."""

    def __init__(self, build, keep):
        self.base = tempfile.mkdtemp(prefix="corefold-faults.")
        os.chmod(self.base, 0o755)
        self.path = lambda *parts: os.path.join(self.base, *parts)
        os.mkdir(self.path("bin"))
        more = ["corefold-keep"] if keep else []
        if keep == "unwind" and os.path.exists(os.path.join(build, "src/corefold-unwind")):
            more.append("corefold-unwind")
        for name in ["corefold"] + more:
            shutil.copy(os.path.join(build, "src", name), self.path("bin", name))
        shutil.copy(os.path.join(build, "tests/faults/inject"), self.path("bin", "inject"))
        if os.getuid() == 0:
            for where, _, files in os.walk(self.base):
                os.chown(where, NOBODY, NOBODY)
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        self.state = self.path("state")
        self.limited = False  # cores may go, their records stay
        self.whole = {}  # bytes of a complete core, by where they came from
        self.configure()
        self.victim = subprocess.Popen(["sleep", "100000"], stdin=subprocess.DEVNULL)
        time.sleep(0.05)
        with open(f"/proc/{self.victim.pid}/auxv", "rb") as f:
            auxv = f.read()
        self.core = make_core(self.path("core"), self.victim.pid, b"sleep", auxv, 2)
        self.small = make_core(self.path("small"), 1, b"other", auxv, 0)
        os.utime(self.path("core"), (time.time() - 60,) * 2)

    def configure(self, more="", store=""):
        with open(self.path("c.conf"), "w") as f:
            f.write(
                "[Throttle]\nCrashLoopLimit=2\nReportEvery=3\nAgeOut=1h\n"
                f"{more}[Store]\nDirectory={self.state}\nKeepFree=0%\nMaxUse=90%\n{store}"
            )

    def done(self):
        self.victim.kill()
        self.victim.wait()
        shutil.rmtree(self.base, ignore_errors=True)

    def corefold(self, *arguments):
        return [self.path("bin/corefold"), arguments[0], "-C", self.path("c.conf"), *arguments[1:]]

    def handle(self):
        pid, now = self.victim.pid, int(time.time())
        return self.corefold(
            "handle", f"-P{pid}", f"-I{pid}", f"-u{os.getuid()}", f"-g{os.getgid()}", "-s11",
            f"-t{now}", "-c18446744073709551615", "-d1", "-F",
        )  # fmt: skip

    def run(self, command, stdin=None):
        with open(stdin or "/dev/null", "rb") as f:
            return subprocess.run(
                command, stdin=f, capture_output=True, timeout=60, cwd="/",
                env={"TZ": "UTC0", "TMPDIR": self.base},
            )  # fmt: skip

    def must(self, *arguments, stdin=None):
        done = self.run(self.corefold(*arguments), stdin)
        if done.returncode != 0:
            raise Broken(f"{' '.join(arguments)}: exit {done.returncode}: {done.stderr.decode()}")
        return done.stdout

    def status(self):
        return json.loads(self.must("status", "--json"))

    def put(self, template):
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.copytree(template, self.state, symlinks=True)
        os.chmod(self.state, 0o700)


# ---- the scenes ----


def scene_empty(world):
    """nothing at all: the first crash ever"""


def scene_known(world):
    """two processes; the next crash of the looping one is folded"""
    for _ in range(3):
        world.must("report", "sleep")
    world.must("report", "another")


def scene_loop(world):
    """the next crash of the looping process is kept with weight 3"""
    scene_known(world)
    world.must("report", "sleep")


def lock_and_crash(world, n):
    with open(world.path("state/throttle"), "r+b") as f:
        import fcntl

        fcntl.flock(f, fcntl.LOCK_EX)
        running = [
            subprocess.Popen(world.corefold("report", f"locked{i}"), stderr=subprocess.DEVNULL)
            for i in range(n)
        ]
        for process in running:
            process.wait()


def scene_events(world):
    """crashes that found the state locked, and one whose handler died on the way"""
    scene_loop(world)
    lock_and_crash(world, 3)
    records = sorted(os.listdir(world.path("state/cores")))
    os.unlink(world.path("state/cores", [r for r in records if "-b" in r][0]))


def scene_damaged(world):
    """the throttle file is damaged in its header"""
    scene_loop(world)
    with open(world.path("state/throttle"), "r+b") as f:
        f.seek(20)
        f.write(b"damage")
        f.seek(0)
        damaged = f.read()
    # The journal would mend the header: it goes, too.
    with open(world.path("state/throttle"), "wb") as f:
        f.write(damaged[: len(damaged) // 2])


def scene_slot(world):
    """a slot of the throttle file is damaged, which shows when it is read"""
    scene_loop(world)
    with open(world.path("state/throttle"), "r+b") as f:
        data = f.read()
        at = data.rfind(b"sleep\0")
        f.seek(at + 200)
        f.write(b"damage")


def scene_dead(world):
    """two handlers were killed: one before, one behind its record"""
    scene_loop(world)
    inject = world.path("bin/inject")
    for at in ("linkat", "unlinkat"):
        listing = world.path("listing")
        before = world.path("before")
        shutil.copytree(world.state, before)
        world.run([inject, "-o", listing, "1", "list"] + world.corefold("report", "dead" + at))
        shutil.rmtree(world.state)
        os.rename(before, world.state)
        calls = open(listing).read().split()
        n = calls.index("linkat") + (1 if at == "linkat" else 2)
        world.run([inject, str(n), "kill"] + world.corefold("report", "dead" + at))


def scene_overdue(world):
    """pending and evicted weight that a tick writes out, counters to be rolled up"""
    scene_loop(world)
    world.configure("PendingMax=1ms\n")
    with open(world.path("state/counters"), "r") as f:
        lines = f.readlines()
    with open(world.path("state/counters"), "w") as f:
        f.writelines(lines)
        while f.tell() < 1100000:
            f.writelines(lines[-1:])


def scene_full(world):
    """more cores than MaxCount allows"""
    scene_loop(world)
    for hours in (12, 9, 6, 3):  # further apart than AgeOut: each is kept
        at = f"@{int(time.time()) - hours * 3600}"
        world.must("replay", "--import", "--at", at, world.path("small"))
    world.configure(store="MaxCount=2\n")


COMMANDS = {
    "handle": (lambda w: w.handle(), "core", 1),
    "report": (lambda w: w.corefold("report", "sleep"), None, 1),
    "replay": (lambda w: w.corefold("replay", "--import", w.path("core")), None, 1),
    "tick": (lambda w: w.corefold("tick"), None, 0),
    "summary": (lambda w: w.corefold("summary"), None, 0),
    "status": (lambda w: w.corefold("status", "--json"), None, 0),
    "prune": (lambda w: w.corefold("prune"), None, 0),
}

# name: state, command, with corefold-keep, believing in the victim
SCENES = {
    "handle-first": (scene_empty, "handle", True, True),
    "handle-keep": (scene_loop, "handle", True, True),
    "handle-alone": (scene_loop, "handle", False, True),
    "handle-unverified": (scene_loop, "handle", True, False),
    "handle-fold": (scene_known, "handle", True, True),
    "handle-events": (scene_events, "handle", False, True),
    "handle-damaged": (scene_damaged, "handle", False, True),
    "handle-slot": (scene_slot, "handle", False, True),
    "handle-dead": (scene_dead, "handle", False, True),
    "handle-unwind": (scene_loop, "handle", "unwind", True),
    "handle-quota": (scene_full, "handle", False, True),
    "prune": (scene_full, "prune", False, False),
    "report": (scene_loop, "report", False, False),
    "replay": (scene_loop, "replay", False, False),
    "tick": (scene_known, "tick", False, False),
    "tick-overdue": (scene_overdue, "tick", False, False),
    "tick-events": (scene_events, "tick", False, False),
    "tick-slot": (scene_slot, "tick", False, False),
    "tick-dead": (scene_dead, "tick", False, False),
    "summary": (scene_dead, "summary", False, False),
    "status-damaged": (scene_damaged, "status", False, False),
}


# ---- the ring ----


def is_starting(calls, n):
    """Is this call the C library's, before main()? What it does when that fails is its own."""
    start = max([i for i, call in enumerate(calls[: n - 1]) if call == "execve"], default=-1) + 1
    return "prlimit64" in calls[start:] and n - 1 <= calls.index("prlimit64", start) + 7


def excused_loss(name, action):
    """A damaged throttle file and counters that cannot be read: nothing is left that knows."""
    if "events" in name:
        return action == "EACCES"  # the events file is moved aside, as what nobody may read
    return ("damaged" in name or "slot" in name) and action.rstrip("+") in ("EIO", "EACCES")


def disturbances(calls, sample, rng):
    for n, call in enumerate(calls, 1):
        actions = ERRORS.get(call, DEFAULT) + ["kill", "after"]
        for action in actions:
            if rng.random() < sample:
                yield n, call, action


def run_scene(world, name, arguments):
    prepare, command_name, _, believes = SCENES[name]
    make, stdin, delta = COMMANDS[command_name]
    stdin = stdin and world.path(stdin)
    template = world.path("template")
    os.mkdir(world.state, 0o700)
    prepare(world)
    world.limited = prepare is scene_full
    shutil.copytree(world.state, template)
    # How many crashes there are to be: what a run without disturbance makes of it.
    world.put(template)
    inject = [world.path("bin/inject")] + (["-d"] if believes else []) + ["-o", world.path("calls")]
    done = world.run(inject + ["1", "list"] + make(world), stdin)
    if done.returncode != 0:
        raise Broken(f"undisturbed: exit {done.returncode}: {done.stderr.decode()}")
    with open(world.path("calls")) as f:
        calls = f.read().split()
    before = world.status()["crashes"] - delta
    check(world, before, delta, False)
    rng = random.Random(arguments.seed)
    failures = runs = 0
    if arguments.only:
        n, action = arguments.only.split(":")
        todo = [(int(n), calls[int(n) - 1], action)]
    else:
        todo = list(disturbances(calls, arguments.sample, rng))
    for n, call, action in todo:
        world.put(template)
        done = None
        runs += 1
        try:
            done = world.run(inject + [str(n), action] + make(world), stdin)
            code = done.returncode
            starting = is_starting(calls, n)
            if code not in (0, 1, 2, 137) and not starting:
                raise Broken(f"exit status {code}: {done.stderr.decode()}")
            if code in (1, 2) and not done.stderr and not starting:
                raise Broken(f"exit status {code} without a word")
            check(world, before, delta, code != 0, excused_loss(name, action))
        except (Broken, OSError, ValueError, subprocess.TimeoutExpired) as e:
            failures += 1
            print(f"FAIL {name} {n}:{action} ({call}): {e}".strip(), flush=True)
            said = done.stderr.decode(errors="replace").strip() if done else ""
            if said:
                print("     it said: " + said.replace("\n", "\n              "))
    print(f"# {name}: {len(calls)} calls, {runs} runs, {failures} failures, seed {arguments.seed}")
    return failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("scene", nargs="+")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--sample", type=float)
    parser.add_argument("--only")
    # The same sample every time, so that a red run is about the change and not about luck;
    # COREFOLD_TEST_SEED takes others.
    parser.add_argument("--seed", type=int, default=int(os.environ.get("COREFOLD_TEST_SEED", 1)))
    arguments = parser.parse_args()
    # As the kernel starts a handler. Nobody's core_pattern sees those that crash in their start.
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    everything = arguments.all or os.environ.get("COREFOLD_TEST_ALL") == "yes"
    if arguments.sample is None:
        arguments.sample = 1.0 if everything else 0.04
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    failures = 0
    for scene in arguments.scene:
        child = os.fork()  # each begins as root, if we are
        if child == 0:
            world = World(arguments.build, SCENES[scene][2])
            try:
                failed = run_scene(world, scene, arguments)
            except Broken as e:
                print(f"FAIL {scene}: {e}")
                failed = 1
            finally:
                world.done()
            sys.stdout.flush()
            os._exit(1 if failed else 0)
        failures += os.waitpid(child, 0)[1] != 0
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
