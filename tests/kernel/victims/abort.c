/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The smallest crash. With an argument, that becomes the name of the thread first. */

#include <stdlib.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	if (argc > 1)
		(void)prctl(PR_SET_NAME, argv[1]);
	abort();
}
