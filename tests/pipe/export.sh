#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# A crash as one archive, looked at where neither store nor program are; and archives that
# somebody else has made.
# shellcheck source=tests/pipe/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
pipe_setup "$0" "$@"
import_worker

# ---- what is in it ----

try 0 1 'export' export -C "$conf" worker -o crash.tar.gz
matches '... says what it holds' "$err" "$id: [0-9]+ files by build-id, 0 not to be had"
is '... for its owner alone' "$(stat -c %a crash.tar.gz)" 600
tar -tzf crash.tar.gz | sort >"$base/names"
matches 'record' "$(cat "$base/names")" "^$id/record.json$"
matches 'executable' "$(cat "$base/names")" "^$id/debug/.build-id/${build_id:0:2}/${build_id:2}$"
holds 'libraries' test "$(grep -c '/.build-id/' "$base/names")" -ge 3
is 'regular files only' "$(tar -tvzf crash.tar.gz | grep -vc '^-')" 0
mkdir "$base/there" && tar -C "$base/there" -xzf crash.tar.gz
holds 'the executable is the file' cmp "$program" "$base/there/$id/debug/.build-id/${build_id:0:2}/${build_id:2}"
holds 'the core is the core' cmp "$base/core" <(zcat "$base/there/$id/core.gz")
is 'the record is the record' "$(jq -c . "$base/there/$id/record.json")" "$(cf info --json=short)"
cf export >"$base/pipe.tar.gz" 2>/dev/null
holds 'to a pipe, too' tar -tzf "$base/pipe.tar.gz" >/dev/null

# ---- elsewhere ----

mv "$program" "$program.gone"
debug() { "$COREFOLD" debug "$@" >"$base/out" 2>"$base/err" </dev/null; }
debug crash.tar.gz -C /nonexistent/none -A '-batch -ex bt -ex "info files" -ex "info sharedlibrary"'
is 'debug of the archive' $? 0
matches '... names the frames' "$(cat "$base/out")" '#[0-9]+ .* in main \('
matches '... by the executable in it' "$(cat "$base/out")" 'Local exec file'
matches '... and libraries' "$(cat "$base/out")" 'Yes .*/libc\.so\.6'
is '... and leaves nothing' "$(litter)" ''
( cd "$base/there/$id" && gunzip -k core.gz && $gdb -nx -batch \
	-iex 'set debug-file-directory debug:/usr/lib/debug' -core core \
	-ex "file debug/.build-id/${build_id:0:2}/${build_id:2}" -ex bt ) >"$base/out" 2>&1
matches 'gdb alone can read it as well' "$(cat "$base/out")" ' in main \('
try 0 2 'the program is gone: the rest is exported' export -C "$conf" -o less.tar.gz
matches '... and it is named' "$err" "$program is left out: No such file"
echo other >"$program"
try 0 2 'another file is there' export -C "$conf" -o less.tar.gz
matches '... and does not go in' "$err" "$program is left out: another build by now"
is '... ' "$(tar -tzf less.tar.gz | grep -c "${build_id:2}")" 0
rm "$program"
mkfifo "$program"
try 0 2 'a FIFO holds nobody up' export -C "$conf" -o less.tar.gz
rm "$program"
cf prune --cores-only worker >/dev/null
try 0 3 'without its core' export -C "$conf" -o none.tar.gz
matches '... it is said' "$err" 'has no core'
try 1 1 'debug of that' debug none.tar.gz
matches '... is told why' "$err" 'none.tar.gz holds no core'

# ---- no archive at all ----

# The first claims need no store, so the words cannot be matches.
for word in ./nosuch.tgz no/such.tgz; do
	try 1 1 "debug of $word" debug -C /dev/null "$word"
	matches '... is a name of a file' "$err" "^corefold debug: $word: No such file or directory\$"
done
: >empty.tgz
for word in ./empty.tgz ./ /dev/zero "$base"; do
	try 1 1 "debug of $word" debug -C /dev/null "$word"
	matches '... is no archive' "$err" "^corefold debug: $word: not an archive of 'corefold export'\$"
done
for word in empty.tgz "$PWD/empty.tgz" /etc/passwd; do
	try 1 1 "debug of $word, which could be a match" debug -C "$conf" "$word"
	matches '... is neither' "$err" "^corefold debug: $word: not an archive of 'corefold export', and no record"
done
try 1 1 'debug of an absolute path that is not there' debug -C "$conf" /nosuch.tgz
matches '... is neither' "$err" '/nosuch\.tgz: No such file or directory, and no record'
try 1 1 'a word without a slash' debug -C "$conf" nosuch
matches '... is a match' "$err" "no record 'nosuch'"

# ---- from somebody else ----

