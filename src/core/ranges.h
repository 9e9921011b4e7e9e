/* SPDX-License-Identifier: MIT */
/* ranges.h - a sorted set of numbers, as half-open ranges that do not touch */
#ifndef CV_RANGES_H
#define CV_RANGES_H

#include "core/types.h"

struct cv_range {
	uint64_t lo, hi; /* lo <= n < hi */
};

/** struct cv_ranges - zeroed: empty, and nothing allocated */
struct cv_ranges {
	struct cv_range *r; /* ascending */
	uint32_t count, size;
};

/** cv_ranges_clear() - empty, and nothing allocated */
void cv_ranges_clear(struct cv_ranges *, const struct cv_env *);

/**
 * cv_ranges_add() - Put [@lo, @hi) in; what was in already does no harm
 * @max:	ranges that the set may have
 *
 * Return: 0, or CULVERT_EFULL or CULVERT_ENOMEM with nothing changed
 */
int cv_ranges_add(struct cv_ranges *, const struct cv_env *, uint64_t lo,
	uint64_t hi, uint32_t max);

/**
 * cv_ranges_cover() - cv_ranges_add(), and where there is no room for another
 * range the nearest one grows to it: more is in the set than was put in.
 * Only the very first range of a set without memory is lost: CULVERT_ENOMEM
 */
int cv_ranges_cover(struct cv_ranges *, const struct cv_env *, uint64_t lo,
	uint64_t hi, uint32_t max);

/**
 * cv_ranges_del() - Take [@lo, @hi) out
 *
 * Return: 0; or CULVERT_EFULL or CULVERT_ENOMEM where a range would have had
 * to be split and cannot: then that one is left whole
 */
int cv_ranges_del(struct cv_ranges *, const struct cv_env *, uint64_t lo,
	uint64_t hi, uint32_t max);

/** cv_ranges_below() - take everything below @n out; cannot fail */
void cv_ranges_below(struct cv_ranges *, uint64_t n);

/** cv_ranges_has() - whether @n is in; binary search */
bool cv_ranges_has(const struct cv_ranges *, uint64_t n);

/** cv_ranges_bytes() - how many numbers are in */
uint64_t cv_ranges_bytes(const struct cv_ranges *);

#endif
