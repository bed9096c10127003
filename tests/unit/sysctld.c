/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What sysctl files and units will do to core_pattern, in a root of our own. */

#include "io/sysctld.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

static void make_directories(const char *root, const char *path)
{
	char whole[PATH_MAX];

	(void)snprintf(whole, sizeof(whole), "%s%s", root, path);
	for (char *slash = whole + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		(void)mkdir(whole, 0755);
		*slash = '/';
	}
}

/* "PATH=CONTENT", "PATH>TARGET" for a link */
static void make_file(int dir_fd, const char *root, const char *spec)
{
	const char *mark = strpbrk(spec, "=>");
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%.*s", (int)(mark - spec), spec);
	make_directories(root, path);
	if (*mark == '>')
		ck_assert_int_eq(symlinkat(mark + 1, dir_fd, path + 1), 0);
	else
		unit_write_file(dir_fd, path + 1, mark + 1, strlen(mark + 1));
}

static const struct {
	const char *claim;
	const char *files[4];
	const char *value;
	const char *path;
} rows[] = {
	{ "no file", { NULL }, "", "" },
	{ "one file", { "/usr/lib/sysctl.d/50-coredump.conf=kernel.core_pattern=|/x %P\n" },
	  "|/x %P", "/usr/lib/sysctl.d/50-coredump.conf" },
	{ "the last name wins, wherever it is",
	  { "/run/sysctl.d/90-corefold.conf=kernel.core_pattern = |/ours\n",
	    "/etc/sysctl.d/50-a.conf=kernel.core_pattern=|/etc\n" },
	  "|/ours", "/run/sysctl.d/90-corefold.conf" },
	{ "of one name the first directory's counts",
	  { "/etc/sysctl.d/50-a.conf=kernel.core_pattern=|/etc\n",
	    "/usr/lib/sysctl.d/50-a.conf=kernel.core_pattern=|/usr\n" },
	  "|/etc", "/etc/sysctl.d/50-a.conf" },
	{ "a link to /dev/null masks",
	  { "/etc/sysctl.d/50-a.conf>/dev/null",
	    "/usr/lib/sysctl.d/50-a.conf=kernel.core_pattern=|/usr\n" },
	  "", "" },
	{ "slashes, a minus and blanks",
	  { "/etc/sysctl.d/a.conf=  -kernel/core_pattern =  core.%p  \n" },
	  "core.%p", "/etc/sysctl.d/a.conf" },
	{ "comments and other keys",
	  { "/etc/sysctl.d/a.conf=#kernel.core_pattern=1\n; kernel.core_pattern=2\n"
	    "kernel.core_pattern2=3\nkernel.core_patter=4\nkernel.core_pattern\n" },
	  "", "" },
	{ "the last line of a file", { "/etc/sysctl.d/a.conf=kernel.core_pattern=1\n"
				       "kernel.core_pattern=2" },
	  "2", "/etc/sysctl.d/a.conf" },
	{ "only .conf", { "/etc/sysctl.d/a.conf.bak=kernel.core_pattern=1\n" }, "", "" },
	{ "nothing hidden", { "/etc/sysctl.d/.a.conf=kernel.core_pattern=1\n" }, "", "" },
};

START_TEST(test_find)
{
	int dir_fd = unit_dir();
	const char *root = unit_dir_path();
	struct sysctld_setting setting;

	for (size_t i = 0; i < 4 && rows[_i].files[i]; i++)
		make_file(dir_fd, root, rows[_i].files[i]);
	ck_assert_int_eq(sysctld_find(root, "kernel.core_pattern", &setting), 0);
	claim_str_eq(rows[_i].claim, setting.value, rows[_i].value);
	claim_str_eq(rows[_i].claim,
		     setting.path[0] ? setting.path + strlen(root) : setting.path,
		     rows[_i].path);
}
END_TEST

static const struct {
	const char *claim;
	const char *files[3];
	bool enabled;
} units[] = {
	{ "nowhere", { NULL }, false },
	{ "there, and nobody wants it", { "/usr/lib/systemd/system/x.service=" }, false },
	{ "enabled", { "/etc/systemd/system/multi-user.target.wants/x.service>/nowhere" }, true },
	{ "wanted by its package",
	  { "/usr/lib/systemd/system/sysinit.target.wants/x.service>../x.service" }, true },
	{ "masked",
	  { "/usr/lib/systemd/system/sysinit.target.wants/x.service>../x.service",
	    "/etc/systemd/system/x.service>/dev/null" },
	  false },
	{ "another's", { "/etc/systemd/system/multi-user.target.wants/xx.service>/nowhere" },
	  false },
};

START_TEST(test_unit)
{
	int dir_fd = unit_dir();
	const char *root = unit_dir_path();

	for (size_t i = 0; i < 3 && units[_i].files[i]; i++)
		make_file(dir_fd, root, units[_i].files[i]);
	claim_int_eq(units[_i].claim, sysctld_unit_enabled(root, "x.service"),
		     units[_i].enabled);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sysctld");
	TCase *tcase = unit_case(suite, "all");

	tcase_add_loop_test(tcase, test_find, 0, ROWS(rows));
	tcase_add_loop_test(tcase, test_unit, 0, ROWS(units));
	return unit_main(suite);
}
