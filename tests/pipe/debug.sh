#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# The debugger gets the right files and no others, does nothing that they ask for, and
# leaves nothing behind.
# shellcheck source=tests/pipe/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
pipe_setup "$0" "$@"
import_worker
is 'the record has the build-id of the executable' "$(cf info --json | jq -r .build_id)" "$build_id"

debug() { cf debug "$@" >"$base/out" 2>"$base/err" </dev/null; }

# ---- the right files ----

debug -A '-batch -ex bt -ex "info sharedlibrary" -ex "info files"'
is 'gdb has run' $? 0
matches 'the frames have names: it is the right executable' "$(cat "$base/out")" '#[0-9]+ .* in main \('
is 'and the debugger has it' "$(grep -c 'Local exec file' "$base/out")" 1
matches 'the libraries are there as well' "$(cat "$base/out")" 'Yes .*/libc\.so\.6'
matches 'it is told what is looked at' "$(cat "$base/err")" "$id: worker, capture full"
debug "$id" --debugger=/usr/bin/gdb --debugger-arguments=-batch
is 'a debugger by its path' $? 0
cf gdb last -A -batch >/dev/null 2>&1
is 'gdb is another name of the command' $? 0
mkdir relative
(TMPDIR=relative debug -A '-batch -ex "show sysroot" -ex "show solib-search-path"')
is 'a relative TMPDIR does as well: the debugger is elsewhere' \
	"$(grep -c " $base/relative/corefold-debug\|\"$base/relative/corefold-debug" "$base/out")" 2
is '... and nothing is left in it' "$(ls relative)" ''
debug "$program" --since=yesterday -A -batch
is 'by executable and time' $? 0
debug -A "-batch -ex 'quit 7'"
is 'a debugger that fails is a failure' $? 1
is 'nothing is left behind' "$(litter)" ''

# ---- the wrong files ----

# without CLAIM TEXT: no executable is used, and the reason is given.
without() {
	debug -A '-batch -ex bt -ex "info files"'
	matches "$1: said" "$(cat "$base/err")" "no executable: $program$2"
	is "$1: not used" "$(grep -c 'Local exec file' "$base/out")" 0
}
mv "$program" "$program.there"
without 'no file' ': No such file or directory'
cp "$VICTIMS/victim-abort" "$program"
without 'another build' ' is another build now'
echo text >"$program"
without 'no ELF file' ' is another build now'
ln -sf "$program.there" "$program"
without 'a symbolic link to the right one' ' is behind a symbolic link now'
rm "$program"
mkfifo "$program"
timeout 20 bash -c "$(declare -f cf debug); COREFOLD=$COREFOLD; conf=$conf; base=$base; debug -A -batch"
matches 'a FIFO does not stop it' "$(cat "$base/err")" 'is no regular file now'
rm "$program"
mv "$base/bin" "$base/there"
ln -s there "$base/bin"
cp "$program.there" "$program"
without 'a symbolic link on the way to it' ' is behind a symbolic link now'
rm "$base/bin" "$base/there/worker"
mv "$base/there" "$base/bin"
mv "$program.there" "$program"

# ---- nothing that the crashed user left lying about ----

bait() { printf 'shell touch %s/bitten.%s\n' "$base" "$1"; }
mkdir "$base/home" "$base/cwd"
for name in .gdbinit .gdbearlyinit; do
	bait home >"$base/home/$name"
	bait cwd >"$base/cwd/$name"
done
bait script >"$program-gdb.gdb"
printf '#!/bin/sh\ntouch %s/bitten.path\n' "$base" >"$base/cwd/gdb"
cp "$base/cwd/gdb" "$base/cwd/pager"
chmod +x "$base/cwd/gdb" "$base/cwd/pager"
echo garbage >"$base/cwd/libc.so.6"
(
	cd "$base/cwd" || exit
	HOME=$base/home PATH=$base/cwd:$PATH PAGER=$base/cwd/pager SHELL=$base/cwd/pager \
		GDBHISTFILE=$base/home/history PYTHONPATH=$base/cwd \
		debug -A '-batch -ex "info sharedlibrary" -ex "show auto-load" -ex "shell env"'
)
is 'no init file, script, program or pager of others has run' \
	"$(find "$base" -maxdepth 1 -name 'bitten.*')" ''
