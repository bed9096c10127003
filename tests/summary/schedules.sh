#!/usr/bin/env bash
# What runs corefold by the clock: systemd's own judge on the units, the cron lines, and the
# dashboard's expressions against the metrics that there are.
# Usage: schedules.sh COREFOLD BUILD_DATA_DIR SOURCE_DIR
set -u
COREFOLD=$(realpath "$1")
BUILT=$2
SOURCE=$3
WORK=$(mktemp -d "${TMPDIR:-/tmp}/cfsched.XXXXXX") || exit 1
trap 'rm -rf "$WORK"' EXIT
FAILED=0
fail() {
	echo "FAILED: $*"
	FAILED=1
}

# ---- units ----
if command -v systemd-analyze >/dev/null; then
	mkdir "$WORK/units"
	for unit in "$BUILT"/*.service "$SOURCE"/data/*.timer; do
		# The program need not be installed to judge the unit.
		sed -E "s|^(Exec[A-Za-z]*=[-+!@]*)/[^ ]*/corefold( \|$)|\\1$COREFOLD\\2|" "$unit" \
			>"$WORK/units/${unit##*/}"
	done
	for unit in "$WORK"/units/*; do
		SYSTEMD_UNIT_PATH="$WORK/units:" systemd-analyze --man=no verify "$unit" \
			>"$WORK/verify" 2>&1 || fail "verify ${unit##*/}"
		# Of other units on this machine nothing is our fault.
		! grep -F "corefold" "$WORK/verify" || fail "systemd complains of ${unit##*/}"
	done
	for unit in tick summary; do
		systemd-analyze security --offline=true --threshold=45 --no-pager \
			"$WORK/units/corefold-$unit.service" >"$WORK/security" 2>&1 ||
			fail "corefold-$unit.service: $(tail -n 1 "$WORK/security")"
		tail -n 1 "$WORK/security"
	done
	sed 's/^Type=oneshot/Type=nonsense/' "$WORK/units/corefold-tick.service" \
		>"$WORK/units/broken.service"
	SYSTEMD_UNIT_PATH="$WORK/units:" systemd-analyze --man=no verify \
		"$WORK/units/broken.service" 2>&1 | grep -q nonsense ||
		fail "systemd-analyze takes anything"
else
	echo "systemd-analyze is missing: the units were not judged"
fi
grep -q '^ExecStart=.* summary .*--quiet' "$BUILT/corefold-summary.service" ||
	fail "the daily summary is not quiet"

# ---- cron ----
while read -r line; do
	case $line in
	'#'* | '' | [A-Z]*=*) ;;
	@reboot\ root\ *) ;;
	[*0-9]*)
		[[ $line =~ ^([*/0-9]+\ ){5}root\ .*corefold ]] || fail "no line of cron.d: $line"
		;;
	*) fail "no line of cron.d: $line" ;;
	esac
	# cron takes % for the end of the line.
	[[ $line != *%* ]] || fail "a percent sign: $line"
done <"$BUILT/cron"
grep -q ' summary .*--quiet' "$BUILT/cron" || fail "cron's summary is not quiet"
grep -v '^#' "$BUILT/cron" | grep -Eq '^\*/5 .* tick' || fail "cron does not tick every 5 minutes"

# ---- the dashboard ----
mkdir -m 0700 "$WORK/state"
printf '[Store]\nDirectory=%s/state\n' "$WORK" >"$WORK/conf"
"$COREFOLD" report -C "$WORK/conf" p >/dev/null || fail "report"
"$COREFOLD" tick -C "$WORK/conf" || fail "tick"
"$COREFOLD" summary -C "$WORK/conf" --format prometheus >"$WORK/metrics" || fail "metrics"
python3 - "$SOURCE/data/prometheus" "$WORK/metrics" "$WORK/rules.yml" <<'END' || fail "dashboard"
import json, re, sys
source, metrics, out = sys.argv[1:]
rules = open(f"{source}/corefold.rules.yml", encoding="utf-8").read()
there = set(re.findall(r"^# TYPE (\S+)", open(metrics, encoding="utf-8").read(), re.M))
# Only where the machine tells its stops, and where a signature is known.
there |= {"corefold_unclean_shutdowns_total", "corefold_signature_first_seen_timestamp_seconds"}
there |= set(re.findall(r"record: (\S+)", rules))
board = json.load(open(f"{source}/corefold-dashboard.json", encoding="utf-8"))

def panels(of):
    for panel in of.get("panels", []):
        yield panel
        yield from panels(panel)

titles, exprs = [], []
for panel in panels(board):
    titles.append(panel.get("title", ""))
    for target in panel.get("targets", []):
        exprs.append(target["expr"])
        if target.get("datasource", panel.get("datasource")) is None:
            sys.exit(f"{panel['title']}: no data source")
named = set()
for text in [*exprs, *re.findall(r"expr: (?:\|\n)?((?:.|\n)*?)\n\s+(?:#|- |labels|for)", rules)]:
    named |= set(re.findall(r"\b(?:\w+:)?corefold_\w+(?::\w+)?", text))
for name in sorted(named - there):
    print(f"{name} is in no metric and no rule")
ids = [p["id"] for p in panels(board)]
if len(set(ids)) != len(ids) or not exprs or not all(titles):
    sys.exit("panels without ids, titles or expressions")
with open(out, "w", encoding="utf-8") as f:
    f.write("groups:\n- name: dashboard\n  rules:\n")
    for i, expr in enumerate(exprs):
        expr = expr.replace("$instance", ".*").replace("$__range", "1h").replace("$__rate_interval", "5m")
        f.write(f"  - record: dashboard:{'x' * (i + 1)}\n    expr: {json.dumps(expr)}\n")
print(f"{len(exprs)} expressions, {len(named)} metrics")
sys.exit(bool(named - there))
END
if command -v promtool >/dev/null; then
	promtool check rules "$WORK/rules.yml" >"$WORK/promtool" 2>&1 ||
		fail "PromQL: $(cat "$WORK/promtool")"
else
	echo "promtool is missing: the dashboard's PromQL was not parsed"
fi
exit "$FAILED"
