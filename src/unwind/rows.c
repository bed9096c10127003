/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "unwind/rows.h"

#include <errno.h>
#include <libunwind.h>
#include <stdlib.h>
#include <string.h>

#include "unwind/debugframe.h"
#include "unwind/ehindex.h"
#include "unwind/space.h"

/*
 * Exported by libunwind for those who, like us and its own ptrace and coredump backends,
 * bring their own accessors; its installed headers leave the prototype out.
 */
#define search_unwind_table UNW_OBJ(dwarf_search_unwind_table)
int search_unwind_table(unw_addr_space_t as, unw_word_t ip, unw_dyn_info_t *di,
			unw_proc_info_t *pi, int need_unwind_info, void *arg);

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#elif defined(__i386__)
#define OUR_MACHINE EM_386
#else
#define OUR_MACHINE EM_NONE
#endif

#define OUR_CLASS (sizeof(unw_word_t) == 8 ? ELFCLASS64 : ELFCLASS32)

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OUR_BYTE_ORDER ELFDATA2LSB
#else
#define OUR_BYTE_ORDER ELFDATA2MSB
#endif

/* An honest step reads some hundred words; a program that loops reads for ever. */
#define READS_PER_STEP 200000u
#define MEMO 512u

struct memo {
	uint64_t ip; /* plus 1 */
	enum rows_source source;
};

struct rows {
	unw_addr_space_t as;
	struct memory *memory;
	const struct modules *modules;
	const struct space *space;
	struct registers *registers; /* of the frame being stepped from */

	/*
	 * A search table of one entry, and behind it a row that is not in memory, laid where
	 * the process has nothing.
	 */
	uint64_t overlay_at; /* 0: none */
	const unsigned char *overlay;
	size_t overlay_bytes;
	uint32_t overlay_table[2];

	unsigned int reads;
	struct memo memo[MEMO];
};

/* ---- what libunwind asks for ---- */

/* The search table of .eh_frame_hdr: version, three encodings, .eh_frame, count, table. */
static bool find_table(struct rows *rows, const struct module *m, unw_dyn_info_t *di)
{
	unsigned char header[12];
	uint32_t count;

	if (m->eh_frame_hdr == 0 || m->wide != (OUR_CLASS == ELFCLASS64) ||
	    memory_read(rows->memory, m->eh_frame_hdr, header, sizeof(header)) != 0)
		return false;
	/* What every linker writes: udata4 count, table of datarel sdata4. */
	if (header[0] != 1 || header[2] != 0x03 || header[3] != 0x3b ||
	    (header[1] & 15) != 0x0b)
		return false;
	memcpy(&count, header + 8, sizeof(count));
	if (m->eh_frame_hdr_bytes < 12 || count > (m->eh_frame_hdr_bytes - 12) / 8)
		return false;
	*di = (unw_dyn_info_t){
		.start_ip = m->base,
		.end_ip = m->end,
		.format = UNW_INFO_FORMAT_REMOTE_TABLE,
		.u.rti = { .segbase = m->eh_frame_hdr,
			   .table_len = count,
			   .table_data = m->eh_frame_hdr + 12 },
	};
	return count > 0;
}

static int search_eh_frame(struct rows *rows, const struct module *m, uint64_t ip,
			   unw_proc_info_t *pi, int need)
{
	unw_dyn_info_t di;

	if (!find_table(rows, m, &di))
		return -UNW_ENOINFO;
	return search_unwind_table(rows->as, ip, &di, pi, need, rows);
}

/* An address behind the module where the process has nothing: rows are relative to it. */
static bool place_overlay(struct rows *rows, const struct module *m)
{
	uint64_t at = (m->end + 0xffff) & ~0xffffULL;

	for (unsigned int tries = 0; tries < 1024; tries++, at += 0x20000) {
		const struct elfcore_segment *next = space_next(rows->space, at);

		if (at < m->end)
			return false;
		if (space_find(rows->space, at) || (next && next->vaddr - at < 0x30000))
			continue;
		rows->overlay_at = at;
		return true;
	}
	return false;
}

