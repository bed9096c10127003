#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Is what `summary --format json` prints what data/summary.schema.json promises?

Usage: schema.py COREFOLD SCENE SOURCE_DIR

Knows as much of JSON Schema as that file uses, and fails on a keyword it does not know.
Every key printed has to be in the schema, too, and the other way round in the manual.
"""
import json
import os
import subprocess
import sys
import tempfile

KINDS = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
KNOWN = {"$schema", "title", "description", "type", "properties", "required", "items", "const",
         "enum", "minimum"}


def is_kind(value, kind):
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, KINDS[kind])


def check(value, schema, where, bad):
    for keyword in set(schema) - KNOWN:
        raise SystemExit(f"schema.py does not know the keyword {keyword}")
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(is_kind(value, k) for k in kinds):
        bad.append(f"{where}: {value!r} is no {' or '.join(kinds)}")
    if "const" in schema and value != schema["const"]:
        bad.append(f"{where}: {value!r} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        bad.append(f"{where}: {value!r} is none of {schema['enum']}")
    if "minimum" in schema and is_kind(value, "number") and value < schema["minimum"]:
        bad.append(f"{where}: {value!r} is too small")
    if isinstance(value, dict):
        for key in schema.get("required", []):
            if key not in value:
                bad.append(f"{where}: {key} is missing")
        for key, part in value.items():
            if key in schema.get("properties", {}):
                check(part, schema["properties"][key], f"{where}.{key}", bad)
            else:
                bad.append(f"{where}: {key} is not in the schema")
    if isinstance(value, list):
        for i, part in enumerate(value):
            check(part, schema.get("items", {}), f"{where}[{i}]", bad)


def keys(schema):
    for key, part in schema.get("properties", {}).items():
        yield key
        yield from keys(part)
    if "items" in schema:
        yield from keys(schema["items"])


def main():
    corefold, scene, source = sys.argv[1:4]
    with open(os.path.join(source, "data", "summary.schema.json"), encoding="utf-8") as f:
        schema = json.load(f)
    with open(os.path.join(source, "man", "corefold-formats.5"), encoding="utf-8") as f:
        manual = f.read().split(".Sh SUMMARY", 1)[1].split(".Sh ", 1)[0]
    words = set(manual.replace(",", " ").split())
    bad = [f"{key} is not in SUMMARY of corefold-formats(5)" for key in keys(schema)
           if key not in words]
    for name in ("just-begun", "no-crash", "one-process", "forty", "large"):
        with tempfile.TemporaryDirectory() as directory:
            state = os.path.join(directory, "state")
            os.mkdir(state, 0o700)
            subprocess.run([scene, state, name], check=True)
            with open(os.path.join(state, "counters"), "r+b") as f:
                f.write(b"#")  # a line that is none
            config = os.path.join(directory, "conf")
            with open(config, "w", encoding="ascii") as f:
                f.write(f"[Store]\nDirectory={state}\n")
            for args in ([], ["--since", "-2w"], ["--since", "-2w", "--until", "-1w"]):
                out = subprocess.run([corefold, "summary", "-C", config, "--format", "json", *args],
                                     check=True, stdout=subprocess.PIPE).stdout
                check(json.loads(out), schema, f"{name} {' '.join(args)}", bad)
    broken = []
    check({"version": 2, "time": "now"}, schema, "broken", broken)
    if len(broken) < 3:
        bad.append("schema.py takes anything")
    print(*bad[:20], sep="\n")
    return 1 if bad else 0


sys.exit(main())
