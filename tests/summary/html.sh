#!/usr/bin/env bash
# The page with nothing to tell, with little, with forty processes of hostile names, and with
# large numbers: valid for tidy (and the Nu checker, VNU_JAR=), and with
# COREFOLD_TEST_ALL=yes opened in Chromium and looked at (browser.py).
# Usage: html.sh COREFOLD SCENE SOURCE_DIR
set -u
COREFOLD=$1
SCENE=$2
SOURCE=$3
command -v tidy >/dev/null || {
	echo "skipped: needs tidy (Debian package tidy)"
	exit 77
}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/cfhtml.XXXXXX") || exit 1
trap 'rm -rf "$WORK"' EXIT
FAILED=0
fail() {
	echo "FAILED: $*"
	FAILED=1
}

pages=()
for scene in just-begun no-crash one-process forty metronome large; do
	page=$WORK/$scene.html
	mkdir -m 0700 "$WORK/$scene"
	"$SCENE" "$WORK/$scene" "$scene" || fail "scene $scene"
	printf '[Store]\nDirectory=%s\n' "$WORK/$scene" >"$WORK/$scene.conf"
	"$COREFOLD" summary -C "$WORK/$scene.conf" --format html --output "$page" ||
		fail "summary of $scene"
	tidy -q -e "$page" 2>"$WORK/tidy" || fail "$scene is not valid: $(head -n 5 "$WORK/tidy")"
	grep -Eq '<script|</text></svg><h1>|<[^>]* (src|href)=' "$page" &&
		fail "$scene: a name got out of its place, or the page needs another file"
	grep -q 'dated in the future' "$page" && fail "$scene: the simulation overtook the clock"
	pages+=("$page")

	# A crash every 61 minutes: the two definitions part, and the text says why.
	if [ "$scene" = metronome ]; then
		"$COREFOLD" summary -C "$WORK/$scene.conf" >"$WORK/text" || fail "text of $scene"
		grep -Eq ' 98\.[0-9] % crash-free, rolling: ' "$WORK/text" || fail "rolling is not 98 %"
		grep -Eq ' [12]\.[0-9] % crash-free, slots: ' "$WORK/text" || fail "slots are not 2 %"
		grep -q 'rolling starts anew at each crash' "$WORK/text" || fail "61 minutes unexplained"
	fi

	# Mail has 80 columns, whatever the names are.
	"$COREFOLD" summary -C "$WORK/$scene.conf" >"$WORK/text" || fail "text of $scene"
	python3 - "$WORK/text" <<'END' || fail "$scene: more than 80 columns, or no plain text"
import sys
lines = open(sys.argv[1], encoding="utf-8").read().split("\n")
bad = [l for l in lines if len(l) > 80 or l != l.rstrip() or any(ord(c) < 32 for c in l)]
print(*bad[:5], sep="\n", end="" if not bad else "\n")
sys.exit(bool(bad))
END
done
grep -q 'Nothing crashed' "$WORK/no-crash.html" || fail "no-crash does not say that nothing crashed"
[ "$(grep -c '<svg' "$WORK/no-crash.html")" = 1 ] || fail "no-crash has empty charts"
# tidy is no judge if it accepts anything.
sed 's/<main>/<main><table><p>/' "$WORK/forty.html" | tidy -q -e >/dev/null 2>&1 &&
	fail "tidy accepts a broken page"

if [ -n "${VNU_JAR-}" ]; then
	java -jar "$VNU_JAR" "${pages[@]}" || fail "the Nu checker"
fi
if [ "${COREFOLD_TEST_ALL-}" = yes ]; then
	if command -v chromium >/dev/null; then
		timeout 300 python3 "$SOURCE/tests/summary/browser.py" chromium "${pages[@]}" ||
			fail "Chromium"
	else
		echo "chromium is missing: the pages were not looked at"
	fi
fi
exit "$FAILED"
