/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Recursion that no stack is deep enough for, from main. */

#include <limits.h>

__attribute__((noinline)) static int deeper(int n)
{
	volatile char room[200];

	room[n % 200] = (char)n;
	if (n == INT_MAX) /* there is an end, as the compiler wants it */
		return 0;
	return deeper(n + 1) + room[0];
}

int main(void)
{
	return deeper(0);
}