hostile() { # CLAIM FILE TEXT
	debug "$2" -A -batch
	is "$1: refused" $? 1
	matches "... and it is said" "$(cat "$base/err")" "$3"
	is '... nothing is left' "$(litter)" ''
	is '... nothing written elsewhere' "$(ls "$base/evil" 2>/dev/null)" ''
}
mkdir "$base/evil"
head -c 100000 crash.tar.gz >cut.tar.gz
hostile 'cut off' cut.tar.gz 'no archive of .corefold export., or is damaged'
echo nothing | gzip >text.gz
hostile 'no archive' text.gz 'no archive'
if command -v python3 >/dev/null; then
	python3 - crash.tar.gz "$base/evil" <<-'END'
		import io, sys, tarfile
		def members():
		    with tarfile.open(sys.argv[1]) as t:
		        for m in t: yield m.name.split("/", 1)[1], t.extractfile(m).read()
		good = dict(members())
		def write(path, entries):
		    with tarfile.open(path, "w:gz", format=tarfile.USTAR_FORMAT) as t:
		        for name, data, *more in entries:
		            m = tarfile.TarInfo(name); m.size = len(data)
		            for k, v in more: setattr(m, k, v)
		            t.addfile(m, io.BytesIO(data))
		up = "../" * 20 + sys.argv[2].lstrip("/")
		rec, core = good["record.json"], good["core.gz"]
		b = "debug/.build-id/"
		link = (("type", tarfile.SYMTYPE), ("linkname", sys.argv[2]))
		# what leads out of the directory is not taken: the rest is
		write("out.tar.gz", [("x/" + up + "/a", b"x"), ("/x/" + up + "/b", b"x"), (sys.argv[2] + "/c", b"x"),
		    ("x/" + b + "../" + up + "/d", b"x"), ("x/" + b + "ab/../../" + up + "/e", b"x"), ("x/" + b + "ab", b"", *link),
		    ("x/" + b + "ab/0123", b"x"), ("x/" + b + "ab/cd.debug/" + up + "/f", b"x"), ("x/record.json", rec), ("x/core.gz", core)])
		write("red.tar.gz", [("x/record.json", b'{"id": "x", "capture": "full", "process": "\\u001b[31mx"}'), ("x/core.gz", core)])
		write("bare.tar.gz", [("x/record.json", b"{}"), ("x/core.gz", core)])
		write("torn.tar.gz", [("x/record.json", rec), ("x/core.gz", core[:len(core) - 10])])
		write("void.tar.gz", [("x/record.json", rec), ("x/core.gz", b"")])
		write("twice.tar.gz", [("x/record.json", rec), ("x/record.json", rec), ("x/core.gz", core)])
		write("nojson.tar.gz", [("x/record.json", b"{"), ("x/core.gz", core)])
		write("nocore.tar.gz", [("x/record.json", rec), ("x/core.gz", b"not a core")])
		write("deep.tar.gz", [("x/record.json", b"[" * 100000), ("x/core.gz", core)])
		raw = bytearray(tarfile.TarInfo("x/core.gz").tobuf(format=tarfile.USTAR_FORMAT))
		raw[124:136] = b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7
		raw[148:156] = b" " * 8
		raw[148:156] = b"%06o\0 " % sum(raw)
		import gzip
		open("huge.tar.gz", "wb").write(gzip.compress(bytes(raw) + b"x" * 1000))
		raw[124] = 0xff
		raw[148:156] = b" " * 8
		raw[148:156] = b"%06o\0 " % sum(raw)
		open("negative.tar.gz", "wb").write(gzip.compress(bytes(raw) + b"x" * 1000))
	END
	debug out.tar.gz -A -batch
	is 'names that lead out: the rest is used' $? 0
	is '... nothing written elsewhere' "$(ls "$base/evil")" ''
	is '... nothing is left' "$(litter)" ''
	debug red.tar.gz -A -batch
	is 'a name with an escape sequence: none on the terminal' "$(grep -c $'\033' "$base/err")" 0
	matches '... but readable' "$(cat "$base/err")" '^corefold debug: x: \\x1b\[31mx, capture full'
	debug bare.tar.gz -A -batch
	matches 'an empty record is called incomplete' "$(cat "$base/err")" \
		'^corefold debug: bare\.tar\.gz: its record is incomplete \(it lacks id process capture\)'
	debug torn.tar.gz -A -batch
	matches 'a core that is cut off: said' "$(cat "$base/err")" \
		'^corefold debug: the stored core of torn\.tar\.gz is damaged at byte [0-9]+: '
	hostile 'an empty core' void.tar.gz 'the stored core of void\.tar\.gz is damaged from its first byte'
	hostile 'two records' twice.tar.gz 'damaged'
	hostile 'a record that is none' nojson.tar.gz 'damaged'
	hostile 'a record that is deep' deep.tar.gz 'damaged'
	hostile 'a core that is none' nocore.tar.gz 'the stored core of nocore\.tar\.gz is no core'
	hostile 'a size beyond all' huge.tar.gz 'damaged'
	hostile 'a negative size' negative.tar.gz 'damaged'
fi
finish
