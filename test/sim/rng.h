/* SPDX-License-Identifier: MIT */
/* rng.h - xoshiro256**, seeded by splitmix64 (Blackman and Vigna 2018) */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include "core/types.h"

struct rng {
	uint64_t s[4];
};

static inline uint64_t mix64(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static inline void rng_seed(struct rng *r, uint64_t seed)
{
	for (int i = 0; i < 4; i++)
		r->s[i] = mix64(seed += UINT64_C(0x9e3779b97f4a7c15));
}

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t *s = r->s, x = s[1] * 5, t = s[1] << 17;
	x = (x << 7 | x >> 57) * 9;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = s[3] << 45 | s[3] >> 19;
	return x;
}

/** below() - 0..@n-1; the bias of the modulus does not matter here */
static inline uint64_t below(struct rng *r, uint64_t n)
{
	return n ? rng_next(r) % n : 0;
}

/** between() - @lo..@hi, both included */
static inline uint64_t between(struct rng *r, uint64_t lo, uint64_t hi)
{
	return lo + below(r, hi - lo + 1);
}

/** spread() - @lo..@hi, every magnitude equally likely; @lo > 0 */
static inline uint64_t spread(struct rng *r, uint64_t lo, uint64_t hi)
{
	uint64_t top = lo;
	unsigned steps = 0;
	for (uint64_t x = lo; x < hi; x *= 2)
		steps++;
	for (uint64_t k = below(r, steps + 1); k; k--)
		top *= 2;
	return between(r, lo, top < hi ? top : hi);
}

/** chance() - true in @percent of 100 */
static inline bool chance(struct rng *r, unsigned percent)
{
	return below(r, 100) < percent;
}

#endif
