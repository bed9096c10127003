/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A machine on which all is well; each row has one fact wrong, and what is told of it. */

#include "policy/diagnosis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/pattern.h"
#include "unit.h"

#define OURS "|/usr/sbin/corefold handle " PATTERN_SPECIFIERS
#define SYSTEMD "|/lib/systemd/systemd-coredump %P %u %g %s %t 9223372036854775808 %h"
#define MIN_NS (60 * SEC)

/* A machine on which all is well. */
static const struct diagnosis_facts healthy = {
	.privileged = true,
	.enable = "corefold enable",
	.config = " -C /etc/other.conf",
	.stranger = "",
	.owner = "corefold:",
	.records_aside = "",
	.pattern = OURS,
	.program = "/usr/sbin/corefold",
	.program_runs = true,
	.program_safe = true,
	.wanted_pattern = OURS,
	.pipe_limit = 256,
	.suid_dumpable = 2,
	.directory = "/var/lib/corefold",
	.directory_is_one = true,
	.parent_safe = true,
	.directory_mode = 0700,
	.directory_uid = 990,
	.user = "corefold",
	.user_known = true,
	.user_uid = 990,
	.space_known = true,
	.free_bytes = 10ULL << 30,
	.keep_free_bytes = 1ULL << 30,
	.free_inodes = UINT64_MAX,
	.keep_program = "/usr/libexec/corefold/corefold-keep",
	.unwind_program = "/usr/libexec/corefold/corefold-unwind",
	.keep_runs = true,
	.unwind_runs = true,
	.seccomp = true,
	.hooks = 1,
	.hook = "",
	.hook_program = "mail",
	.state_tried = true,
	.state_known = true,
	.state_error = "the state cannot be opened",
	.balanced = true,
	.on_time_ns = 100 * MIN_NS,
	.tick_age_ns = 5 * MIN_NS,
	.wall_s = 2000,
	.built_s = 1000,
	.next_value = OURS,
	.next_path = "/run/sysctl.d/90-corefold.conf",
	.rival_units = "",
	.our_unit = true,
	.systemd = true,
	.drill = DIAGNOSIS_DRILL_KEPT,
	.drill_error = "",
	.drill_ms = 20,
	.drill_capture = "full",
	.drill_verified = true,
	.drill_frames = 5,
};

/* One fact is not well: of all checks, these change, in "check verdict; ...". */
struct change {
	const char *claim;
	size_t offset, size;
	intmax_t value;
	const char *text; /* for facts that are text */
	const char *verdicts;
	const char *mend; /* in the first of them; "": it has none */
};

#define NUMBER(field, value)                                                             \
	offsetof(struct diagnosis_facts, field), sizeof(healthy.field), value, NULL
#define STRING(field, text) offsetof(struct diagnosis_facts, field), sizeof(char *), 0, text

