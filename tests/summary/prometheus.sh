#!/usr/bin/env bash
# Metrics as Prometheus wants them: promtool's check, rules with their unit tests, counters
# that never go backwards, and the real node_exporter and Prometheus scraping them.
# Usage: prometheus.sh COREFOLD SOURCE_DIR
set -u
COREFOLD=$1
SOURCE=$2
command -v promtool >/dev/null || {
	echo "skipped: needs promtool (Debian package prometheus)"
	exit 77
}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/cfprom.XXXXXX") || exit 1
PIDS=()
# shellcheck disable=SC2317 # called by the trap
finish() {
	local pid

	for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null; done
	wait 2>/dev/null
	rm -rf "$WORK"
}
trap finish EXIT
FAILED=0
fail() {
	echo "FAILED: $*"
	FAILED=1
}

mkdir -m 0700 "$WORK/state"
mkdir -m 0755 "$WORK/metrics"
printf '[Store]\nDirectory=%s/state\n[Summary]\nTextfile=%s/metrics/corefold.prom\n' \
	"$WORK" "$WORK" >"$WORK/conf"
corefold() { "$COREFOLD" "$@" -C "$WORK/conf"; }
crash() { corefold report "$1" >/dev/null || fail "report $1"; }
metrics() { cat "$WORK/metrics/corefold.prom"; }
value() { metrics | grep -v '^#' | grep -F "corefold_$1 " | sed 's/.* //'; }

# ---- the format ----
# shellcheck disable=SC1003 # a backslash is meant
for name in 'plain' 'quo"te' 'back\slash' 'new
line' '{label="x"} 7' '# HELP x'; do crash "$name"; done
corefold tick || fail "tick"
metrics | promtool check metrics || fail "promtool check metrics"
corefold summary --format prometheus | promtool check metrics || fail "promtool, summary"
[ "$(stat -c %a "$WORK/metrics/corefold.prom")" = 644 ] || fail "the textfile is not 0644"
[ "$(find "$WORK/metrics" -type f | wc -l)" = 1 ] || fail "something else was left there"

# ---- bounded, and never backwards ----
for i in $(seq 40); do crash "p$i"; done
for i in $(seq 12); do crash p40; done
corefold tick || fail "tick"
[ "$(metrics | grep -c '^corefold_process_crashes_total')" -le 21 ] || fail "too many series"
before=$(value 'process_crashes_total{process="other",uid=""}')
for i in $(seq 30); do crash p39; done
corefold tick || fail "tick"
after=$(value 'process_crashes_total{process="other",uid=""}')
[ "$after" -ge "$before" ] || fail "other went from $before to $after"
total=$(value crashes_total)
sum=$(metrics | awk '/^corefold_process_crashes_total/ { s += $NF } END { print s }')
[ "$total" = 88 ] || fail "88 crashes, $total shown"
[ "$sum" = "$total" ] || fail "series add up to $sum, not $total"

# ---- never through an unsafe path ----
corefold tick
cp "$WORK/metrics/corefold.prom" "$WORK/old"
chmod 0777 "$WORK/metrics"
corefold tick 2>"$WORK/err" && fail "wrote into a directory that anybody can change"
grep -q 'not safe' "$WORK/err" || fail "does not say why: $(cat "$WORK/err")"
cmp -s "$WORK/old" "$WORK/metrics/corefold.prom" || fail "changed a file it must not write"
chmod 0755 "$WORK/metrics"
ln -s "$WORK/victim" "$WORK/metrics/.corefold-textfile.new"
corefold tick 2>/dev/null && fail "followed a link"
[ ! -e "$WORK/victim" ] || fail "wrote through a link"
rm -f "$WORK/metrics/.corefold-textfile.new"
corefold tick || fail "tick after the link was gone"

# ---- rules ----
promtool check rules "$SOURCE/data/prometheus/corefold.rules.yml" || fail "rules"
(cd "$SOURCE/data/prometheus" && promtool test rules corefold.rules.test.yml) || fail "rule tests"

# ---- scraped ----
scrape() {
	local i port_exporter=$((20000 + $$ % 20000)) port_prometheus=$((20001 + $$ % 20000))

	prometheus-node-exporter --collector.disable-defaults --collector.textfile \
		--collector.textfile.directory="$WORK/metrics" \
		--web.listen-address="127.0.0.1:$port_exporter" >"$WORK/exporter.log" 2>&1 &
	PIDS+=($!)
	printf 'scrape_configs:\n- job_name: n\n  scrape_interval: 1s\n  static_configs:\n  - targets: ["127.0.0.1:%d"]\n' \
		"$port_exporter" >"$WORK/prometheus.yml"
	prometheus --config.file="$WORK/prometheus.yml" --storage.tsdb.path="$WORK/tsdb" \
		--web.listen-address="127.0.0.1:$port_prometheus" >"$WORK/prometheus.log" 2>&1 &
	PIDS+=($!)
	for ((i = 0; i < 60; i++)); do
		promtool query instant "http://127.0.0.1:$port_prometheus" \
			'corefold_crashes_total' 2>/dev/null | grep -q "=> $total @" && return 0
		sleep 0.5
	done
	tail -n 5 "$WORK/exporter.log" "$WORK/prometheus.log"
	return 1
}
if command -v prometheus >/dev/null && command -v prometheus-node-exporter >/dev/null; then
	scrape || fail "Prometheus did not see $total crashes"
	echo "scraped by node_exporter and Prometheus: $total crashes"
else
	echo "prometheus or prometheus-node-exporter is missing: not scraped"
fi
exit "$FAILED"
