/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "policy/rate.h"

#define Z 1.959963984540054
#define HOUR_NS 3600e9

/* Garwood's limits for 0, 1, 2 ... events, 95 %. */
static const struct {
	double low;
	double high;
} garwood[] = {
	{ 0.000000, 3.688879 },
	{ 0.025318, 5.571643 },
	{ 0.242209, 7.224688 },
	{ 0.618672, 8.767273 },
	{ 1.089865, 10.241589 },
	{ 1.623486, 11.668332 },
	{ 2.201894, 13.059474 },
	{ 2.814363, 14.422675 },
	{ 3.453832, 15.763189 },
	{ 4.115373, 17.084803 },
	{ 4.795389, 18.390356 },
	{ 5.491160, 19.682039 },
	{ 6.200575, 20.961585 },
	{ 6.921952, 22.230396 },
	{ 7.653930, 23.489621 },
	{ 8.395386, 24.740219 },
	{ 9.145382, 25.982998 },
	{ 9.903126, 27.218647 },
	{ 10.667941, 28.447760 },
	{ 11.439241, 29.670854 },
	{ 12.216520, 30.888378 },
	{ 12.999331, 32.100731 },
	{ 13.787283, 33.308264 },
	{ 14.580027, 34.511293 },
	{ 15.377253, 35.710098 },
	{ 16.178682, 36.904932 },
	{ 16.984063, 38.096024 },
	{ 17.793170, 39.283582 },
	{ 18.605797, 40.467796 },
	{ 19.421755, 41.648837 },
	{ 20.240874, 42.826865 },
};

/* Newton's method: the policy library links nothing, not even libm. x >= 1. */
static double square_root(double x)
{
	double root = x;

	for (int i = 0; i < 64; i++)
		root = (root + x / root) / 2;
	return root;
}

static double byar(double n, double z)
{
	double term = 1 - 1 / (9 * n) + z / (3 * square_root(n));

	return n * term * term * term;
}

struct rate rate_interval(uint64_t n)
{
	if (n < sizeof(garwood) / sizeof(*garwood))
		return (struct rate){ (double)n, garwood[n].low, garwood[n].high };
	return (struct rate){ (double)n, byar((double)n, -Z), byar((double)n + 1, Z) };
}

struct rate rate_per_1000_hours(uint64_t n, int64_t covered_ns)
{
	struct rate rate = rate_interval(n);
	double scale = covered_ns > 0 ? 1000 * HOUR_NS / (double)covered_ns : 0;

	return (struct rate){ rate.value * scale, rate.low * scale, rate.high * scale };
}
