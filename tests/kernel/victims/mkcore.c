/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Writes a small core of an invented process of this machine to stdout, in the kernel's
 * layout: ELF header, program headers with the notes first, notes, pages.
 *
 *   mkcore [-n NAME] [-u UID] [-m MIB]
 */

#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <unistd.h>

#define PID 4194000
#define PAGE 4096u

/* As the preprocessor knows this machine. */
#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__i386__)
#define MACHINE EM_386
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#elif defined(__arm__)
#define MACHINE EM_ARM
#else
#define MACHINE EM_NONE
#endif
#define OUR_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

static char notes[PAGE];
static size_t notes_bytes;

static void add_note(uint32_t type, const void *desc, size_t n)
{
	const ElfW(Nhdr) head = { .n_namesz = 5, .n_descsz = (uint32_t)n, .n_type = type };

	memcpy(notes + notes_bytes, &head, sizeof(head));
	memcpy(notes + notes_bytes + sizeof(head), "CORE", 5);
	memcpy(notes + notes_bytes + sizeof(head) + 8, desc, n);
	notes_bytes += sizeof(head) + 8 + (n + 3) / 4 * 4;
}

static void make_notes(const char *name, uint32_t uid)
{
	struct elf_prstatus status = { .pr_pid = PID, .pr_cursig = SIGABRT };
	struct elf_prpsinfo info = { .pr_pid = PID, .pr_uid = uid, .pr_gid = uid };
	siginfo_t siginfo = { .si_signo = SIGABRT };
	const ElfW(Addr) auxv[] = { AT_PAGESZ, PAGE, AT_ENTRY, 0x401000, AT_NULL, 0 };

	memcpy(info.pr_fname, name, strnlen(name, sizeof(info.pr_fname) - 1));
	(void)snprintf(info.pr_psargs, sizeof(info.pr_psargs), "%s --option", name);
	add_note(NT_PRSTATUS, &status, sizeof(status));
	add_note(NT_PRPSINFO, &info, sizeof(info));
	add_note(NT_SIGINFO, &siginfo, sizeof(siginfo));
	add_note(NT_AUXV, auxv, sizeof(auxv));
}

/* Half noise, half zeros: something to compress, and something that does not. */
static int write_pages(size_t bytes)
{
	static uint64_t page[PAGE / 8];
	uint64_t x = 88172645463325252u;

	for (size_t at = 0; at < bytes; at += PAGE) {
		memset(page, 0, sizeof(page));
		for (size_t i = 0; i < sizeof(page) / 16; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			page[i] = x;
		}
		if (fwrite(page, sizeof(page), 1, stdout) != 1)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *name = "invented";
	size_t bytes = PAGE;
	uint32_t uid = 0;
	ElfW(Ehdr) head = { .e_ident = { 0x7f, 'E', 'L', 'F', OUR_CLASS, ELFDATA2LSB, EV_CURRENT },
			    .e_type = ET_CORE, .e_machine = MACHINE, .e_version = EV_CURRENT,
			    .e_phoff = sizeof(head), .e_ehsize = sizeof(head),
			    .e_phentsize = sizeof(ElfW(Phdr)), .e_phnum = 2 };
	ElfW(Phdr) segment[2] = { { .p_type = PT_NOTE, .p_offset = sizeof(head) + sizeof(segment) },
				  { .p_type = PT_LOAD, .p_flags = PF_R | PF_W, .p_vaddr = 0x400000,
				    .p_offset = 2 * PAGE, .p_align = PAGE } };
	static char padding[2 * PAGE];
	int letter;

	while ((letter = getopt(argc, argv, "n:u:m:")) > 0) {
		if (letter == 'n')
			name = optarg;
		else if (letter == 'u')
			uid = (uint32_t)strtoul(optarg, NULL, 10);
		else if (letter == 'm')
			bytes = strtoul(optarg, NULL, 10) << 20;
		else
			return 2;
	}
	make_notes(name, uid);
	segment[0].p_filesz = notes_bytes;
	segment[1].p_filesz = segment[1].p_memsz = bytes;
	memcpy(padding, &head, sizeof(head));
	memcpy(padding + sizeof(head), segment, sizeof(segment));
	memcpy(padding + segment[0].p_offset, notes, notes_bytes);
	if (fwrite(padding, sizeof(padding), 1, stdout) != 1 || write_pages(bytes) != 0)
		return 1;
	return fflush(stdout) == 0 ? 0 : 1;
}
