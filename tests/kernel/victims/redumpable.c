/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A daemon that gives up root and makes itself dumpable again, with a secret that it read
 * as root in its memory.
 *
 *   redumpable UID [keep]
 *
 * With `keep` it stays as the kernel made it: not dumpable, unless suid_dumpable says so.
 */

#include <grp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

char secret[] = "read-as-root-and-still-here";

int main(int argc, char **argv)
{
	uid_t uid;

	if (argc < 2)
		return 2;
	uid = (uid_t)strtoul(argv[1], NULL, 10);
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return 1;
	if (argc == 2)
		(void)prctl(PR_SET_DUMPABLE, 1);
	abort();
}
