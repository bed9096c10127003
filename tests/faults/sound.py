# SPDX-License-Identifier: GPL-2.0-or-later
"""What must hold of a state directory, whatever was done to the command that ran on it."""

import gzip
import json
import os
import time


class Broken(Exception):
    pass


def age_files(world):
    old = time.time() - 2000
    for where, _, files in os.walk(world.state):
        for name in files:
            if name.startswith(".") or name.endswith(".gz"):
                os.utime(os.path.join(where, name), (old, old))


def check_ledger(status, least, most):
    total = sum(status[k] for k in ("kept_weight", "pending", "in_flight", "evicted"))
    if status["crashes"] != total:
        raise Broken(f"crashes {status['crashes']} but {total} in kept, pending, in flight, evicted")
    if not least <= status["crashes"] <= most:
        raise Broken(f"{status['crashes']} crashes counted, not {least}..{most}")
    for key in ("crashes", "kept_weight", "pending"):
        rows = sum(p[key] for p in status["processes"])
        if rows > status[key]:
            raise Broken(f"the processes' {key} add up to {rows}, the total is {status[key]}")


def check_core(world, record, path):
    try:
        plain = gzip.open(path).read()
    except (OSError, EOFError) as e:
        raise Broken(f"{path}: {e}")
    if len(plain) != record["core_bytes"] and record["capture"] != "none":
        raise Broken(f"{path}: {len(plain)} bytes, the record says {record['core_bytes']}")
    if record["complete"] and record["capture"] == "full":
        # Taken from the victim's memory it is as large as that of a run without disturbance.
        world.whole.setdefault(record["source"], len(plain))
        if len(plain) < min(len(world.core), world.whole[record["source"]]):
            raise Broken(f"{path}: {len(plain)} bytes are not a complete core")


def check_store(world, status):
    weight = 0
    for name in sorted(os.listdir(world.path("state/cores"))):
        path = world.path("state/cores", name)
        if name.startswith("."):
            raise Broken(f"{name} is left")
        if os.stat(path).st_nlink != 1:
            raise Broken(f"{name} has {os.stat(path).st_nlink} links")
        if name.endswith(".json"):
            with open(path) as f:
                record = json.load(f)
            weight += record["weight"]
            core = path[: -len(".json")] + ".core.gz"
            if os.path.exists(core):
                check_core(world, record, core)
            elif record["capture"] != "none" and not world.limited:
                raise Broken(f"{name} says {record['capture']}, but there is no core")
        elif not os.path.exists(path[: -len(".core.gz")] + ".json"):
            raise Broken(f"{name} has no record")
    if weight != status["kept_weight"]:
        raise Broken(f"the records stand for {weight}, kept weight is {status['kept_weight']}")


def check_rest(world):
    for name in os.listdir(world.state):
        if name.startswith("."):
            raise Broken(f"{name} is left")


def check(world, before, delta, excused, lossy=False):
    """One more crash and a tick, undisturbed; then everything has to be right."""
    world.must("report", "next")
    age_files(world)
    world.must("tick")
    status = world.status()
    most = before + delta + 1
    check_ledger(status, 0 if lossy else most - (1 if excused and delta else 0), most)
    check_rest(world)
    check_store(world, status)
    if status["in_flight"] > 0 and not any(p["in_flight"] for p in status["processes"]):
        raise Broken(f"{status['in_flight']} in flight of nobody")
    world.run(world.corefold("dump", "-o", world.path("dumped"), "last"))
