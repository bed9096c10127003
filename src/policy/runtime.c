/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/runtime.h"

#include <stddef.h>
#include <string.h>

static bool starts(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool runtime_module(const char *module)
{
	static const char *const prefix[] = {
		"libc.so",	 "libc-2.",	  "libc.musl-",	  "ld-linux",
		"ld-2.",	 "ld-musl-",	  "ld.so",	  "ld64.so",
		"libpthread.so", "libpthread-2.", "libstdc++.so", "libc++.so",
		"libc++abi.so",	 "libgcc_s.so",	  "libgcc_s-",	  "libasan.so",
		"libubsan.so",	 "libtsan.so",	  "liblsan.so",	  "libhwasan.so",
		"libclang_rt.",	 "libjemalloc",	  "libtcmalloc",  "[vdso]",
	};

	if (!module)
		return false;
	for (size_t i = 0; i < sizeof(prefix) / sizeof(*prefix); i++)
		if (starts(module, prefix[i]))
			return true;
	return false;
}

void runtime_see(struct runtime_seen *seen, const char *module)
{
	seen->libc |= starts(module, "libc.so") || starts(module, "libc-2.") ||
		      starts(module, "libc.musl-") || starts(module, "ld-musl-");
	seen->cxx |= starts(module, "libstdc++.so") || starts(module, "libc++.so");
	seen->unwinder |= starts(module, "libgcc_s");
}

bool runtime_within(const struct runtime_seen *seen)
{
	return !seen->libc || (seen->unwinder && !seen->cxx);
}

bool runtime_name(const char *symbol)
{
	static const char *const prefix[] = {
		"std::panicking::",
		"core::panicking::",
		"std::process::abort",
		"std::sys::",
		"core::result::unwrap_failed",
		"core::option::",
		"core::slice::index::",
		"__rustc::",
		"rust_panic",
		"rust_begin_unwind",
		"__rust_",
		"runtime.",
		"<std::panicking::",
		"std::rt::rtabort",
	};

	for (size_t j = 0; symbol && j < sizeof(prefix) / sizeof(*prefix); j++)
		if (starts(symbol, prefix[j]))
			return true;
	return false;
}
