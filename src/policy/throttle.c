/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Only the newest limit + 1 crash times of each window can decide whether a process loops,
 * so a ring of fixed size gives the same verdicts as an unbounded list; the unit tests compare
 * the two on random traces.
 *
 * Invariant: crashes = kept weight + pending, after every call.
 */

#include "policy/throttle.h"

#include <string.h>

/* The time of the n-th newest crash, n = 1 being the newest. */
static int64_t window_newest(const struct throttle_window *window, uint32_t n)
{
	return window->at_ns[(window->next + THROTTLE_RING - n) % THROTTLE_RING];
}

bool throttle_possible(const struct throttle_process *process)
{
	const struct throttle_window *window = &process->window;
	const struct throttle_novelty *novelty = &process->novelty;

	return window->next < THROTTLE_RING && window->count <= THROTTLE_RING &&
	       novelty->signature_next < THROTTLE_SIGNATURES &&
	       novelty->kept_next < THROTTLE_NOVEL_MAX &&
	       novelty->kept_count <= THROTTLE_NOVEL_MAX;
}

static void window_push(struct throttle_window *window, int64_t now_ns)
{
	window->at_ns[window->next] = now_ns;
	window->next = (window->next + 1) % THROTTLE_RING;
	if (window->count < THROTTLE_RING)
		window->count++;
}

/*
 * A difference of two int64 times can exceed int64 for hostile imports (1970 against
 * the far future); unsigned arithmetic gives the true distance because now >= then.
 */
static bool younger_than(int64_t then_ns, int64_t now_ns, int64_t age_ns)
{
	if (now_ns <= then_ns)
		return age_ns > 0;
	return (uint64_t)now_ns - (uint64_t)then_ns < (uint64_t)age_ns;
}

/* More than `limit` crashes younger than that? */
static bool over(const struct throttle_window *window, uint32_t limit, int64_t age_ns,
		 int64_t now_ns)
{
	uint32_t deciding = limit + 1;

	if (window->count < deciding || deciding > THROTTLE_RING)
		return false;
	return younger_than(window_newest(window, deciding), now_ns, age_ns);
}

static bool over_fast(const struct throttle_window *window, const struct throttle_limits *limits,
		      int64_t now_ns)
{
	return over(window, limits->limit, limits->age_out_ns, now_ns);
}

static bool over_slow(const struct throttle_window *window, const struct throttle_limits *limits,
		      int64_t now_ns)
{
	return limits->slow_limit > 0 &&
	       over(window, limits->slow_limit, limits->slow_window_ns, now_ns);
}

bool throttle_window_over(const struct throttle_window *window,
			  const struct throttle_limits *limits, int64_t now_ns)
{
	return over_fast(window, limits, now_ns) || over_slow(window, limits, now_ns);
}

uint32_t throttle_window_count(const struct throttle_window *window, int64_t age_ns,
			       int64_t now_ns)
{
	uint32_t n = 0;

	while (n < window->count && younger_than(window_newest(window, n + 1), now_ns, age_ns))
		n++;
	return n;
}

static bool end_of(const struct throttle_window *window, uint32_t limit, int64_t age_ns,
		   int64_t *ret_end_ns)
{
	if (limit == 0 || window->count < limit)
		return false;
	if (__builtin_add_overflow(window_newest(window, limit), age_ns, ret_end_ns))
		*ret_end_ns = INT64_MAX;
	return true;
}

bool throttle_window_end(const struct throttle_window *window,
			 const struct throttle_limits *limits, int64_t *ret_end_ns)
{
	bool fast = end_of(window, limits->limit, limits->age_out_ns, ret_end_ns);
	int64_t slow_ns;

	if (!end_of(window, limits->slow_limit, limits->slow_window_ns, &slow_ns))
		return fast;
	if (!fast || slow_ns > *ret_end_ns)
		*ret_end_ns = slow_ns;
	return true;
}

bool throttle_knows(const struct throttle_process *process, uint64_t signature)
{
	for (size_t i = 0; i < THROTTLE_SIGNATURES; i++)
		if (process->novelty.signature[i] == signature)
			return true;
	return false;
}

