/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "stackline.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t offset_of(const char *symbol)
{
	uint64_t offset = 0x100;

	for (; *symbol; symbol++)
		offset = offset * 3 + (unsigned char)*symbol;
	return offset & 0xffff;
}

static void set_module(struct stack *s, const char *name, size_t length)
{
	struct signature_frame *f = &s->frame[s->n];

	(void)snprintf(s->module[s->n], sizeof(s->module[0]), "%.*s", (int)length, name);
	(void)snprintf(s->build_id[s->n], sizeof(s->build_id[0]), "%.*s0000000000000000",
		       (int)length, name);
	if (strcmp(s->module[s->n], "libc") == 0)
		strcpy(s->module[s->n], "libc.so.6");
	if (strcmp(s->module[s->n], "ld") == 0)
		strcpy(s->module[s->n], "ld-linux-x86-64.so.2");
	f->module = s->module[s->n];
	f->build_id = strcmp(f->module, "nobuild") == 0 ? NULL : s->build_id[s->n];
	f->module_bytes = 4096;
}

static void set_signal(struct signature_frame *f, const char *name)
{
	f->trampoline = true;
	f->is_call = false;
	f->signal = strcmp(name, "SEGV") == 0 ? SIGSEGV : SIGUSR1;
	f->signal_name = f->signal == SIGSEGV ? "SIGSEGV" : "SIGUSR1";
	f->si_code = f->signal == SIGSEGV ? 1 : SI_TKILL;
}

static void set_place(struct stack *s, const char *word)
{
	struct signature_frame *f = &s->frame[s->n];
	const char *bang = strchr(word, '!'), *plus = strchr(word, '+');

	if (strcmp(word, "anon") == 0) {
		f->module = "[anon]";
	} else if (strcmp(word, "vdso") == 0) {
		f->module = "[vdso]";
	} else if (bang) {
		set_module(s, word, (size_t)(bang - word));
		f->exported = word[strlen(word) - 1] == '*';
		(void)snprintf(s->symbol[s->n], sizeof(s->symbol[0]), "%.*s",
			       (int)(strlen(bang + 1) - f->exported), bang + 1);
		f->symbol = s->symbol[s->n];
		f->offset = offset_of(f->symbol);
	} else if (plus) {
		set_module(s, word, (size_t)(plus - word));
		f->offset = strtoull(plus + 1, NULL, 16);
	} else {
		f->pc = strcmp(word, "0") == 0 ? 0 : 0x4141;
	}
}

static void add_frame(struct stack *s, const char *word)
{
	struct signature_frame *f = &s->frame[s->n];

	if (s->n == FRAMES)
		return;
	*f = (struct signature_frame){ .pc = 0x1000, .is_call = s->n > 0 };
	if (word[0] == '^') {
		f->guessed = true;
		word++;
	}
	if (word[0] == '~') {
		f->no_code = true;
		word++;
	}
	if (s->n > 0 && s->frame[s->n - 1].trampoline)
		f->is_call = false;
	if (word[0] == '@') {
		set_module(s, "libc", 4);
		set_signal(f, word + 1);
	} else {
		set_place(s, word);
	}
	s->n++;
}

void stackline_parse(struct stack *s, const char *line)
{
	char copy[512], *save = NULL, *word;

	s->n = 0;
	(void)snprintf(copy, sizeof(copy), "%s", line);
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char group[8][64];
		int times = 1, n = 0;

		if (word[0] == 'x' && strchr(word, '(')) {
			times = atoi(word + 1);
			word = strchr(word, '(') + 1;
			for (; word; word = strtok_r(NULL, " ", &save)) {
				(void)snprintf(group[n++], 64, "%.*s",
					       (int)strcspn(word, ")"), word);
				if (strchr(word, ')'))
					break;
			}
		} else {
			(void)snprintf(group[n++], 64, "%s", word);
		}
		for (int i = 0; i < times * n; i++)
			add_frame(s, group[i % n]);
	}
}
