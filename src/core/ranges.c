/* SPDX-License-Identifier: MIT */
#include "core/ranges.h"

#include <string.h>

enum { FIRST_SIZE = 8 };

void cv_ranges_clear(struct cv_ranges *s, const struct cv_env *env)
{
	if (s->r)
		env->free(env->user, s->r, s->size * sizeof *s->r);
	*s = (struct cv_ranges){ 0 };
}

/* the first range that ends at @n or later; mostly that is the last */
static uint32_t reaching(const struct cv_ranges *s, uint64_t n)
{
	uint32_t lo = 0, hi = s->count;
	if (hi && s->r[hi - 1].hi < n)
		return hi;
	if (hi < 2 || s->r[hi - 2].hi < n)
		return hi ? hi - 1 : 0;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (s->r[mid].hi < n)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int grow(struct cv_ranges *s, const struct cv_env *env, uint32_t max)
{
	uint32_t size = s->size ? s->size : FIRST_SIZE / 2;
	struct cv_range *r;
	if (s->count >= max)
		return CULVERT_EFULL;
	if (s->count < s->size)
		return 0;
	size *= 2;
	r = env->alloc(env->user, size * sizeof *r);
	if (!r)
		return CULVERT_ENOMEM;
	if (s->r) {
		memcpy(r, s->r, s->count * sizeof *r);
		env->free(env->user, s->r, s->size * sizeof *r);
	}
	s->r = r;
	s->size = size;
	return 0;
}

/* move the ranges from @from on to @to; the set becomes that much longer or
   shorter */
static void shift(struct cv_ranges *s, uint32_t from, uint32_t to)
{
	if (from == to)
		return;
	if (from < s->count)
		memmove(s->r + to, s->r + from,
			(s->count - from) * sizeof *s->r);
	s->count = s->count - from + to;
}

int cv_ranges_add(struct cv_ranges *s, const struct cv_env *env, uint64_t lo,
	uint64_t hi, uint32_t max)
{
	uint32_t i = reaching(s, lo), j = i;
	if (lo >= hi)
		return 0;
	while (j < s->count && s->r[j].lo <= hi)
		j++;
	if (i == j) {
		int err = grow(s, env, max);
		if (err)
			return err;
		shift(s, i, i + 1);
		s->r[i] = (struct cv_range){ lo, hi };
		return 0;
	}
	if (s->r[i].lo > lo)
		s->r[i].lo = lo;
	s->r[i].hi = s->r[j - 1].hi > hi ? s->r[j - 1].hi : hi;
	shift(s, j, i + 1);
	return 0;
}

int cv_ranges_cover(struct cv_ranges *s, const struct cv_env *env, uint64_t lo,
	uint64_t hi, uint32_t max)
{
	int err = cv_ranges_add(s, env, lo, hi, max);
	if (!err || !s->count)
		return err;
	uint32_t i = reaching(s, lo);
	/* it touches none, or it would have been merged */
	if (i == s->count || (i && lo - s->r[i - 1].hi <= s->r[i].lo - hi))
		s->r[i - 1].hi = hi;
	else
		s->r[i].lo = lo;
	return 0;
}

static int split(struct cv_ranges *s, const struct cv_env *env, uint32_t i,
	struct cv_range out, uint32_t max)
{
	int err = grow(s, env, max);
	if (err)
		return err;
	shift(s, i, i + 1);
	s->r[i].hi = out.lo;
	s->r[i + 1].lo = out.hi;
	return 0;
}

int cv_ranges_del(struct cv_ranges *s, const struct cv_env *env, uint64_t lo,
	uint64_t hi, uint32_t max)
{
	uint32_t i, j;
	if (lo >= hi)
		return 0;
	i = reaching(s, lo + 1);
	if (i < s->count && s->r[i].lo < lo) {
		if (s->r[i].hi > hi)
			return split(
				s, env, i, (struct cv_range){ lo, hi }, max);
		s->r[i++].hi = lo;
	}
	for (j = i; j < s->count && s->r[j].hi <= hi; j++)
		;
	if (j < s->count && s->r[j].lo < hi)
		s->r[j].lo = hi;
	shift(s, j, i);
	return 0;
}

void cv_ranges_below(struct cv_ranges *s, uint64_t n)
{
	uint32_t i = 0;
	while (i < s->count && s->r[i].hi <= n)
		i++;
	if (i < s->count && s->r[i].lo < n)
		s->r[i].lo = n;
	shift(s, i, 0);
}

bool cv_ranges_has(const struct cv_ranges *s, uint64_t n)
{
	/* no range ends behind the last number there is */
	uint32_t i = n < UINT64_MAX ? reaching(s, n + 1) : s->count;
	return i < s->count && s->r[i].lo <= n;
}

uint64_t cv_ranges_bytes(const struct cv_ranges *s)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < s->count; i++)
		sum += s->r[i].hi - s->r[i].lo;
	return sum;
}
