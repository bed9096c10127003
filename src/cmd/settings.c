/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cmd/settings.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/cleanup.h"
#include "policy/pattern.h"

bool settings_find_user(uid_t *ret_uid, gid_t *ret_gid)
{
	_cleanup_fclose_ FILE *file = fopen("/etc/passwd", "re");
	char line[1024];

	while (file && fgets(line, sizeof(line), file)) {
		unsigned int uid, gid;

		if (strncmp(line, SETTINGS_USER ":", strlen(SETTINGS_USER ":")) != 0 ||
		    sscanf(line, SETTINGS_USER ":%*[^:]:%u:%u:", &uid, &gid) != 2)
			continue;
		*ret_uid = uid;
		*ret_gid = gid;
		return true;
	}
	return false;
}

const char *settings_owner(uid_t directory, uid_t entry, char out[static SETTINGS_OWNER_SIZE])
{
	uid_t uid;
	gid_t gid;

	if (settings_find_user(&uid, &gid) && (uid == directory || uid == entry))
		(void)snprintf(out, SETTINGS_OWNER_SIZE, "%s:", SETTINGS_USER);
	else
		(void)snprintf(out, SETTINGS_OWNER_SIZE, "%u", directory != 0 ? directory : entry);
	return out;
}

int settings_pattern(struct cmd *cmd, char *out, size_t size)
{
	char self[PATH_MAX], config[PATH_MAX] = "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	out[0] = '\0';
	if (n < 0)
		return cmd_failed(cmd, "cannot find out where this program is: %s",
				  strerror(errno));
	self[n] = '\0';
	if (cmd->config_path && !realpath(cmd->config_path, config))
		return cmd_failed(cmd, "%s: %s", cmd->config_path, strerror(errno));
	if (strpbrk(self, " \t\n") || strpbrk(config, " \t\n"))
		return cmd_failed(cmd, "core_pattern cannot hold a path with blanks: '%s' '%s'",
				  self, config);
	(void)pattern_make(self, config[0] ? config : NULL, out, size);
	return CMD_DONE;
}
