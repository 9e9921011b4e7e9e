/* SPDX-License-Identifier: MIT */
/* env.c - each block is led by its size, so that a wrong one is seen */
#include "unit/env.h"

#include "unit/check.h"

enum { LEAD = 16 };

uint64_t rnd(uint64_t *seed)
{
	uint64_t x = *seed;
	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*seed = x;
	return x * UINT64_C(2685821657736338717);
}

uint64_t rnd_below(uint64_t *seed, uint64_t n)
{
	return (rnd(seed) >> 11) % n;
}

void rnd_fill(uint64_t *seed, void *out, size_t len)
{
	uint8_t *p = out;
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(rnd(seed) >> 56);
}

static void *get(void *user, size_t size)
{
	struct mem *m = user;
	if (++m->calls == m->fail_at || m->fail_all)
		return NULL;
	uint8_t *p = calloc(1, LEAD + size);
	assert_non_null(p);
	memcpy(p, &size, sizeof size);
	m->blocks++;
	m->bytes += size;
	return p + LEAD;
}

static void give_back(void *user, void *ptr, size_t size)
{
	struct mem *m = user;
	uint8_t *p = (uint8_t *)ptr - LEAD;
	assert_memory_equal(p, &size, sizeof size);
	m->blocks--;
	m->bytes -= size;
	free(p);
}

static void fill(void *user, void *out, size_t len)
{
	struct mem *m = user;
	rnd_fill(&m->seed, out, len);
}

static void take_line(void *user, enum culvert_log_level level, const char *s)
{
	struct mem *m = user;
	(void)level;
	m->lines++;
	size_t n = strnlen(s, sizeof m->line - 1);
	memcpy(m->line, s, n);
	m->line[n] = '\0';
}

static void no_dial(void *user, struct cv_session *s)
{
	(void)user;
	(void)s;
}

struct cv_env mem_env(struct mem *m, uint64_t seed)
{
	*m = (struct mem){ .seed = seed };
	return (struct cv_env){ .alloc = get,
		.free = give_back,
		.random = fill,
		.log = take_line,
		.dial = no_dial,
		.wall = UINT64_C(1700000000000000),
		.user = m };
}