/* Looks the row up as the only entry of a search table, which lies in the overlay. */
static int search_single(struct rows *rows, uint64_t ip, uint64_t start, uint64_t end,
			 uint64_t fde, unw_proc_info_t *pi, int need)
{
	unw_dyn_info_t di;

	/* start and FDE, relative to the overlay */
	rows->overlay_table[0] = (uint32_t)(start - rows->overlay_at);
	rows->overlay_table[1] = (uint32_t)(fde - rows->overlay_at);
	di = (unw_dyn_info_t){
		.start_ip = start,
		.end_ip = end,
		.format = UNW_INFO_FORMAT_REMOTE_TABLE,
		.u.rti = { .segbase = rows->overlay_at,
			   .table_len = 1,
			   .table_data = rows->overlay_at },
	};
	return search_unwind_table(rows->as, ip, &di, pi, need, rows);
}

/* No search table: one of our own leads to the row. */
static int search_eh_index(struct rows *rows, struct module *m, uint64_t ip,
			   unw_proc_info_t *pi, int need)
{
	uint64_t fde, start, end;

	if (m->eh_frame_hdr != 0 || !m->wide ||
	    !eh_index_find(m, rows->memory, ip, &fde, &start, &end) || ip < start ||
	    ip >= end || !place_overlay(rows, m))
		return -UNW_ENOINFO;
	rows->overlay = NULL;
	rows->overlay_bytes = 0;
	return search_single(rows, ip, start, end, fde, pi, need);
}

static int search_debug_frame(struct rows *rows, struct module *m, uint64_t ip,
			      unw_proc_info_t *pi, int need)
{
	uint64_t start, end;
	const void *bytes;
	size_t size, fde_at;

	if (!m->wide || !debug_frame_row(m, ip, &bytes, &size, &fde_at, &start, &end) ||
	    ip < start || ip >= end || !place_overlay(rows, m))
		return -UNW_ENOINFO;
	rows->overlay = bytes;
	rows->overlay_bytes = size;
	return search_single(rows, ip, start, end, rows->overlay_at + 8 + fde_at, pi,
			     need);
}

static int search(struct rows *rows, uint64_t ip, unw_proc_info_t *pi, int need,
		  enum rows_source *ret_source)
{
	struct module *m = modules_find(rows->modules, ip);
	int r;

	*ret_source = ROWS_NONE;
	if (!m || !m->is_elf)
		return -UNW_ENOINFO;
	r = search_eh_frame(rows, m, ip, pi, need);
	if (r != 0)
		r = search_eh_index(rows, m, ip, pi, need);
	if (r == 0)
		*ret_source = ROWS_EH_FRAME;
	if (r == 0)
		return 0;
	/* Written for machines of 64 bits: Go and assembly of others are not read. */
	r = OUR_CLASS == ELFCLASS64 ? search_debug_frame(rows, m, ip, pi, need)
				    : -UNW_ENOINFO;
	if (r == 0)
		*ret_source = ROWS_DEBUG_FRAME;
	return r == 0 ? 0 : -UNW_ENOINFO;
}

static int find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *pi,
			  int need, void *arg)
{
	enum rows_source source;

	(void)as;
	return search(arg, ip, pi, need, &source);
}

static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *pi, void *arg)
{
	(void)as;
	(void)pi;
	(void)arg;
}

static int get_dyn_info_list_addr(unw_addr_space_t as, unw_word_t *address, void *arg)
{
	(void)as;
	(void)address;
	(void)arg;
	return -UNW_ENOINFO;
}

/* The table entry first, the row behind it. */
static bool read_overlay(const struct rows *rows, uint64_t address, unw_word_t *value)
{
	unsigned char word[sizeof(*value)] = { 0 };
	uint64_t at = address - rows->overlay_at;

	if (rows->overlay_at == 0 || at >= 8 + rows->overlay_bytes)
		return false;
	for (size_t i = 0; i < sizeof(word) && at + i < 8 + rows->overlay_bytes; i++)
		word[i] = at + i < 8
				  ? ((const unsigned char *)rows->overlay_table)[at + i]
				  : rows->overlay[at + i - 8];
	memcpy(value, word, sizeof(word));
	return true;
}

static int access_mem(unw_addr_space_t as, unw_word_t address, unw_word_t *value,
		      int write, void *arg)
{
	struct rows *rows = arg;

	(void)as;
	if (write || ++rows->reads > READS_PER_STEP)
		return -UNW_EINVAL;
	if (read_overlay(rows, address, value))
		return 0;
	return memory_read(rows->memory, address, value, sizeof(*value)) == 0
		       ? 0
		       : -UNW_EINVAL;
}