matches 'a library in the directory we are in is not taken' "$(cat "$base/out")" \
	'Yes .* /.*/libc\.so\.6'
is 'auto-loading is off' "$(grep -c '^.*auto-load.*: .* is on\.$\|enabled: *on' "$base/out")" 0
matches 'the search path is fixed' "$(cat "$base/out")" '^PATH=/usr/local/bin:/usr/bin:/bin$'
is 'nothing else of the environment is passed on' \
	"$(grep -cE '^(PAGER|PYTHONPATH|GDBHISTFILE)=|^HOME=/.*home' "$base/out")" 0
rm "$program-gdb.gdb"

# ---- told to stop ----

for signal in TERM HUP; do
	# One FIFO tells when gdb runs, it waits for commands in the other.
	rm -f "$base/says" "$base/hears"
	mkfifo "$base/says" "$base/hears"
	"$COREFOLD" debug -C "$conf" -A "-ex 'shell echo \$PPID >$base/says'" \
		>/dev/null 2>&1 <>"$base/hears" &
	read -r debugger <"$base/says"
	is "SIG$signal: one directory is in use" "$(litter | wc -l)" 1
	kill -$signal $!
	wait $!
	is "ended by SIG$signal: a failure" $? 1
	is "SIG$signal: no debugger is left" "$(ps -o pid= -p "$debugger")" ''
	is "SIG$signal: no file is left" "$(litter)" ''
done

# ---- lldb ----

if command -v lldb >/dev/null; then
	lldb() { debug --debugger lldb -A "--batch -o bt -o 'image list'"; }
	lldb
	is 'lldb has run' $? 0
	matches '... on the right executable' "$(cat "$base/out")" 'frame #[0-9]+: .*`main( at|\()'
	matches '... with the libraries that were matched' "$(cat "$base/out")" \
		'/corefold-debug\.[^ ]*/flat/libc\.so\.6'
	for file in home cwd; do echo "script open('$base/bitten.$file', 'w')" >"$base/$file/.lldbinit"; done
	(cd "$base/cwd" && HOME=$base/home lldb)
	is '... and no init file' "$(find "$base" -maxdepth 1 -name 'bitten.*')" ''
	is '... and it leaves nothing behind' "$(litter)" ''
else
	echo '# no lldb here'
fi

# ---- mistakes ----

try 2 1 'neither gdb nor lldb' debug -C "$conf" --debugger=vi
try 1 1 'a debugger that is not there' debug -C "$conf" --debugger=gdb-of-nobody
matches '... by its name' "$err" 'gdb-of-nobody is not in'
try 1 1 'one in this directory is none' debug -C "$conf" --debugger=gdb/../gdb
try 2 3 'a quote without an end' debug -C "$conf" -A "-ex 'bt"
try 1 1 'no such record' debug -C "$conf" 20991231
stored=$state/cores/$id.core.gz
cp "$stored" "$base/whole.gz"
truncate -s -10 "$stored"
debug "$id" -A -batch
matches 'a core that is cut off: said, with its id' "$(cat "$base/err")" \
	"^corefold debug: the stored core of $id is damaged at byte [0-9]+: the debugger gets only"
truncate -s 9000 "$stored"
debug "$id" -A -batch
matches '... also near its beginning' "$(cat "$base/err")" "the stored core of $id is damaged"
: >"$stored"
try 1 1 'a core that is empty' debug -C "$conf" "$id"
matches '... says so' "$err" "the stored core of $id is damaged at byte 0"
echo garbage >"$stored"
try 1 1 'a core that is garbage' debug -C "$conf" "$id"
matches '... says so' "$err" "the stored core of $id is damaged at byte 0"
head -c 20 "$base/whole.gz" >"$stored"
try 1 1 'a core of which nothing can be unpacked' debug -C "$conf" "$id"
matches '... says so' "$err" "the stored core of $id is damaged from its first byte on"
echo garbage | gzip >"$stored"
try 1 1 'a core that is none' debug -C "$conf" "$id"
matches '... says so' "$err" "the stored core of $id is no core"
rm "$stored"
try 1 1 'a core that is gone' debug -C "$conf"
matches '... says so' "$err" "$id has no core"
is 'and nothing is left of all that' "$(litter)" ''
finish