void throttle_learn(struct throttle_process *process, uint64_t signature)
{
	struct throttle_novelty *novelty = &process->novelty;

	if (signature == 0 || throttle_knows(process, signature))
		return;
	novelty->signature[novelty->signature_next] = signature;
	novelty->signature_next = (novelty->signature_next + 1) % THROTTLE_SIGNATURES;
}

uint32_t throttle_novel_left(const struct throttle_process *process,
			     const struct throttle_limits *limits, int64_t now_ns)
{
	const struct throttle_novelty *novelty = &process->novelty;
	uint32_t spent = 0;

	for (uint32_t i = 0; i < novelty->kept_count; i++)
		if (younger_than(novelty->kept_at_ns[i], now_ns, limits->age_out_ns))
			spent++;
	return spent < limits->novel_per_window ? limits->novel_per_window - spent : 0;
}

bool throttle_novel_budget(const struct throttle_process *process,
			   const struct throttle_limits *limits, int64_t now_ns)
{
	return throttle_novel_left(process, limits, now_ns) > 0;
}

/*
 * A signature that finds the budget spent is not remembered: its next crash after the
 * budget has come back is still the first one kept.
 */
bool throttle_admit(struct throttle_process *process, const struct throttle_limits *limits,
		    int64_t now_ns, uint64_t signature)
{
	struct throttle_novelty *novelty = &process->novelty;

	if (signature == 0 || throttle_knows(process, signature) ||
	    !throttle_novel_budget(process, limits, now_ns))
		return false;
	throttle_learn(process, signature);
	novelty->kept_at_ns[novelty->kept_next] = now_ns;
	novelty->kept_next = (novelty->kept_next + 1) % THROTTLE_NOVEL_MAX;
	if (novelty->kept_count < THROTTLE_NOVEL_MAX)
		novelty->kept_count++;
	return true;
}

bool throttle_novel(struct throttle_process *process, const struct throttle_limits *limits,
		    int64_t now_ns, uint64_t signature)
{
	if (process->pending == 0 || !throttle_admit(process, limits, now_ns, signature))
		return false;
	process->pending--;
	return true;
}

static struct throttle_verdict keep_pending(struct throttle_process *process)
{
	struct throttle_verdict verdict = { .decision = THROTTLE_KEEP,
					    .weight = process->pending };

	process->pending = 0;
	return verdict;
}

struct throttle_verdict throttle_crash(struct throttle_process *process,
				       const struct throttle_limits *limits,
				       int64_t now_ns, uint64_t signature)
{
	struct throttle_window *window = &process->window;
	struct throttle_verdict verdict;
	bool was_over = false;

	if (!limits->enabled) {
		throttle_learn(process, signature);
		return (struct throttle_verdict){ .decision = THROTTLE_KEEP, .weight = 1 };
	}
	if (window->count > 0) {
		int64_t newest_ns = window_newest(window, 1);

		if (newest_ns > now_ns)
			now_ns = newest_ns;
		/* As of then: of a slow loop the oldest crash leaves just before the next comes. */
		was_over = throttle_window_over(window, limits, newest_ns);
	}
	window_push(window, now_ns);
	process->pending++;

	if (!throttle_window_over(window, limits, now_ns) ||
	    process->pending >= limits->report_every) {
		verdict = keep_pending(process);
		throttle_learn(process, signature);
	} else if (throttle_novel(process, limits, now_ns, signature)) {
		verdict = (struct throttle_verdict){ .decision = THROTTLE_NOVEL, .weight = 1 };
	} else {
		verdict = (struct throttle_verdict){ .decision = THROTTLE_FOLD };
	}
	verdict.slow = over_slow(window, limits, now_ns) && !over_fast(window, limits, now_ns);
	verdict.loop_started = !was_over && throttle_window_over(window, limits, now_ns);
	return verdict;
}

const char *throttle_decision_name(enum throttle_decision decision)
{
	switch (decision) {
	case THROTTLE_KEEP:
		return "keep";
	case THROTTLE_NOVEL:
		return "novel";
	case THROTTLE_FOLD:
		return "fold";
	}
	return "unknown";
}
