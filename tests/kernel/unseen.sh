#!/bin/bash
# shellcheck disable=SC2154 # lib.sh sets or reads these variables
# SPDX-License-Identifier: GPL-2.0-or-later
# Crashes for which the kernel starts no handler: it says so in its log, and the next tick
# counts them as unseen, each once. (Those over core_pipe_limit are in flood.sh.)
# shellcheck source=tests/kernel/lib.sh
. "$(dirname "$0")/lib.sh" || exit 1
need prlimit
kernel_setup
enable
cf tick || die 'tick' # a log that was never read is taken from its end
is 'nothing is unseen yet' "$(status .unseen)" 0

prlimit --core=1:1 "$base/victim-crasher" -n limited "$base/victim-abort" ||
	failed 'the victim does not die by its signal'
settle
cf tick || failed 'tick'
is 'RLIMIT_CORE 1: no handler, one unseen crash' "$(status '[.crashes, .unseen] | @csv')" 0,1

set_pattern "|$base/there-is-no-such-handler $specifiers"
crash -n orphan "$base/victim-abort" || failed 'orphan does not die by its signal'
settle
cf tick || failed 'tick'
is 'a handler that is not there: one more' "$(status '[.crashes, .unseen] | @csv')" 0,2
cf tick || failed 'tick'
is 'each record counts once' "$(status .unseen)" 2
matches 'the summary shows them' "$(cf summary)" 'At least 2 more never reached corefold'
is 'quiet is not quiet about them' "$(cf summary --quiet --since -1h | wc -l)" \
	"$(cf summary --since -1h | wc -l)"
finish
