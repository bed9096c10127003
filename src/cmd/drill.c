/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cmd/drill.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/store.h"

/* A machine in trouble is when doctor is asked; its handlers are slow then. */
#define WAIT_MS 30000
#define LOOK_EVERY_MS 50

void drill_crash(void)
{
	abort();
}

/* ---- the child ---- */

static void allow_core(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CORE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_CORE, &limit);
}

_Noreturn static void become_victim(void)
{
	char name[] = LEDGER_DRILL, command[] = "doctor", word[] = DRILL_WORD;
	char *argv[] = { name, command, word, NULL }, *envp[] = { NULL };

	allow_core();
	(void)signal(SIGABRT, SIG_DFL);
	(void)execve("/proc/self/exe", argv, envp);
	_exit(127);
}

/* The kernel's word: was there a dump? */
static int crash_child(pid_t *ret_pid, int *ret_status)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		become_victim();
	*ret_pid = pid;
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

/* ---- its traces ---- */

struct traces {
	uint64_t crashes; /* counted under the name ... */
	uint64_t in_flight; /* ... and still being stored */
};

static int look(struct cmd *cmd, struct ledger *ledger, struct traces *ret_traces)
{
	struct state_slot slot;
	uint32_t index;
	int r;

	*ret_traces = (struct traces){ 0 };
	if (cmd_lock_ledger(cmd, ledger) != CMD_DONE)
		return -EBUSY;
	r = state_find(ledger->state, geteuid(), LEDGER_DRILL, &index, &slot);
	ledger_unlock(ledger);
	if (r == STATE_E_NONE)
		return 0;
	if (r != 0)
		return r < 0 ? r : -EIO;
	ret_traces->crashes = slot.account.crashes;
	ret_traces->in_flight = slot.account.in_flight;
	return 0;
}

static bool is_of(const json_t *record, pid_t pid)
{
	const char *process = json_string_value(json_object_get(record, "process"));

	return process && strcmp(process, LEDGER_DRILL) == 0 &&
	       json_integer_value(json_object_get(record, "pid")) == pid;
}

/* Its record is among the newest. NULL when there is none. */
static json_t *find_record(const struct ledger *ledger, pid_t pid, char ret_id[static STATE_ID_SIZE])
{
	json_t *found = NULL, *record;
	char **ids;
	size_t n;

	if (store_list(ledger->store_fd, &ids, &n) < 0)
		return NULL;
	for (size_t i = n; i > 0 && !found; i--) {
		if (store_read_record(ledger->store_fd, ids[i - 1], &record) < 0)
			continue;
		if (is_of(record, pid)) {
			found = json_incref(record);
			(void)snprintf(ret_id, STATE_ID_SIZE, "%s", ids[i - 1]);
		}
		json_decref(record);
	}
	store_free_ids(ids, n);
	return found;
}

static void read_record(const json_t *record, struct drill_report *report)
{
	const json_t *thread = json_array_get(json_object_get(record, "threads"), 0);

	report->result = DIAGNOSIS_DRILL_KEPT;
	(void)snprintf(report->capture, sizeof(report->capture), "%s",
		       json_string_value(json_object_get(record, "capture")) ?: "none");
	report->verified = strcmp(json_string_value(json_object_get(record, "identity")) ?: "",
				  "unverified") != 0;
	report->frames = (int64_t)json_array_size(json_object_get(thread, "frames"));
}

/* It was counted and its handler has done. */
static void conclude(const struct ledger *ledger, pid_t pid, struct drill_report *report)
{
	char id[STATE_ID_SIZE];
	json_t *record = find_record(ledger, pid, id);

	if (!record) {
		report->result = DIAGNOSIS_DRILL_FOLDED;
		return;
	}
	read_record(record, report);
	json_decref(record);
	(void)store_remove(ledger->store_fd, id, STORE_RECORD_SUFFIX);
	(void)store_remove(ledger->store_fd, id, STORE_CORE_SUFFIX);
}

static void wait_for(struct cmd *cmd, struct ledger *ledger, uint64_t before, pid_t pid,
		     struct drill_report *report)
{
	int64_t began_ms = clock_monotonic_ms();
	struct traces now = { 0 };
	int r;

	do {
		r = look(cmd, ledger, &now);
		report->took_ms = clock_monotonic_ms() - began_ms;
		if (r == 0 && now.crashes > before && now.in_flight == 0) {
			conclude(ledger, pid, report);
			return;
		}
		(void)poll(NULL, 0, LOOK_EVERY_MS);
	} while (report->took_ms < WAIT_MS);
	report->result = DIAGNOSIS_DRILL_LOST;
	(void)snprintf(report->why, sizeof(report->why), "%s within %d s",
		       now.crashes > before ? "it is being stored, not finished" :
					      "nothing was counted",
		       WAIT_MS / 1000);
}

void drill_run(struct cmd *cmd, struct ledger *ledger, struct drill_report *ret_report)
{
	struct traces before;
	int status = 0, r;
	pid_t pid = 0;

	*ret_report = (struct drill_report){ .result = DIAGNOSIS_DRILL_IMPOSSIBLE };
	r = look(cmd, ledger, &before);
	if (r == 0)
		r = crash_child(&pid, &status);
	if (r < 0) {
		(void)snprintf(ret_report->why, sizeof(ret_report->why), "%s", strerror(-r));
	} else if (!WIFSIGNALED(status)) {
		(void)snprintf(ret_report->why, sizeof(ret_report->why),
			       "this program cannot be started to crash (exit status %d)",
			       WEXITSTATUS(status));
	} else if (!WCOREDUMP(status)) {
		ret_report->result = DIAGNOSIS_DRILL_NO_DUMP;
	} else {
		wait_for(cmd, ledger, before.crashes, pid, ret_report);
	}
}