static const struct change changes[] = {
	{ "another handler's pattern", STRING(pattern, SYSTEMD),
	  "pattern fail; rivals warn; ", "corefold enable" },
	{ "files", STRING(pattern, "core"), "pattern fail; rivals warn; ", "corefold enable" },
	{ "no pattern at all", STRING(pattern, ""), "pattern fail; rivals warn; ",
	  "corefold enable" },
	{ "a cut pattern",
	  STRING(pattern, "|/a/very/long/path/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			  "aaaaaaaaaaaaa/corefold handle -P%P -I%I -u%u -g%g -s%s -t%"),
	  "pattern fail; rivals warn; ", "shorter path" },
	{ "arguments that are not ours", STRING(pattern, "|/usr/sbin/corefold handle -P%P"),
	  "pattern warn; rivals warn; ", "corefold enable" },
	{ "the configuration that was named is mended", STRING(enable, "corefold enable -C x"),
	  "", "" },
	{ "a program that is gone", NUMBER(program_runs, 0), "pattern fail; ",
	  "corefold enable" },
	{ "a program that anybody may change", NUMBER(program_safe, 0), "pattern fail; ",
	  "chown root: /usr/sbin/corefold" },
	{ "no limit of handlers", NUMBER(pipe_limit, 0), "pipe-limit fail; ",
	  "corefold enable" },
	{ "a low limit of handlers", NUMBER(pipe_limit, 4), "pipe-limit warn; ",
	  "corefold enable" },
	{ "sixteen are enough", NUMBER(pipe_limit, 16), "", "" },
	{ "no daemons", NUMBER(suid_dumpable, 0), "suid-dumpable warn; ", "corefold enable" },
	{ "too many readers", NUMBER(suid_dumpable, 1), "suid-dumpable warn; ",
	  "corefold enable" },
	{ "an unreadable setting", NUMBER(suid_dumpable, -1), "suid-dumpable skipped; ", "" },
	{ "sysctl would put back another", STRING(next_value, SYSTEMD), "rivals warn; ",
	  "take kernel.core_pattern out of" },
	{ "no file sets it", STRING(next_value, ""), "", "" },
	{ "a unit that comes after us, and ours after it", STRING(rival_units, "apport.service"),
	  "", "" },
	{ "ours is not enabled", NUMBER(our_unit, 0), "boot warn; ",
	  "systemctl enable --now corefold.service" },
	{ "no systemd and no cron", NUMBER(systemd, 0), "boot warn; ", "corefold enable" },
	{ "no user", NUMBER(user_known, 0), "user warn; ", "useradd" },
	{ "no directory", NUMBER(directory_error, ENOENT),
	  "directory fail; owner skipped; ", "corefold enable" },
	{ "a link for a directory", NUMBER(directory_is_one, 0), "directory fail; ", "mv " },
	{ "a parent open to others", NUMBER(parent_safe, 0), "directory fail; ", "go-w" },
	{ "a directory others write to", NUMBER(directory_mode, 0770), "directory fail; ",
	  "chmod 0700 /var/lib/corefold" },
	{ "a directory others read", NUMBER(directory_mode, 0755), "directory warn; ",
	  "chmod 0700 /var/lib/corefold" },
	{ "root owns it", NUMBER(directory_uid, 0), "owner fail; ",
	  "chown -R corefold: /var/lib/corefold" },
	{ "another owns it", NUMBER(directory_uid, 1000), "owner warn; ", "chown -R corefold:" },
	{ "read-only", NUMBER(read_only, 1), "space fail; ", "remount" },
	{ "no blocks", NUMBER(free_bytes, 0), "space fail; ", "corefold prune" },
	{ "no inodes", NUMBER(free_inodes, 0), "space fail; ", "corefold prune" },
	{ "less than KeepFree", NUMBER(free_bytes, 1 << 30), "space warn; ", "corefold prune" },
	{ "just more than KeepFree", NUMBER(free_bytes, (1 << 30) + 1), "", "" },
	{ "no helper to keep", NUMBER(keep_runs, 0), "programs warn; ", "install" },
	{ "no unwinder", NUMBER(unwind_runs, 0), "programs warn; ", "install" },
	{ "no filters", NUMBER(seccomp, 0), "sandbox warn; ", "CONFIG_SECCOMP_FILTER" },
	{ "a command without its path", STRING(hook, "OnKeep"), "hooks warn; ",
	  "command -v mail" },
	{ "a state that cannot be read", NUMBER(state_known, 0),
	  "state fail; clock skipped; ticks skipped; unseen skipped; ", "corefold tick -C /etc/other.conf" },
	{ "a ledger that is off", NUMBER(balanced, 0), "state fail; ",
	  "corefold tick -C /etc/other.conf" },
	{ "damaged files", NUMBER(set_aside, 2), "state warn; ", "rm -r /var/lib/corefold/" },
	{ "what is in it is another's", STRING(stranger, "cores"), "owner fail; ",
	  "chown -R corefold: /var/lib/corefold" },
	{ "a clock of 1970", NUMBER(wall_s, 0), "clock warn; ", "timedatectl" },
	{ "a tick is late", NUMBER(tick_age_ns, 16 * MIN_NS + 1), "ticks warn; ",
	  "corefold-tick.timer" },
	{ "no tick is late yet", NUMBER(tick_age_ns, 16 * MIN_NS), "", "" },
	{ "never a tick", NUMBER(tick_age_ns, -1), "ticks warn; ", "corefold-tick.timer" },
	{ "crashes the kernel dropped", NUMBER(unseen, 3), "unseen warn; ", "dmesg" },
	{ "no crash was wanted", NUMBER(drill, DIAGNOSIS_DRILL_UNWANTED),
	  "crash skipped; backtrace skipped; ", "" },
	{ "no crash was possible", NUMBER(drill, DIAGNOSIS_DRILL_IMPOSSIBLE),
	  "crash skipped; backtrace skipped; ", "" },
	{ "counted, not stored", NUMBER(drill, DIAGNOSIS_DRILL_FOLDED),
	  "crash fail; backtrace skipped; ", "journalctl" },
	{ "no dump", NUMBER(drill, DIAGNOSIS_DRILL_NO_DUMP), "crash fail; backtrace skipped; ",
	  "ulimit" },
	{ "lost", NUMBER(drill, DIAGNOSIS_DRILL_LOST), "crash fail; backtrace skipped; ",
	  "journalctl" },
	{ "slow", NUMBER(drill_ms, 5001), "crash warn; ", "" },
	{ "another process's /proc", NUMBER(drill_verified, 0), "crash warn; ", "" },
	{ "no frames", NUMBER(drill_frames, 0), "backtrace warn; ", "journalctl" },
};

static struct diagnosis_facts changed(const struct change *change)
{
	struct diagnosis_facts facts = healthy;
	char *field = (char *)&facts + change->offset;

	if (change->text)
		memcpy(field, &change->text, sizeof(change->text));
	else /* little-endian or not: every fact is written whole */
		for (size_t i = 0; i < change->size; i++)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
			field[i] = (char)(change->value >> 8 * i);
#else
			field[change->size - 1 - i] = (char)(change->value >> 8 * i);
#endif
	return facts;
}

static const struct diagnosis *not_ok(const struct diagnosis *checks, size_t n,
				      struct unit_text *verdicts)
{
	const struct diagnosis *first = NULL;

	for (size_t i = 0; i < n; i++) {
		if (checks[i].verdict == DIAGNOSIS_OK) {
			claim_str_eq(checks[i].check, checks[i].mend, "");
			continue;
		}
		unit_append(verdicts, "%s %s; ", checks[i].check,
			    diagnosis_verdict_name(checks[i].verdict));
		first = first ?: &checks[i];
	}
	return first;
}

START_TEST(test_change)
{
	const struct change *change = &changes[_i];
	struct diagnosis_facts facts = changed(change);
	struct diagnosis checks[DIAGNOSIS_CHECKS_MAX];
	struct unit_text verdicts = { 0 };
	const struct diagnosis *first;

	first = not_ok(checks, diagnosis_make(&facts, checks), &verdicts);
	claim_str_eq(change->claim, verdicts.bytes, change->verdicts);
	if (first && *change->mend)
		ck_assert_msg(strstr(first->mend, change->mend) != NULL, "%s: mend '%s'",
			      change->claim, first->mend);
	else if (first)
		claim_str_eq(change->claim, first->mend, "");
	for (size_t i = 0; i < diagnosis_make(&facts, checks); i++)
		ck_assert_msg(checks[i].message[0] && !strchr(checks[i].message, '\n'),
			      "%s: %s says '%s'", change->claim, checks[i].check,
			      checks[i].message);
}
END_TEST

/* What is mended with a configuration that was named names it. */
START_TEST(test_named_configuration)
{
	struct diagnosis_facts facts = healthy;
	struct diagnosis checks[DIAGNOSIS_CHECKS_MAX];

	facts.enable = "corefold enable -C /etc/other.conf";
	facts.pattern = "core";
	(void)diagnosis_make(&facts, checks);
	ck_assert_str_eq(checks[0].mend, facts.enable);
}
END_TEST

static const struct {
	const char *claim;
	int error;
	enum diagnosis_verdict verdict;
	const char *message;
} hooks[] = {
	{ "not there", ENOENT, DIAGNOSIS_WARN, "OnKeep=/x cannot be run by uid 990: No such file" },
	{ "not executable", EACCES, DIAGNOSIS_WARN, "OnKeep=/x cannot be run by uid 990: Permission" },
	{ "others may write", 0, DIAGNOSIS_FAIL, "others may change /x (OnKeep=), which runs as uid 990" },
};

START_TEST(test_hook)
{
	struct diagnosis_facts facts = healthy;
	struct diagnosis checks[DIAGNOSIS_CHECKS_MAX];
	struct unit_text verdicts = { 0 };
	const struct diagnosis *hook;

	facts.hook = "OnKeep";
	facts.hook_program = "/x";
	facts.hook_error = hooks[_i].error;
	hook = not_ok(checks, diagnosis_make(&facts, checks), &verdicts);
	ck_assert_ptr_nonnull(hook);
	claim_str_eq(hooks[_i].claim, hook->check, "hooks");
	claim_int_eq(hooks[_i].claim, hook->verdict, hooks[_i].verdict);
	ck_assert_msg(strncmp(hook->message, hooks[_i].message, strlen(hooks[_i].message)) == 0,
		      "%s: %s", hooks[_i].claim, hook->message);
}
END_TEST

/* Without root the state is not looked at: nothing fails for that, and it is said. */
START_TEST(test_plain_user)
{
	struct diagnosis_facts facts = healthy;
	struct diagnosis checks[DIAGNOSIS_CHECKS_MAX];
	struct unit_text verdicts = { 0 };

	facts.privileged = facts.state_tried = facts.state_known = false;
	facts.state_error = "only root and the state's owner can read it";
	facts.drill = DIAGNOSIS_DRILL_IMPOSSIBLE;
	(void)not_ok(checks, diagnosis_make(&facts, checks), &verdicts);
	ck_assert_str_eq(verdicts.bytes, "hooks skipped; state skipped; clock skipped; "
					 "ticks skipped; unseen skipped; crash skipped; backtrace skipped; ");
}
END_TEST

/* ---- patterns ---- */

static const struct {
	const char *claim;
	const char *pattern;
	enum pattern_kind kind;
	const char *owner;
	const char *program;
} patterns[] = {
	{ "ours", OURS, PATTERN_OURS, "corefold", "/usr/sbin/corefold" },
	{ "ours, elsewhere, with a configuration", "|/opt/x/corefold handle -C/x -P%P",
	  PATTERN_OURS, "corefold", "/opt/x/corefold" },
	{ "another command of ours", "|/usr/sbin/corefold list", PATTERN_PIPE,
	  "another program", "/usr/sbin/corefold" },
	{ "a longer name", "|/usr/sbin/corefolder handle", PATTERN_PIPE, "another program",
	  "/usr/sbin/corefolder" },
	{ "systemd", SYSTEMD, PATTERN_PIPE, "systemd-coredump",
	  "/lib/systemd/systemd-coredump" },
	{ "systemd's socket", "@@/run/systemd/coredump", PATTERN_SOCKET,
	  "systemd-coredump (by its socket)", "" },
	{ "any socket", "@/run/x.sock", PATTERN_SOCKET, "another program, through a socket",
	  "" },
	{ "apport", "|/usr/share/apport/apport -p%p -s%s", PATTERN_PIPE, "apport",
	  "/usr/share/apport/apport" },
	{ "ABRT", "|/usr/libexec/abrt-hook-ccpp %s %c", PATTERN_PIPE, "ABRT",
	  "/usr/libexec/abrt-hook-ccpp" },
	{ "systemd's nothing", "|/bin/false", PATTERN_NOBODY, "nobody", "/bin/false" },
	{ "nothing", "", PATTERN_NOBODY, "nobody", "" },
	{ "files", "/var/crash/core.%p", PATTERN_FILE, "files that the kernel writes", "" },
	{ "a relative pipe", "|corefold", PATTERN_PIPE, "another program", "" },
};

START_TEST(test_pattern)
{
	const char *claim = patterns[_i].claim;
	char program[64];

	claim_int_eq(claim, pattern_kind(patterns[_i].pattern), patterns[_i].kind);
	claim_str_eq(claim, pattern_owner(patterns[_i].pattern), patterns[_i].owner);
	claim_str_eq(claim, pattern_program(patterns[_i].pattern, program, sizeof(program)),
		     patterns[_i].program);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("diagnosis");
	TCase *tcase = unit_case(suite, "all");

	tcase_add_loop_test(tcase, test_change, 0, ROWS(changes));
	tcase_add_loop_test(tcase, test_hook, 0, ROWS(hooks));
	tcase_add_test(tcase, test_named_configuration);
	tcase_add_test(tcase, test_plain_user);
	tcase_add_loop_test(tcase, test_pattern, 0, ROWS(patterns));
	return unit_main(suite);
}
