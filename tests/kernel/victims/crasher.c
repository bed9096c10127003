/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Starts programs that crash, and waits for them; a shell would comment on every one.
 *
 *   crasher [-t TIMES] [-j AT_ONCE] [-u UID] [-n NAME]... [-N NAME] [-e] [-p] [-c]
 *           PROGRAM [ARGUMENT...]
 *
 * NAME becomes argv[0], several take turns; with -N each has a number of its own behind it;
 * -e gives no argv at all; -p prints the pids; -c prints of how many
 * the kernel says that a handler ran.
 * Exit status 0 when every one was killed by a signal.
 */

#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAMES_MAX 64

struct plan {
	unsigned long times;
	unsigned long at_once;
	long uid; /* -1: stay who we are */
	char *name[NAMES_MAX];
	size_t names;
	char *numbered; /* or NULL */
	bool no_argv;
	bool print_pids;
	bool print_dumped;
	char **argv;
};

static void become_victim(const struct plan *plan, unsigned long turn)
{
	char *none[] = { NULL };
	char *program = plan->argv[0], numbered[128];
	const struct rlimit core = { RLIM_INFINITY, RLIM_INFINITY };
	uid_t uid = (uid_t)plan->uid;

	(void)setrlimit(RLIMIT_CORE, &core); /* a lower hard limit changes nothing for a pipe */
	if (plan->uid >= 0 && (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
			       setresuid(uid, uid, uid) < 0))
		_exit(125);
	if (plan->names > 0)
		plan->argv[0] = plan->name[turn % plan->names];
	if (plan->numbered) {
		(void)snprintf(numbered, sizeof(numbered), "%s%lu", plan->numbered, turn);
		plan->argv[0] = numbered;
	}
	(void)execv(program, plan->no_argv ? none : plan->argv);
	_exit(126);
}

static bool reap_one(unsigned long *dumped)
{
	int status;

	if (wait(&status) <= 0 || !WIFSIGNALED(status))
		return false;
	*dumped += WCOREDUMP(status) != 0;
	return true;
}

static int run(const struct plan *plan)
{
	unsigned long running = 0, dumped = 0;
	bool good = true;

	for (unsigned long i = 0; i < plan->times; i++) {
		pid_t pid;

		if (running == plan->at_once) {
			good = reap_one(&dumped) && good;
			running--;
		}
		pid = fork();
		if (pid < 0)
			return 1;
		if (pid == 0)
			become_victim(plan, i);
		running++;
		if (plan->print_pids)
			(void)printf("%d\n", (int)pid);
	}
	for (; running > 0; running--)
		good = reap_one(&dumped) && good;
	if (plan->print_dumped)
		(void)printf("%lu\n", dumped);
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct plan plan = { .times = 1, .at_once = 1, .uid = -1 };
	int letter;

	(void)setvbuf(stdout, NULL, _IOLBF, 0); /* a fork must not inherit what is unwritten */
	while ((letter = getopt(argc, argv, "+t:j:u:n:N:epc")) > 0) {
		if (letter == 't')
			plan.times = strtoul(optarg, NULL, 10);
		else if (letter == 'j')
			plan.at_once = strtoul(optarg, NULL, 10);
		else if (letter == 'u')
			plan.uid = strtol(optarg, NULL, 10);
		else if (letter == 'n' && plan.names < NAMES_MAX)
			plan.name[plan.names++] = optarg;
		else if (letter == 'N')
			plan.numbered = optarg;
		else if (letter == 'e')
			plan.no_argv = true;
		else if (letter == 'p')
			plan.print_pids = true;
		else if (letter == 'c')
			plan.print_dumped = true;
		else
			return 2;
	}
	plan.argv = argv + optind;
	if (optind == argc || plan.at_once == 0)
		return 2;
	return run(&plan);
}
