/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What an ELF file says of itself: whether it is the one that was running. */

#define BUILDID_TEXT 129 /* hexadecimal; build-ids are 20 bytes, and 64 at most */
#define BUILDID_SONAME 256

struct buildid {
	char text[BUILDID_TEXT]; /* "": it has none */
	char soname[BUILDID_SONAME]; /* "": it has none, or one that is no file name */
};

/* Reads a file's build-id and the name it is linked by. -EINVAL: no ELF file. */
int buildid_read(int fd, struct buildid *ret_buildid);
