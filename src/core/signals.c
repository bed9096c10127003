/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "core/signals.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "io/cleanup.h"

#ifndef HAVE_SIGABBREV_NP /* musl */
static const char *sigabbrev_np(int signal)
{
	static const char *const names[] = {
		NULL,	"HUP",	"INT",	"QUIT",	 "ILL",	 "TRAP", "ABRT", "BUS",
		"FPE",	"KILL", "USR1", "SEGV",	 "USR2", "PIPE", "ALRM", "TERM",
		"STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
		"XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "POLL", "PWR", "SYS",
	};

	return signal > 0 && (size_t)signal < ARRAY_SIZE(names) ? names[signal] : NULL;
}
#endif

void signals_name(int signal, char text[static SIGNALS_NAME_SIZE])
{
	const char *name = signal > 0 ? sigabbrev_np(signal) : NULL;

	if (name)
		(void)snprintf(text, SIGNALS_NAME_SIZE, "SIG%s", name);
	else if (signal >= 34 && signal <= 64)
		(void)snprintf(text, SIGNALS_NAME_SIZE, "SIGRTMIN+%d", signal - 34);
	else
		(void)snprintf(text, SIGNALS_NAME_SIZE, "signal %d", signal % 10000);
}

struct code_name {
	int signal; /* 0: any */
	int code;
	const char *name;
};

#define CODE(signal, code)                                                               \
	{                                                                                \
		signal, code, #code                                                      \
	}

static const struct code_name code_names[] = {
	CODE(0, SI_USER),
	CODE(0, SI_KERNEL),
	CODE(0, SI_QUEUE),
	CODE(0, SI_TIMER),
	CODE(0, SI_MESGQ),
	CODE(0, SI_ASYNCIO),
	CODE(0, SI_SIGIO),
	CODE(0, SI_TKILL),
	CODE(SIGSEGV, SEGV_MAPERR),
	CODE(SIGSEGV, SEGV_ACCERR),
	CODE(SIGSEGV, SEGV_BNDERR),
	CODE(SIGSEGV, SEGV_PKUERR),
	{ SIGSEGV, 10, "SEGV_CPERR" },
	CODE(SIGBUS, BUS_ADRALN),
	CODE(SIGBUS, BUS_ADRERR),
	CODE(SIGBUS, BUS_OBJERR),
	CODE(SIGBUS, BUS_MCEERR_AR),
	CODE(SIGBUS, BUS_MCEERR_AO),
	CODE(SIGILL, ILL_ILLOPC),
	CODE(SIGILL, ILL_ILLOPN),
	CODE(SIGILL, ILL_ILLADR),
	CODE(SIGILL, ILL_ILLTRP),
	CODE(SIGILL, ILL_PRVOPC),
	CODE(SIGILL, ILL_PRVREG),
	CODE(SIGILL, ILL_COPROC),
	CODE(SIGILL, ILL_BADSTK),
	CODE(SIGFPE, FPE_INTDIV),
	CODE(SIGFPE, FPE_INTOVF),
	CODE(SIGFPE, FPE_FLTDIV),
	CODE(SIGFPE, FPE_FLTOVF),
	CODE(SIGFPE, FPE_FLTUND),
	CODE(SIGFPE, FPE_FLTRES),
	CODE(SIGFPE, FPE_FLTINV),
	CODE(SIGFPE, FPE_FLTSUB),
	CODE(SIGTRAP, TRAP_BRKPT),
	CODE(SIGTRAP, TRAP_TRACE),
	{ SIGSYS, 1, "SYS_SECCOMP" },
};

const char *signals_code_name(int signal, int si_code)
{
	for (size_t i = 0; i < ARRAY_SIZE(code_names); i++)
		if (code_names[i].code == si_code &&
		    (code_names[i].signal == 0 || code_names[i].signal == signal))
			return code_names[i].name;
	return NULL;
}

bool signals_has_address(int signal, int si_code)
{
	return si_code > 0 && (signal == SIGSEGV || signal == SIGBUS ||
			       signal == SIGILL || signal == SIGFPE || signal == SIGTRAP);
}
