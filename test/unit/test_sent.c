/* SPDX-License-Identifier: MIT */
/* test_sent.c - packets on their way, against a plain list of all of them */
#include "unit/check.h"

#include "core/sent.h"
#include "unit/env.h"

enum { ALL = 40000 };

struct model {
	uint8_t state, parts;
	bool used;
	uint32_t size;
	cv_time at;
	uint64_t part; /* the first one's flow; they count up */
};

struct fix {
	struct mem mem;
	struct cv_env env;
	struct cv_pool pool;
	struct cv_flights f;
	struct model all[ALL];
	uint64_t base, parts, seed;
	cv_time now;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	assert_non_null(f);
	f->env = mem_env(&f->mem, 1);
	cv_pool_init(&f->pool, &f->env, 1 << 20);
	cv_flights_init(&f->f, &f->env, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	cv_flights_clear(&f->f, &f->pool);
	cv_pool_clear(&f->pool);
	size_t left = f->mem.blocks;
	free(f);
	return left ? -1 : 0;
}

/* a packet with @parts parts that carry consecutive numbers */
static void emit(struct fix *f, uint64_t number, unsigned parts)
{
	struct model *m = &f->all[number - f->base];
	assert_int_equal(cv_flights_reserve(&f->f, parts), 0);
	m->part = f->parts;
	for (unsigned i = 0; i < parts; i++) {
		struct cv_part *p = cv_flights_part(&f->f);
		assert_true(!p->flow && !p->len && !p->fin);
		p->flow = f->parts++;
	}
	m->size = 100 + (uint32_t)rnd_below(&f->seed, 1400);
	m->at = f->now;
	m->parts = (uint8_t)parts;
	m->state = CV_SENT_FLYING;
	m->used = true;
	struct cv_sent *s = cv_flights_sent(&f->f, number, m->size, f->now);
	assert_ptr_equal(s, cv_flights_at(&f->f, number));
	assert_int_equal(f->f.next, number + 1);
}

static void same(struct fix *f)
{
	uint64_t inflight = 0, oldest = f->f.next;
	uint32_t flying = 0;
	for (uint64_t n = f->f.first; n < f->f.next; n++) {
		struct model *m = &f->all[n - f->base];
		struct cv_sent *s = cv_flights_at(&f->f, n);
		assert_int_equal(s->state, m->state);
		assert_int_equal(s->parts, m->parts);
		for (unsigned i = 0; i < m->parts; i++)
			assert_int_equal(cv_flights_part_of(&f->f, s, i)->flow,
				m->part + i);
		if (m->state != CV_SENT_FLYING)
			continue;
		assert_true(s->at == m->at && s->size == m->size);
		oldest = oldest < n ? oldest : n;
		inflight += m->size;
		flying++;
	}
	assert_int_equal(f->f.inflight, inflight);
	assert_int_equal(f->f.flying, flying);
	assert_int_equal(cv_flights_oldest(&f->f), oldest);
	assert_null(cv_flights_at(&f->f, f->f.next));
	assert_null(cv_flights_at(&f->f, f->f.first - 1));
}

/* what is in front must stay: it flies, or is lost not long ago */
static void trim(struct fix *f, cv_time before)
{
	uint64_t n = f->f.first;
	for (; n < f->f.next; n++) {
		struct model *m = &f->all[n - f->base];
		if (m->state == CV_SENT_FLYING ||
			(m->state == CV_SENT_LOST && m->at >= before))
			break;
	}
	cv_flights_trim(&f->f, before);
	assert_int_equal(f->f.first, n);
	if (n == f->f.next)
		assert_int_equal(f->f.first_part, f->f.next_part);
}

static void change(struct fix *f)
{
	uint64_t n = f->f.first + rnd_below(&f->seed, f->f.next - f->f.first);
	struct model *m = &f->all[n - f->base];
	uint8_t to = rnd_below(&f->seed, 3) ? CV_SENT_SETTLED : CV_SENT_LOST;
	if (m->state == CV_SENT_SETTLED)
		return;
	m->state = to;
	cv_flights_set(&f->f, cv_flights_at(&f->f, n), to);
}

static void run(struct fix *f, uint64_t base, uint64_t seed)
{
	memset(f->all, 0, sizeof f->all);
	cv_flights_init(&f->f, &f->env, base);
	f->base = base;
	f->seed = seed;
	f->parts = 0;
	while (f->f.next - base < ALL - 100) {
		uint64_t skip =
			rnd_below(&f->seed, 8) ? 0 : rnd_below(&f->seed, 90);
		f->now += rnd_below(&f->seed, 1000);
		emit(f, f->f.next + skip, (unsigned)rnd_below(&f->seed, 5));
		for (int i = 0; i < 2 && f->f.next > f->f.first; i++)
			change(f);
		if (!rnd_below(&f->seed, 9))
			trim(f, f->now > CV_MS(20) ? f->now - CV_MS(20) : 0);
		if (!rnd_below(&f->seed, 97))
			same(f);
	}
	same(f);
	cv_flights_clear(&f->f, &f->pool);
	assert_int_equal(f->f.flying, 0);
	assert_int_equal(f->mem.blocks, 0);
}

static void test_model(void **state)
{
	struct fix *f = *state;
	run(f, 0, 1);
	run(f, (UINT64_C(1) << 32) - 1000, 2);
	run(f, UINT64_C(1) << 60, 3);
}

static void test_undo(void **state)
{
	struct fix *f = *state;
	emit(f, 0, 2);
	assert_int_equal(cv_flights_reserve(&f->f, 3), 0);
	cv_flights_part(&f->f)->flow = 99;
	cv_flights_part(&f->f)->flow = 98;
	cv_flights_undo(&f->f);
	emit(f, 1, 2);
	same(f);
	assert_int_equal(f->f.next_part, 4);
}

static void test_bounds(void **state)
{
	struct fix *f = *state;
	assert_int_equal(
		cv_flights_reserve(&f->f, UINT16_MAX + 1), CULVERT_EFULL);
	uint64_t n = 0;
	for (; !cv_flights_full(&f->f); n++) {
		assert_int_equal(cv_flights_reserve(&f->f, 0), 0);
		assert_non_null(cv_flights_sent(&f->f, n, 1, 1));
	}
	assert_int_equal(n, CV_SENT_MAX - CV_SENT_SPARE);
	for (; !cv_flights_reserve(&f->f, 0); n++)
		cv_flights_sent(&f->f, n, 1, 1);
	assert_int_equal(n, CV_SENT_MAX);
	assert_int_equal(cv_flights_reserve(&f->f, 0), CULVERT_EFULL);
	assert_int_equal(f->f.inflight, CV_SENT_MAX);
	/* memory doubles: it is not asked for each time */
	assert_true(f->mem.calls <= 12);
	for (n = 0; n < CV_SENT_MAX; n++)
		cv_flights_set(&f->f, cv_flights_at(&f->f, n), CV_SENT_SETTLED);
	cv_flights_trim(&f->f, 0);
	cv_flights_idle(&f->f);
	assert_int_equal(f->mem.blocks, 0);
	assert_int_equal(cv_flights_reserve(&f->f, 1), 0);
	cv_flights_idle(&f->f);
	assert_int_equal(cv_flights_reserve(&f->f, 1), 0);
	f->base = CV_SENT_MAX;
	emit(f, CV_SENT_MAX, 1);
	cv_flights_set(
		&f->f, cv_flights_at(&f->f, CV_SENT_MAX), CV_SENT_SETTLED);
	cv_flights_trim(&f->f, 0);
	emit(f, CV_SENT_MAX + 1, 0);
	cv_flights_idle(&f->f); /* one flies: nothing is given back */
	assert_int_equal(
		cv_flights_at(&f->f, CV_SENT_MAX + 1)->state, CV_SENT_FLYING);
	assert_non_null(f->f.ring);
	/* the last number that there is room for, and one beyond */
	uint64_t end = CV_SENT_MAX + 1 + CV_SENT_MAX;
	assert_int_equal(cv_flights_skip(&f->f, end + 1), CULVERT_EFULL);
	assert_int_equal(cv_flights_skip(&f->f, end), 0);
}

static void test_part_bounds(void **state)
{
	struct fix *f = *state;
	for (uint64_t n = 0; n < 64; n++) {
		if (n == 62)
			assert_false(cv_flights_full(&f->f));
		emit(f, n, 1);
		assert_int_equal(cv_flights_reserve(&f->f, 1000), 0);
		for (unsigned i = 0; i < 1000; i++)
			cv_flights_part(&f->f);
		cv_flights_sent(&f->f, ++n, 1, 1);
	}
	assert_int_equal(cv_flights_reserve(&f->f, 65000), CULVERT_EFULL);
	assert_int_equal(cv_flights_reserve(&f->f, 30000), 0);
}

static void test_skip(void **state)
{
	struct fix *f = *state;
	/* with nothing in the ring it is free */
	assert_int_equal(cv_flights_skip(&f->f, 7000000), 0);
	assert_int_equal(f->mem.blocks, 0);
	f->base = f->f.next;
	emit(f, f->base, 1);
	uint64_t next = f->f.next;
	assert_int_equal(cv_flights_skip(&f->f, f->base), 0);
	assert_int_equal(f->f.next, next);
	assert_int_equal(
		cv_flights_skip(&f->f, f->base + 100000), CULVERT_EFULL);
	f->mem.fail_all = true;
	assert_int_equal(
		cv_flights_skip(&f->f, f->base + 1000), CULVERT_ENOMEM);
	assert_null(cv_flights_sent(&f->f, f->base + 1000, 1, 1));
	assert_int_equal(f->f.next, next);
	f->mem.fail_all = false;
	assert_int_equal(cv_flights_skip(&f->f, f->base + 1000), 0);
	emit(f, f->base + 1000, 1);
	same(f);
	emit(f, f->base + 9000, 2); /* room is made on the way */
	same(f);
}

static void test_memory(void **state)
{
	struct fix *f = *state;
	f->mem.fail_at = 1;
	assert_int_equal(cv_flights_reserve(&f->f, 1), CULVERT_ENOMEM);
	f->mem.fail_at = 3;
	assert_int_equal(cv_flights_reserve(&f->f, 1), CULVERT_ENOMEM);
	emit(f, 0, 1);
	same(f);
}

/* control buffers that nobody took go back to the pool */
static void test_control(void **state)
{
	struct fix *f = *state;
	for (uint64_t n = 0; n < 3; n++) {
		assert_int_equal(cv_flights_reserve(&f->f, 1), 0);
		struct cv_part *p = cv_flights_part(&f->f);
		p->type = CV_PART_CONTROL;
		p->ctl = cv_buf_small(&f->pool);
		assert_non_null(p->ctl);
		cv_flights_sent(&f->f, n, 1, 1);
	}
	struct cv_sent *s = cv_flights_at(&f->f, 1);
	struct cv_part *p = cv_flights_part_of(&f->f, s, 0);
	cv_buf_free(&f->pool, p->ctl);
	p->ctl = NULL;
	cv_flights_set(&f->f, s, CV_SENT_LOST);
	cv_flights_clear(&f->f, &f->pool);
	assert_int_equal(f->pool.nsmall, 3);
	assert_int_equal(f->f.first, 3);
	assert_int_equal(f->f.inflight, 0);
}

static void test_states(void **state)
{
	struct fix *f = *state;
	emit(f, 0, 0);
	emit(f, 1, 0);
	cv_flights_set(&f->f, cv_flights_at(&f->f, 0), CV_SENT_LOST);
	assert_int_equal(cv_flights_oldest(&f->f), 1);
	cv_flights_set(&f->f, cv_flights_at(&f->f, 0), CV_SENT_FLYING);
	assert_int_equal(cv_flights_oldest(&f->f), 0);
	assert_int_equal(f->f.flying, 2);
	assert_int_equal(f->f.inflight, f->all[0].size + f->all[1].size);
	cv_flights_set(&f->f, cv_flights_at(&f->f, 0), CV_SENT_SETTLED);
	cv_flights_set(&f->f, cv_flights_at(&f->f, 1), CV_SENT_SETTLED);
	assert_int_equal(cv_flights_oldest(&f->f), 2);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_model),
		TEST(test_undo),
		TEST(test_bounds),
		TEST(test_part_bounds),
		TEST(test_skip),
		TEST(test_memory),
		TEST(test_control),
		TEST(test_states),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
