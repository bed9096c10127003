/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/answer.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/signals.h"
#include "io/cleanup.h"
#include "policy/name.h"
#include "unwind/demangle.h"
#include "unwind/exception.h"
#include "unwind/facts.h"
#include "unwind/panic.h"
#include "unwind/protocol.h"
#include "unwind/symbols.h"

#define NAME_TEXT 256
#define PATH_TEXT 1024
/* A recursion that filled a large stack with the smallest frames. */
#define CRASHED_FRAMES_MAX (1u << 21)
#define OTHER_FRAMES_MAX 4096u

struct answer {
	const struct walk_process *process;
	size_t frames_left;
	bool out_of_memory;
};

/* ---- JSON, remembering that memory ran out ---- */

static void set(struct answer *a, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) < 0)
		a->out_of_memory = true;
}

static void append(struct answer *a, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) < 0)
		a->out_of_memory = true;
}

/* Addresses as text: half of them do not fit into a JSON integer everywhere. */
static json_t *hex(uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "0x%" PRIx64, value);
	return json_string(text);
}

static void set_text(struct answer *a, json_t *object, const char *key, const char *raw,
		     size_t max)
{
	char text[PATH_TEXT];

	(void)name_escape(raw, strlen(raw), text,
			  max < sizeof(text) ? max : sizeof(text));
	set(a, object, key, json_string(text));
}

/* ---- frames ---- */

static void set_symbol(struct answer *a, json_t *object, struct module *m,
		       uint64_t address, uint64_t pc)
{
	const struct walk_process *p = a->process;
	char text[NAME_TEXT];
	struct symbol symbol;

	if (!symbols_find(m, p->core, p->memory, address, &symbol))
		return;
	demangle(symbol.name, text, sizeof(text));
	set(a, object, "symbol", json_string(text));
	set(a, object, "symbol_offset", hex(symbol.offset + (pc - address)));
	if (symbol.exported)
		set(a, object, "exported", json_true());
}

static void set_module(struct answer *a, json_t *object, struct module *m,
		       uint64_t address, uint64_t pc)
{
	const char *name = module_name(m);

	set_text(a, object, "module", name[0] ? name : "(unnamed)", NAME_TEXT);
	if (m->build_id[0])
		set(a, object, "build_id", json_string(m->build_id));
	set(a, object, "offset", hex(pc - m->base));
	if (m->is_elf)
		set_symbol(a, object, m, address, pc);
}

static json_t *make_frame(struct answer *a, const struct walk_frame *frame)
{
	uint64_t address = frame->is_call ? frame->pc - 1 : frame->pc;
	struct module *m = modules_find(a->process->modules, address);
	json_t *object = json_object();

	set(a, object, "pc", hex(frame->pc));
	if (m)
		set_module(a, object, m, address, frame->pc);
	if (m && space_find(a->process->space, address) &&
	    !space_code(a->process->space, address))
		set(a, object, "code", json_false());
	else if (!m && space_code(a->process->space, address))
		set(a, object, "module", json_string("[anon]"));
	set(a, object, "how", json_string(walk_how_name(frame->how)));
	if (frame->is_call)
		set(a, object, "call", json_true());
	if (frame->trampoline) {
		char name[SIGNALS_NAME_SIZE];

		signals_name(frame->signal, name);
		set(a, object, "signal", json_string(frame->signal ? name : "unknown"));
		set(a, object, "si_code", json_integer(frame->si_code));
	}
	return object;
}

static json_t *make_thread(struct answer *a, int64_t tid, const struct walk *walk)
{
	json_t *object = json_object(), *frames = json_array();

	set(a, object, "tid", json_integer(tid));
	for (size_t i = 0; i < walk->kept && a->frames_left > 0; i++, a->frames_left--)
		append(a, frames, make_frame(a, &walk->frame[i]));
	set(a, object, "frames_total", json_integer((json_int_t)walk->total));
	if (walk_elided(walk) > 0) {
		set(a, object, "elided_after", json_integer(WALK_FIRST));
		set(a, object, "elided", json_integer((json_int_t)walk_elided(walk)));
	}
	set(a, object, "end", json_string(walk_end_name(walk->end)));
	set(a, object, "frames", frames);
	return object;
}

/* A fault that hit the end of the stack: the crash itself, or what its handler was called for. */
static bool overflowed(const struct answer *a, const struct walk *walk)
{
	const struct elfcore *core = a->process->core;

	if (signals_has_address(core->signal, core->si_code))
		return core->signal != SIGFPE &&
		       facts_stack_overflow(a->process->space, core->fault_address,
					    walk->frame[0].sp);
	for (size_t i = 0; i + 1 < walk->kept; i++) {
		const struct walk_frame *f = &walk->frame[i];

		if (f->trampoline && signals_has_address(f->signal, f->si_code))
			return facts_stack_overflow(a->process->space, f->address,
						    f[1].sp);
	}
	return (core->signal == SIGSEGV || core->signal == SIGBUS) && core->has_siginfo &&
	       core->si_code <= 0 && core->sender_pid == core->pid &&
	       facts_stack_ended(a->process, walk->frame[0].pc, walk->frame[0].sp);
}

