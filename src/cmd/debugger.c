/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cmd/debugger.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/cleanup.h"

#define PATH "/usr/local/bin:/usr/bin:/bin"
#define ARGUMENTS_MAX 128
/* How long a debugger may take to end when we are told to. */
#define GRACE_S 5

/* ---- which ---- */

static bool name_begins(const char *path, const char *word)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	return strncmp(name, word, strlen(word)) == 0;
}

int debugger_find(const char *name, struct debugger *ret_debugger)
{
	struct debugger found = { .is_lldb = name_begins(name, "lldb") };

	if (!found.is_lldb && !name_begins(name, "gdb"))
		return DEBUGGER_E_UNKNOWN;
	for (const char *at = PATH; *at && !strchr(name, '/');
	     at += strcspn(at, ":"), at += *at == ':') {
		(void)snprintf(found.program, sizeof(found.program), "%.*s/%s",
			       (int)strcspn(at, ":"), at, name);
		if (access(found.program, X_OK) == 0) {
			*ret_debugger = found;
			return 0;
		}
	}
	(void)snprintf(found.program, sizeof(found.program), "%s", name);
	if (name[0] != '/' || access(name, X_OK) < 0)
		return DEBUGGER_E_MISSING;
	*ret_debugger = found;
	return 0;
}

/* ---- its arguments ---- */

struct arguments {
	char *pointer[ARGUMENTS_MAX + 1];
	size_t n;
};

static void arguments_done(struct arguments *arguments)
{
	for (size_t i = 0; i < arguments->n; i++)
		free(arguments->pointer[i]);
}

#define _cleanup_arguments_ __attribute__((cleanup(arguments_done)))

static void add(struct arguments *arguments, const char *text)
{
	if (arguments->n < ARGUMENTS_MAX)
		arguments->pointer[arguments->n] = strdup(text);
	if (arguments->n < ARGUMENTS_MAX && arguments->pointer[arguments->n])
		arguments->n++;
}

static void add_pair(struct arguments *arguments, const char *option, const char *text)
{
	add(arguments, option);
	add(arguments, text);
}

/* One word, unquoted as a shell would, into `word`; where the next begins, NULL: no end. */
static const char *take_word(const char *text, char *word)
{
	char quote = '\0';

	for (; *text && (quote || !strchr(" \t\n", *text)); text++) {
		if (*text == quote)
			quote = '\0';
		else if (!quote && (*text == '\'' || *text == '"'))
			quote = *text;
		else if (*text == '\\' && quote != '\'' && text[1])
			*word++ = *++text;
		else
			*word++ = *text;
	}
	*word = '\0';
	return quote ? NULL : text;
}

/* No shell takes part: nothing but words and quotes has a meaning. */
static int add_words(struct arguments *arguments, const char *text)
{
	_cleanup_free_ char *word = malloc(strlen(text) + 1);

	if (!word)
		return -ENOMEM;
	for (text += strspn(text, " \t\n"); *text; text += strspn(text, " \t\n")) {
		size_t before = arguments->n;

		text = take_word(text, word);
		if (!text)
			return DEBUGGER_E_QUOTE;
		add(arguments, word);
		if (arguments->n == before)
			return DEBUGGER_E_QUOTE;
	}
	return 0;
}

static void add_gdb(struct arguments *arguments, const struct debugger_session *session)
{
	char text[PATH_MAX + 64];

	add(arguments, "-nx");
	add(arguments, "-q");
	add_pair(arguments, "-iex", "set auto-load off");
	add_pair(arguments, "-iex", "set auto-load safe-path /nonexistent");
	(void)snprintf(text, sizeof(text), "set debug-file-directory %s%s/usr/lib/debug",
		       session->symbols ?: "", session->symbols ? ":" : "");
	add_pair(arguments, "-iex", text);
	(void)snprintf(text, sizeof(text), "set sysroot %s/root", session->directory);
	add_pair(arguments, "-iex", text);
	(void)snprintf(text, sizeof(text), "set solib-search-path %s/flat", session->directory);
	add_pair(arguments, "-iex", text);
}

