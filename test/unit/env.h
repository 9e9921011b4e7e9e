/* SPDX-License-Identifier: MIT */
/**
 * env.h - an environment for tests: memory that counts and can fail, random
 * numbers that repeat, the last line logged
 */
#ifndef ENV_H
#define ENV_H

#include "core/types.h"

struct mem {
	size_t blocks, bytes; /* given out now */
	uint64_t calls;       /* times memory was asked for */
	uint64_t fail_at;     /* the call that fails; 0: none */
	bool fail_all;        /* every call fails */
	uint64_t seed;
	unsigned lines; /* logged */
	char line[600];
};

/** rnd() - the next of a sequence (xorshift64*); *@seed is not 0 */
uint64_t rnd(uint64_t *seed);

/** rnd_below() - from 0 to @n - 1 */
uint64_t rnd_below(uint64_t *seed, uint64_t n);

/** rnd_fill() - @len bytes of it */
void rnd_fill(uint64_t *seed, void *out, size_t len);

/** mem_env() - clear @m and make an environment around it */
struct cv_env mem_env(struct mem *m, uint64_t seed);

#endif
