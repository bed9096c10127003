/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/cgroup.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define CONTAINER_ID_DIGITS 64

void cgroup_path(const char *text, char ret_path[static CGROUP_NAME_SIZE])
{
	static const char *const hierarchies[] = { "0::", "1:name=systemd:", ":name=systemd:" };

	ret_path[0] = '\0';
	for (size_t i = 0; i < sizeof(hierarchies) / sizeof(*hierarchies); i++) {
		const char *found = strstr(text, hierarchies[i]);
		size_t n;

		if (!found)
			continue;
		found += strlen(hierarchies[i]);
		n = strcspn(found, "\n");
		(void)snprintf(ret_path, CGROUP_NAME_SIZE, "%.*s", (int)n, found);
		if (n > 1)
			return; /* "/" says nothing: look on */
	}
}

static bool ends_in(const char *text, size_t n, const char *suffix)
{
	size_t m = strlen(suffix);

	return n > m && memcmp(text + n - m, suffix, m) == 0;
}

void cgroup_unit(const char *path, char ret_unit[static CGROUP_NAME_SIZE])
{
	static const char *const suffixes[] = { ".service", ".scope", ".socket", ".slice" };

	ret_unit[0] = '\0';
	for (size_t s = 0; s < sizeof(suffixes) / sizeof(*suffixes) && !ret_unit[0]; s++) {
		for (const char *p = path; *p; p += strspn(p, "/")) {
			size_t n = strcspn(p, "/");

			if (ends_in(p, n, suffixes[s]))
				(void)snprintf(ret_unit, CGROUP_NAME_SIZE, "%.*s", (int)n, p);
			p += n;
		}
	}
}

void cgroup_container(const char *path, char ret_id[static CGROUP_NAME_SIZE])
{
	ret_id[0] = '\0';
	for (const char *p = path; *p; p++) {
		size_t n = strspn(p, "0123456789abcdef");

		if (n == CONTAINER_ID_DIGITS)
			(void)snprintf(ret_id, CGROUP_NAME_SIZE, "%.*s", (int)n, p);
		if (n > 0)
			p += n - 1;
	}
}
