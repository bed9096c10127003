/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "crash/describe.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "core/signals.h"
#include "io/cleanup.h"
#include "policy/cgroup.h"
#include "policy/name.h"

#define ARGV_MAX 64
#define THREADS_MAX 1024

const char *describe_executable_of(const struct elfcore *core)
{
	uint64_t entry;

	if (!elfcore_auxv(core, AT_ENTRY, &entry))
		return NULL;
	for (size_t i = 0; i < core->mappings; i++)
		if (entry >= core->mapping[i].start && entry < core->mapping[i].end)
			return core->mapping[i].path;
	return NULL;
}

static json_t *escaped(const char *text, size_t n)
{
	char out[2048];

	(void)name_escape(text, n, out, sizeof(out));
	return json_string(out);
}

static json_t *argv_of(const struct victim *victim)
{
	json_t *argv = json_array();
	size_t at = 0;

	while (at < victim->cmdline_bytes && json_array_size(argv) < ARGV_MAX) {
		size_t n = strnlen(victim->cmdline + at, victim->cmdline_bytes - at);

		(void)json_array_append_new(argv, escaped(victim->cmdline + at, n));
		at += n + 1;
	}
	return argv;
}

static void describe_program(struct crash *crash)
{
	const struct victim *v = &crash->victim;

	record_set(&crash->record, "executable", escaped(v->executable, strlen(v->executable)));
	record_set(&crash->record, "comm", escaped(v->comm, strlen(v->comm)));
	if (crash->config->record_argv)
		record_set(&crash->record, "argv", argv_of(v));
}

void describe_victim(struct crash *crash)
{
	const struct victim *victim = &crash->victim;
	struct record *record = &crash->record;
	char path[CGROUP_NAME_SIZE], unit[CGROUP_NAME_SIZE], container[CGROUP_NAME_SIZE];

	record->identity_verified = victim->verified;
	if (!victim->verified) {
		record_set(record, "identity_reason", json_string(victim->unverified_because));
		return;
	}
	if (!crash->reported)
		describe_program(crash);
	cgroup_path(victim->cgroup, path);
	cgroup_unit(path, unit);
	cgroup_container(path, container);
	record_set(record, "cgroup", escaped(path, strlen(path)));
	if (unit[0])
		record_set(record, "unit", escaped(unit, strlen(unit)));
	if (container[0])
		record_set(record, "container_id", json_string(container));
}

/* Without an unwinder: which threads there were. */
static json_t *threads_of(const struct elfcore *core)
{
	json_t *threads = json_array();

	for (size_t i = 0; i < core->threads && i < THREADS_MAX; i++)
		(void)json_array_append_new(threads,
					    json_pack("{s:I, s:[]}", "tid",
						      (json_int_t)core->thread[i].tid,
						      "frames"));
	return threads;
}

static void describe_signal(struct record *record, const struct elfcore *core)
{
	const char *code_name = signals_code_name(core->signal, core->si_code);
	char address[24];

	record_set(record, "si_code", json_integer(core->si_code));
	if (code_name)
		record_set(record, "si_code_name", json_string(code_name));
	/* SI_KERNEL comes with an address of 0, which is none: nobody read the null page. */
	if (signals_has_address(core->signal, core->si_code) && core->si_code != SI_KERNEL) {
		(void)snprintf(address, sizeof(address), "0x%" PRIx64, core->fault_address);
		record_set(record, "fault_address", json_string(address));
	}
	if (core->sender_pid)
		record_set(record, "sender_pid", json_integer(core->sender_pid));
}

static void describe_core(struct crash *crash)
{
	const struct elfcore *core = &crash->core;
	struct record *record = &crash->record;
	const char *executable = describe_executable_of(core);

	if (core->threads > 0 && record->tid == 0)
		record->tid = core->thread[0].tid;
	if (core->has_siginfo)
		describe_signal(record, core);
	if (!crash->victim.verified && executable)
		record_set(record, "executable", escaped(executable, strlen(executable)));
	if (!crash->victim.verified && core->has_prpsinfo)
		record_set(record, "comm", escaped(core->comm, strlen(core->comm)));
}

void describe_threads(struct crash *crash)
{
	const struct elfcore *core = &crash->core;
	struct record *record = &crash->record;

	if (!crash->core_parsed)
		return;
	record_set(record, "thread_count", json_integer((json_int_t)core->threads));
	if (!json_object_get(record->details, "threads")) /* until they are unwound */
		record_set(record, "threads", threads_of(core));
}

static void describe_machine(struct record *record, const struct ledger *ledger)
{
	struct utsname uts;
	char boot_id[2 * CLOCK_BOOT_ID_BYTES + 1];

	if (uname(&uts) == 0) {
		record_set(record, "kernel", json_string(uts.release));
		record_set(record, "machine", json_string(uts.machine));
	}
	for (int i = 0; i < CLOCK_BOOT_ID_BYTES; i++)
		(void)snprintf(boot_id + 2 * i, 3, "%02x", ledger->now.boot_id[i]);
	record_set(record, "boot_id", json_string(boot_id));
}

void describe_crash(struct crash *crash)
{
	struct record *record = &crash->record;
	const struct ledger_ticket *ticket = &crash->ticket;

	(void)snprintf(record->id, sizeof(record->id), "%s", ticket->id);
	record->time_ns = ticket->wall_ns;
	record->on_time_ns = ticket->on_time_ns;
	record->pid = crash->request.pid;
	record->tid = crash->request.tid;
	record->uid = crash->request.uid;
	record->gid = crash->request.gid;
	record->signal = crash->request.signal;
	record->dumpable = crash->request.dumpable;
	record->rlimit_core = crash->request.rlimit_core;
	record->decision = ticket->decision == THROTTLE_NOVEL ? RECORD_NOVEL : RECORD_KEEP;
	record->decision_reason = ticket->reason;
	record->weight = ticket->weight;
	describe_victim(crash);
	if (crash->core_parsed)
		describe_core(crash);
	describe_machine(record, crash->ledger);
}
