#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts a simulated year again, from its trace alone, and compares with all formats.

Usage: year.py COREFOLD YEAR SEED...

Nothing of corefold is used but its definitions: on-time is the sum of what the monotonic
clock ran in each boot, covered if core_pattern was ours at both ends; an hour is settled
before a crash is marked; a process with more than 8 crashes in 480 s keeps every tenth.
"""
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HOUR = 3600 * 10**9
DAY = 86400
SEC = 10**9
AGE_OUT = 480 * SEC


class Count:
    """The counts of the machine; a copy of them is a snapshot."""

    FIELDS = ("crashes", "folded", "kept", "kept_weight", "operational", "crashfree", "slots",
              "on_time", "uncovered", "boots", "unclean")

    def __init__(self):
        for name in self.FIELDS:
            setattr(self, name, 0)
        self.by_process = {}

    def copy(self):
        other = Count()
        for name in self.FIELDS:
            setattr(other, name, getattr(self, name))
        other.by_process = {p: dict(c) for p, c in self.by_process.items()}
        return other

    def of(self, process):
        return self.by_process.setdefault(process, {"crashes": 0, "folded": 0, "kept_weight": 0})


def recount(events):
    """Snapshots (effective time, counts) after each event."""
    count, snapshots = Count(), []
    boot = mono = None
    was_covered = stop_known = stop_marked = False
    last_crash = slot_crash = None
    rolling_counted = 0     # hours counted since last_crash
    recent, folding = {}, {}
    latest = 0
    for e in events:
        if boot is None:
            elapsed = 0
            count.boots = 1
        elif e["boot"] != boot:
            elapsed = e["monotonic_ns"]
            count.boots += 1
            if stop_known and not stop_marked:
                count.unclean += 1
            stop_marked = False
        else:
            elapsed = e["monotonic_ns"] - mono
        boot, mono = e["boot"], e["monotonic_ns"]
        count.on_time += elapsed
        if snapshots and not (was_covered and e["covered"]):
            count.uncovered += elapsed
        was_covered = e["covered"]
        now = count.on_time - count.uncovered
        # rolling: whole hours since the last crash (or 0)
        start = last_crash or 0
        whole = (now - start) // HOUR
        count.crashfree += whole - rolling_counted
        rolling_counted = whole
        # slots: those that ended, less those with a crash
        ended = now // HOUR
        if ended > count.operational:
            count.slots += ended - count.operational
            if slot_crash is not None and slot_crash < ended:
                count.slots -= 1
                slot_crash = None
        count.operational = ended
        if e["event"] == "crash":
            last_crash, rolling_counted = now, 0
            slot_crash = now // HOUR
            p = count.of(e["process"])
            times = recent.setdefault(e["process"], [])
            times.append(count.on_time)
            while count.on_time - times[0] >= AGE_OUT:
                times.pop(0)
            n = folding.get(e["process"], 0) + 1
            count.crashes += 1
            p["crashes"] += 1
            if len(times) > 8 and n < 10:
                count.folded += 1
                p["folded"] += 1
                folding[e["process"]] = n
            else:
                count.kept += 1
                count.kept_weight += n
                p["kept_weight"] += n
                e["weight"] = n
                folding[e["process"]] = 0
        elif e["event"] == "stopping":
            stop_known = stop_marked = True
        elif e["event"] == "tick":
            stop_marked = False
        latest = max(latest, e["wall_ns"] // SEC)
        snapshots.append((latest, count.copy()))
    return snapshots


def before(snapshots, moment):
    found = Count()
    for when, count in snapshots:
        if when >= moment:
            break
        found = count
    return found


failures = []


def same(what, got, wanted):
    if got != wanted:
        failures.append(f"{what}: {got!r}, counted again {wanted!r}")


def check_json(tool, snapshots, events, since, until):
    args = ["--format", "json"]
    start, end = Count(), snapshots[-1][1]
    if since is not None:
        args += ["--since", f"@{since}"]
        start = before(snapshots, since)
    if until is not None:
        args += ["--until", f"@{until}"]
        end = before(snapshots, until)
    got = json.loads(tool(*args))
    what = f"json {since} {until}"
    for key in ("crashes", "folded", "kept", "kept_weight"):
        same(f"{what} {key}", got[key], getattr(end, key) - getattr(start, key))
    hours = got["hours"]
    for key, name in (("operational_hours", "operational"), ("crashfree_hours", "crashfree"),
                      ("crashfree_slots", "slots"), ("unclean_shutdowns", "unclean")):
        same(f"{what} {key}", hours[key], getattr(end, name) - getattr(start, name))
    processes = {p["process"]: p for p in got["processes"]}
    for name, c in end.by_process.items():
        s = start.by_process.get(name, {})
        for key in ("crashes", "folded", "kept_weight"):
            same(f"{what} {name} {key}", processes[name][key], c[key] - s.get(key, 0))
    same(f"{what} other", got["other_crashes"], 0)
    same(f"{what} skipped", got["skipped_lines_total"], 0)
    weights = {}
    for e in events:
        wall = e["wall_ns"] // SEC
        if "weight" in e and (since or 0) <= wall < (until or 1 << 60):
            key = (e["process"], f"{e['signature']}~v{e['version']}")
            weights[key] = weights.get(key, 0) + e["weight"]
    same(f"{what} kinds", {(k["process"], k["signature"]): k["weight"] for k in got["kinds"]},
         weights)
    if until is None:
        covered = (end.on_time - end.uncovered - start.on_time + start.uncovered) / HOUR
        rate = got["crashes_per_1000_hours"] or 0
        wanted = (end.crashes - start.crashes) * 1000 / covered if covered else 0
        if abs(rate - wanted) > 1e-4 * wanted + 1e-9:
            failures.append(f"{what}: rate {rate}, counted again {wanted}")
    check_news(got, events, since, what)
    return got


def check_news(got, events, since, what):
    """Which signatures are new, back after a week, or known from another version."""
    since_s = since if since is not None else got["time"] - DAY
    seen, loose = {}, {}
    news = {}
    for e in events:
        if "weight" not in e:
            continue
        wall, sig = e["wall_ns"] // SEC, (e["process"], f"{e['signature']}~v{e['version']}")
        base = (e["process"], e["signature"])
        if sig not in seen:
            if wall >= since_s:
                news[sig] = "new-build" if loose.get(base, wall) < wall else "new"
        elif wall - seen[sig] >= 7 * DAY and wall >= since_s and sig not in news:
            news[sig] = "back"
        seen[sig] = max(wall, seen.get(sig, 0))
        loose.setdefault(base, wall)
    for k in got["kinds"]:
        same(f"{what} news of {k['signature']}", k["news"],
             news.get((k["process"], k["signature"]), "known"))


def check_text(tool, end):
    text = tool("--format", "text")
    wide = [line for line in text.splitlines() if len(line) > 80]
    same("text: lines over 80 columns", wide, [])
    numbers = re.search(r"Crashes: (\d+), of them (\d+) folded;\s(\d+) records? .* for (\d+)", text)
    same("text", [int(n) for n in numbers.groups()],
         [end.crashes, end.folded, end.kept, end.kept_weight])
    same("text operational", int(re.search(r"(\d+) +operational", text)[1]), end.operational)
    same("text rolling", int(re.search(r"(\d+) .*rolling:", text)[1]), end.crashfree)
    same("text slots", int(re.search(r"(\d+) .*slots:", text)[1]), end.slots)
    same("text unclean", int(re.search(r"(\d+) +unclean", text)[1]), end.unclean)
    for name, c in end.by_process.items():
        same(f"text {name}", int(re.search(rf"^  {name} +(\d+) +[\d.]+ ", text, re.M)[1]),
             c["crashes"])


def check_prometheus(tool, end):
    values = {}
    for line in tool("--format", "prometheus").splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            values[name] = float(value)
    wanted = {"corefold_crashes_total": end.crashes,
              "corefold_folded_crashes_total": end.folded,
              "corefold_records_total": end.kept,
              "corefold_recorded_crashes_total": end.kept_weight,
              "corefold_operational_seconds_total": end.operational * 3600,
              'corefold_crash_free_seconds_total{definition="rolling"}': end.crashfree * 3600,
              'corefold_crash_free_seconds_total{definition="slots"}': end.slots * 3600,
              "corefold_boots_total": end.boots,
              "corefold_unclean_shutdowns_total": end.unclean}
    for name, value in wanted.items():
        same(f"prometheus {name}", values.get(name), float(value))
    for name, c in end.by_process.items():
        found = [v for k, v in values.items()
                 if k.startswith(f'corefold_process_crashes_total{{process="{name}"')]
        same(f"prometheus {name}", found, [float(c["crashes"])])


class Page(html.parser.HTMLParser):
    """The rows of all tables, the tiles, and what charts say of themselves."""

    def __init__(self):
        super().__init__()
        self.rows, self.tiles, self.desc, self.text = [], [], [], None

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th", "li", "desc"):
            self.text = ""

    def handle_endtag(self, tag):
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append(self.text or "")
        if tag == "li":
            self.tiles.append(self.text)
        if tag == "desc":
            self.desc.append(self.text)

    def handle_data(self, data):
        if self.text is not None:
            self.text += data


def check_html(tool, end, path):
    text = tool("--format", "html")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    page = Page()
    page.feed(text)
    rows = {r[0]: r for r in page.rows if r}
    for name, c in end.by_process.items():
        same(f"html {name}", [int(rows[name][1]), int(rows[name][2])], [c["crashes"], c["folded"]])
    same("html all", [int(rows["all"][1]), int(rows["all"][2])], [end.crashes, end.folded])
    same("html operational", int(rows["operational"][1]), end.operational)
    same("html rolling", int(rows["crash-free, rolling"][1]), end.crashfree)
    same("html slots", int(rows["crash-free, slots"][1]), end.slots)
    same("html crashes tile", f"{end.crashes}crashes" in page.tiles, True)
    same("html chart of crashes", int(page.desc[0].split()[0]), end.crashes)
    same("html chart of folds", int(page.desc[1].split()[0]), end.folded)
    same("html chart of hours", page.desc[2].split()[0:3], [str(end.slots), "of",
                                                            str(end.operational)])
    if "<script" in text or re.search(r"(src|href)=", text):
        failures.append("html: not self-contained")
    if "parse<&>" in text:
        failures.append("html: a symbol was not escaped")


def count_again(corefold, year, directory, seed):
    state = os.path.join(directory, "state")
    shutil.rmtree(state, ignore_errors=True)
    os.mkdir(state, 0o700)
    config = os.path.join(directory, "corefold.conf")
    with open(config, "w", encoding="ascii") as f:
        f.write(f"[Store]\nDirectory={state}\n")
    trace = subprocess.run([year, state, seed], check=True, stdout=subprocess.PIPE).stdout
    events = [json.loads(line) for line in trace.splitlines()]
    snapshots = recount(events)
    end = snapshots[-1][1]

    def tool(*args):
        return subprocess.run([corefold, "summary", "-C", config, *args], check=True,
                              stdout=subprocess.PIPE, encoding="utf-8",
                              env={**os.environ, "TZ": "UTC0"}).stdout

    whole = check_json(tool, snapshots, events, None, None)
    check_text(tool, end)
    check_prometheus(tool, end)
    check_html(tool, end, os.path.join(directory, "year.html"))
    # Windows that touch add up, however old: midnights are round in days that were rolled up.
    last = events[-1]["wall_ns"] // SEC // DAY * DAY
    edges = [None] + [last - d * DAY for d in (300, 275, 240, 180, 150, 100, 30, 8, 7, 2, 1)] + [None]
    summed = {}
    for since, until in zip(edges, edges[1:]):
        got = check_json(tool, snapshots, events, since, until)
        for key in ("crashes", "folded", "kept", "kept_weight"):
            summed[key] = summed.get(key, 0) + got[key]
        for key in ("operational_hours", "crashfree_hours", "crashfree_slots"):
            summed[key] = summed.get(key, 0) + got["hours"][key]
    for key, value in summed.items():
        same(f"sum over windows, {key}", value, {**whole, **whole["hours"]}[key])
    for failure in failures[:20]:
        print(failure)
    print(f"seed {seed}: {len(events)} events, {end.crashes} crashes, {end.folded} folded, "
          f"{end.operational} hours, {end.boots} boots, {end.unclean} unclean, "
          f"{len(edges) - 1} windows, {len(failures)} differences")


def main():
    corefold, year = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as directory:
        for seed in sys.argv[3:]:
            count_again(corefold, year, directory, seed)
    return 1 if failures else 0


sys.exit(main())