static void add_lldb(struct arguments *arguments, const struct debugger_session *session)
{
	char text[PATH_MAX + 64];

	add(arguments, "--no-lldbinit");
	add_pair(arguments, "-O", "settings set target.load-script-from-symbol-file false");
	add_pair(arguments, "-O", "settings set target.load-cwd-lldbinit false");
	(void)snprintf(text, sizeof(text), "settings set target.exec-search-paths %s/flat",
		       session->directory);
	add_pair(arguments, "-O", text);
	if (!session->symbols)
		return;
	(void)snprintf(text, sizeof(text), "settings append target.debug-file-search-paths %s",
		       session->symbols);
	add_pair(arguments, "-O", text);
}

static void add_files(struct arguments *arguments, const struct debugger *debugger,
		      const struct debugger_session *session)
{
	char path[32];

	if (session->executable_fd >= 0) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", session->executable_fd);
		add_pair(arguments, debugger->is_lldb ? "--file" : "-se", path);
	}
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", session->core_fd);
	add_pair(arguments, debugger->is_lldb ? "--core" : "-core", path);
}

/* ---- running it ---- */

static void set_waited(sigset_t *set)
{
	static const int signals[] = { SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP };

	(void)sigemptyset(set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaddset(set, signals[i]);
}

void debugger_block_signals(void)
{
	sigset_t set;

	set_waited(&set);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

/* What a terminal program needs, and nothing that names a file or a program. */
static void make_environment(char *environment[static 8], char text[static 8][256])
{
	static const char *const kept[] = { "TERM", "LANG", "LC_ALL", "LC_CTYPE", "TZ" };
	size_t n = 0;

	(void)snprintf(text[n], 256, "PATH=" PATH);
	environment[n] = text[n];
	n++;
	(void)snprintf(text[n], 256, "HOME=/nonexistent");
	environment[n] = text[n];
	n++;
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		const char *value = getenv(kept[i]);

		if (!value || strlen(value) > 200 || strchr(value, '/'))
			continue;
		(void)snprintf(text[n], 256, "%s=%s", kept[i], value);
		environment[n] = text[n];
		n++;
	}
	environment[n] = NULL;
}

static void exec_debugger(const struct debugger *debugger, struct arguments *arguments,
			  const char *directory, pid_t parent)
{
	char text[8][256];
	char *environment[8];
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	/* Debuggers look for libraries where they are: it must hold none. */
	if (getppid() != parent || chdir(directory) < 0)
		_exit(127);
	make_environment(environment, text);
	(void)execve(debugger->program, arguments->pointer, environment);
	(void)fprintf(stderr, "corefold debug: %s: %s\n", debugger->program, strerror(errno));
	_exit(127);
}

static int wait_for(pid_t child, int *ret_status)
{
	struct timespec grace = { .tv_sec = GRACE_S };
	bool told = false;
	sigset_t set;

	set_waited(&set);
	for (;;) {
		int signal_number = told ? sigtimedwait(&set, NULL, &grace) :
					   sigwaitinfo(&set, NULL);
		pid_t done = waitpid(child, ret_status, WNOHANG);

		if (done == child)
			return told ? DEBUGGER_E_STOPPED : 0;
		if (done < 0 && errno != EINTR)
			return -errno;
		if (signal_number < 0 && errno == EAGAIN)
			(void)kill(child, SIGKILL);
		if (signal_number != SIGTERM && signal_number != SIGHUP)
			continue;
		(void)kill(child, signal_number);
		told = true;
	}
}

int debugger_run(const struct debugger *debugger, const struct debugger_session *session,
		 int *ret_status)
{
	_cleanup_arguments_ struct arguments arguments = { 0 };
	pid_t child, self = getpid();
	int r = 0;

	add(&arguments, debugger->program);
	(debugger->is_lldb ? add_lldb : add_gdb)(&arguments, session);
	if (session->arguments)
		r = add_words(&arguments, session->arguments);
	if (r != 0)
		return r;
	add_files(&arguments, debugger, session);
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0)
		exec_debugger(debugger, &arguments, session->directory, self);
	return wait_for(child, ret_status);
}