static int access_reg(unw_addr_space_t as, unw_regnum_t number, unw_word_t *value,
		      int write, void *arg)
{
	const struct rows *rows = arg;

	(void)as;
	if (write)
		return -UNW_EREADONLYREG;
	if (number < 0 || (unsigned int)number >= rows->registers->count)
		return -UNW_EBADREG;
	*value = rows->registers->value[number];
	return 0;
}

static int access_fpreg(unw_addr_space_t as, unw_regnum_t number, unw_fpreg_t *value,
			int write, void *arg)
{
	(void)as;
	(void)number;
	(void)value;
	(void)write;
	(void)arg;
	return -UNW_EBADREG;
}

static int resume(unw_addr_space_t as, unw_cursor_t *cursor, void *arg)
{
	(void)as;
	(void)cursor;
	(void)arg;
	return -UNW_EINVAL;
}

static int get_proc_name(unw_addr_space_t as, unw_word_t ip, char *name, size_t size,
			 unw_word_t *offset, void *arg)
{
	(void)as;
	(void)ip;
	(void)name;
	(void)size;
	(void)offset;
	(void)arg;
	return -UNW_ENOINFO;
}

static unw_accessors_t accessors = {
	.find_proc_info = find_proc_info,
	.put_unwind_info = put_unwind_info,
	.get_dyn_info_list_addr = get_dyn_info_list_addr,
	.access_mem = access_mem,
	.access_reg = access_reg,
	.access_fpreg = access_fpreg,
	.resume = resume,
	.get_proc_name = get_proc_name,
};

/* ---- ours ---- */

int rows_new(const struct elfcore *core, struct memory *memory,
	     const struct modules *modules, const struct space *space,
	     struct rows **ret_rows)
{
	struct rows *rows;

	if (core->machine != OUR_MACHINE || core->elf_class != OUR_CLASS ||
	    core->byte_order != OUR_BYTE_ORDER)
		return ROWS_E_NONE;
	rows = calloc(1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	rows->memory = memory;
	rows->modules = modules;
	rows->space = space;
	rows->as = unw_create_addr_space(&accessors, 0);
	if (!rows->as) {
		free(rows);
		return -ENOMEM;
	}
	unw_set_caching_policy(rows->as, UNW_CACHE_GLOBAL);
	*ret_rows = rows;
	return 0;
}

void rows_free(struct rows *rows)
{
	if (!rows)
		return;
	unw_destroy_addr_space(rows->as);
	free(rows);
}

/* Is there a row at all? libunwind's own guesses without one are not told apart from rows. */
static enum rows_source find_source(struct rows *rows, uint64_t ip)
{
	struct memo *memo = &rows->memo[ip % MEMO];
	unw_proc_info_t pi = { 0 };

	if (memo->ip == ip + 1)
		return memo->source;
	memo->ip = ip + 1;
	(void)search(rows, ip, &pi, 0, &memo->source);
	return memo->source;
}

bool rows_begin(struct rows *rows, uint64_t address)
{
	rows->reads = 0;
	rows->overlay_at = 0;
	return find_source(rows, address - 1) == ROWS_NONE &&
	       find_source(rows, address) != ROWS_NONE;
}

static void take_registers(unw_cursor_t *cursor, const struct registers *from,
			   struct registers *to)
{
	*to = *from;
	for (unsigned int i = 0; i < from->count; i++) {
		unw_word_t value;

		if (unw_get_reg(cursor, (unw_regnum_t)i, &value) == 0)
			to->value[i] = value;
	}
}

int rows_step(struct rows *rows, struct registers *registers, bool is_call,
	      enum rows_source *ret_source)
{
	struct registers here = *registers, caller;
	unw_cursor_t cursor;
	int r;

	/*
	 * The step begins at the call itself: a call that never returns may be the last
	 * instruction of its function, and the row behind it is another's.
	 */
	if (is_call)
		here.value[here.pc]--;
	rows->reads = 0;
	rows->overlay_at = 0;
	*ret_source = find_source(rows, registers_pc(&here));
	if (*ret_source == ROWS_NONE)
		return ROWS_E_NONE;
	rows->registers = &here;
	if (unw_init_remote(&cursor, rows->as, rows) < 0)
		return ROWS_E_NONE;
	r = unw_step(&cursor);
	if (r < 0)
		return ROWS_E_NONE;
	take_registers(&cursor, &here, &caller);
	if (r == 0 || registers_pc(&caller) == 0)
		return ROWS_E_END;
	*registers = caller;
	return 0;
}
