/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The handler that does nothing: what a crash costs at the very least. */

int main(void)
{
	return 0;
}