static void set_exception(struct answer *a, const struct walk *walk, json_t *root)
{
	struct exception e;
	json_t *object;

	if (a->process->core->signal != SIGABRT || !exception_find(a->process, walk, &e))
		return;
	object = json_object();
	set(a, object, "type", json_string(e.type));
	if (e.message[0])
		set(a, object, "message", json_string(e.message));
	set(a, root, "exception", object);
}

static void set_panic(struct answer *a, const struct walk *walk, json_t *root)
{
	int signal = a->process->core->signal;
	char place[PANIC_PLACE];

	if ((signal == SIGABRT || signal == SIGILL || signal == SIGTRAP) &&
	    panic_find(a->process, walk, place))
		set(a, root, "panic", json_pack("{s:s}", "location", place));
}

static json_t *make_threads(struct answer *a, size_t threads_max, json_t *root)
{
	const struct walk_process *p = a->process;
	_cleanup_free_ struct walk *walk = malloc(sizeof(*walk));
	json_t *threads = json_array();
	bool partial = false;

	if (threads_max > ANSWER_THREADS_MAX)
		threads_max = ANSWER_THREADS_MAX;
	for (size_t i = 0; walk && i < p->core->threads && i < threads_max; i++) {
		const struct elfcore_thread *t = &p->core->thread[i];
		size_t max = i == 0 ? CRASHED_FRAMES_MAX : OTHER_FRAMES_MAX;
		struct registers registers;

		if (registers_read(p->core, t, &registers) != 0) {
			set(a, root, "machine_known", json_false());
			break;
		}
		if (a->frames_left == 0 || memory_time_over(p->memory))
			max = 1;
		walk_thread(p, &registers, max, walk);
		partial = partial || walk->end == WALK_TIME || max == 1;
		if (i == 0 && overflowed(a, walk))
			set(a, root, "stack_overflow", json_true());
		if (i == 0)
			set_exception(a, walk, root);
		if (i == 0)
			set_panic(a, walk, root);
		append(a, threads, make_thread(a, t->tid, walk));
	}
	set(a, root, "threads_total", json_integer((json_int_t)p->core->threads));
	set(a, root, "complete", json_boolean(!partial && walk));
	return threads;
}

/* ---- the rest ---- */

static json_t *make_modules(struct answer *a)
{
	const struct modules *modules = a->process->modules;
	json_t *array = json_array();

	for (size_t i = 0; i < modules->n && json_array_size(array) < ANSWER_MODULES_MAX;
	     i++) {
		const struct module *m = &modules->module[i];
		json_t *object;

		if (!m->is_elf)
			continue;
		object = json_object();
		set_text(a, object, "name", module_name(m), NAME_TEXT);
		if (m->path)
			set_text(a, object, "path", m->path, PATH_TEXT);
		if (m->build_id[0])
			set(a, object, "build_id", json_string(m->build_id));
		set(a, object, "start", hex(m->base));
		set(a, object, "end", hex(m->end));
		set(a, object, "bias", hex(m->bias));
		append(a, array, object);
	}
	return array;
}

static json_t *make_signal(struct answer *a)
{
	const struct elfcore *core = a->process->core;
	json_t *object = json_object();
	struct registers r = { 0 };
	char text[FACTS_TEXT], name[SIGNALS_NAME_SIZE];
	const char *code;

	signals_name(core->signal, name);
	set(a, object, "number", json_integer(core->signal));
	set(a, object, "name", json_string(name));
	if (!core->has_siginfo)
		return object;
	set(a, object, "code", json_integer(core->si_code));
	code = signals_code_name(core->signal, core->si_code);
	if (code)
		set(a, object, "code_name", json_string(code));
	if (core->si_code <= 0)
		set(a, object, "sender_pid", json_integer(core->sender_pid));
	if (!signals_has_address(core->signal, core->si_code))
		return object;
	if (core->threads > 0 && registers_read(core, &core->thread[0], &r) != 0)
		r = (struct registers){ 0 };
	set(a, object, "address", hex(core->fault_address));
	if (core->si_code == SI_KERNEL)
		/* the processor refused without an address: non-canonical, or a forbidden instruction */
		(void)snprintf(text, sizeof(text), "not told");
	else
		facts_address(a->process, core->fault_address, registers_sp(&r), text);
	set(a, object, "points_at", json_string(text));
	return object;
}

static void set_executable(struct answer *a, json_t *root)
{
	const struct modules *modules = a->process->modules;
	const struct module *m;

	if (modules->executable == SIZE_MAX)
		return;
	m = &modules->module[modules->executable];
	set_text(a, root, "executable", module_name(m), NAME_TEXT);
	if (m->build_id[0])
		set(a, root, "executable_build_id", json_string(m->build_id));
}

json_t *answer_make(const struct walk_process *process, size_t threads_max)
{
	struct answer a = { .process = process, .frames_left = ANSWER_FRAMES_MAX };
	char message[FACTS_MESSAGE];
	json_t *root = json_object();

	set(&a, root, "version", json_integer(PROTOCOL_VERSION));
	set(&a, root, "pid", json_integer(process->core->pid));
	set_executable(&a, root);
	set(&a, root, "signal", make_signal(&a));
	if (process->core->signal == SIGABRT && facts_abort_message(process, message))
		set(&a, root, "abort_message", json_string(message));
	set(&a, root, "threads", make_threads(&a, threads_max, root));
	set(&a, root, "modules", make_modules(&a));
	if (a.out_of_memory) {
		json_decref(root);
		return NULL;
	}
	return root;
}
