/* SPDX-License-Identifier: MIT */
/* test_sndbuf.c - every byte is sent until it is known to have arrived */
#include "unit/check.h"

#include "core/sndbuf.h"
#include "unit/env.h"

enum { BYTES = 1 << 19, PIECES = 1 << 15 };

enum fate { FLYING, LOST, ACKED };

struct flight {
	struct cv_piece p;
	enum fate fate;
};

struct fix {
	struct mem mem;
	struct cv_env env;
	struct cv_pool pool;
	struct cv_sndbuf s;
	struct flight sent[PIECES];
	uint32_t count;
	bool acked[BYTES]; /* what the model knows */
	bool held[BYTES];  /* flying or to be sent again */
	bool fin_acked;
	uint64_t seed, top; /* @top: offset below which all was acked */
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	assert_non_null(f);
	f->env = mem_env(&f->mem, 3);
	f->seed = 77;
	cv_pool_init(&f->pool, &f->env, 8 << 20);
	f->s.limit = BYTES;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	cv_sndbuf_clear(&f->s, &f->env, &f->pool);
	cv_pool_clear(&f->pool);
	size_t left = f->mem.blocks;
	free(f);
	return left ? -1 : 0;
}

/* any piece of the stream differs from any other */
static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)((offset * 2654435761u) >> 13 ^ offset);
}

static size_t put(struct fix *f, size_t want, size_t most)
{
	size_t len = want;
	uint8_t *to = cv_sndbuf_room(&f->s, &f->pool, &len);
	if (!to)
		return 0;
	assert_true(len <= want);
	assert_true(len || !want);
	size_t n = len < most ? len : most;
	for (size_t i = 0; i < n; i++)
		to[i] = byte_at(f->s.end + i);
	cv_sndbuf_wrote(&f->s, &f->pool, n);
	return n;
}

static void put_all(struct fix *f, size_t n)
{
	while (n) {
		size_t k = put(f, n, n);
		assert_true(k);
		n -= k;
	}
}

static void look(struct fix *f, const struct cv_piece *p)
{
	static uint8_t out[65536];
	cv_sndbuf_copy(&f->s, p->offset, p->len, out);
	for (uint32_t i = 0; i < p->len; i++)
		assert_int_equal(out[i], byte_at(p->offset + i));
}

static bool take(struct fix *f, uint32_t max, uint64_t fresh)
{
	struct cv_piece p = { .len = 12345 };
	uint64_t next = f->s.next;
	uint64_t said = cv_sndbuf_next(&f->s);
	bool wants = cv_sndbuf_wants(&f->s, fresh);
	bool got = cv_sndbuf_take(&f->s, &f->env, max, fresh, &p);
	if (max)
		assert_int_equal(got, wants);
	if (!got) {
		assert_int_equal(p.len, 12345);
		return false;
	}
	assert_true(p.len <= max);
	assert_true(p.len || p.fin);
	if (max)
		assert_int_equal(p.offset, said);
	assert_true(p.offset >= f->s.base && p.offset + p.len <= f->s.end);
	if (p.len && !p.again) {
		assert_true(p.offset == next && p.len <= fresh);
		assert_true(p.offset + p.len <= f->s.limit);
	} else {
		assert_true(f->s.next == next && p.offset + p.len <= next);
	}
	assert_int_equal(p.fin,
		f->s.fin && !f->fin_acked && p.offset + p.len == f->s.end);
	look(f, &p);
	assert_true(f->count < PIECES);
	f->sent[f->count++] = (struct flight){ p, FLYING };
	return true;
}

static void ack(struct fix *f, struct flight *s)
{
	uint64_t base = f->s.base, hi = s->p.offset + s->p.len;
	uint64_t rose =
		cv_sndbuf_acked(&f->s, &f->pool, s->p.offset, hi, s->p.fin);
	assert_int_equal(f->s.base - base, rose);
	memset(f->acked + s->p.offset, 1, s->p.len);
	f->fin_acked |= s->p.fin;
	s->fate = ACKED;
	while (f->top < BYTES && f->acked[f->top])
		f->top++;
	assert_true(f->s.base <= f->top);
}

static void lose(struct fix *f, struct flight *s)
{
	uint64_t hi = s->p.offset + s->p.len;
	cv_sndbuf_lost(&f->s, &f->env, s->p.offset, hi, s->p.fin);
	s->fate = LOST;
}

static void hold(struct fix *f, uint64_t lo, uint64_t hi)
{
	if (lo < hi)
		memset(f->held + lo, 1, hi - lo);
}

/* what did not arrive is under way or will be sent */
static void check_nothing_forgotten(struct fix *f)
{
	const struct cv_ranges *l = &f->s.lost, *a = &f->s.acked;
	memset(f->held, 0, f->s.next);
	bool fin = false;
	for (uint32_t i = 0; i < f->count; i++) {
		const struct cv_piece *p = &f->sent[i].p;
		if (f->sent[i].fate != FLYING)
			continue;
		hold(f, p->offset, p->offset + p->len);
		fin |= p->fin;
	}
	for (uint32_t i = 0; i < l->count; i++)
		hold(f, l->r[i].lo, l->r[i].hi);
	for (uint32_t i = 0; i < a->count; i++)
		hold(f, a->r[i].lo, a->r[i].hi);
	hold(f, f->s.rest.lo, f->s.rest.hi);
	for (uint64_t i = f->s.base; i < f->s.next; i++)
		assert_true(f->held[i]);
	if (f->s.fin_sent && !f->fin_acked)
		assert_true(fin || f->s.fin_lost);
}

static void start(struct fix *f)
{
	cv_sndbuf_clear(&f->s, &f->env, &f->pool);
	f->s.limit = 1 + rnd_below(&f->seed, BYTES);
	f->count = 0;
	f->top = 0;
	f->fin_acked = false;
	memset(f->acked, 0, sizeof f->acked);
}

static struct flight *any(struct fix *f)
{
	/* mostly recent ones */
	uint32_t n = f->count;
	if (n > 50 && rnd_below(&f->seed, 4))
		return &f->sent[n - 1 - rnd_below(&f->seed, 50)];
	return n ? &f->sent[rnd_below(&f->seed, n)] : NULL;
}

static void write_some(struct fix *f)
{
	static const size_t want[] = { 0, 1, 40, 448, 449, 3000, 20000, 65536 };
	size_t n = want[rnd_below(&f->seed, CV_COUNT(want))];
	if (f->s.fin || f->s.end + n > BYTES)
		return;
	put(f, n, rnd_below(&f->seed, 2) ? n : rnd_below(&f->seed, n + 1));
}

static void do_something(struct fix *f)
{
	struct flight *s = any(f);
	switch (rnd_below(&f->seed, 8)) {
	case 0:
		write_some(f);
		break;
	case 1:
	case 2: /* late ones, and again, too */
		if (s)
			ack(f, s);
		break;
	case 3:
		if (s && s->fate == FLYING)
			lose(f, s);
		break;
	case 4:
		if (!rnd_below(&f->seed, 40))
			cv_sndbuf_finish(&f->s);
		if (!rnd_below(&f->seed, 10))
			f->s.limit = BYTES;
		break;
	default:
		take(f, (uint32_t)rnd_below(&f->seed, 1500),
			rnd_below(&f->seed, 3000));
	}
}

static void finish(struct fix *f)
{
	cv_sndbuf_finish(&f->s);
	f->s.limit = BYTES;
	while (!cv_sndbuf_done(&f->s)) {
		while (take(f, 9000, BYTES))
			;
		bool moved = false;
		for (uint32_t i = 0; i < f->count; i++)
			if (f->sent[i].fate == FLYING) {
				ack(f, &f->sent[i]);
				moved = true;
			}
		assert_true(moved);
	}
	assert_int_equal(f->top, f->s.end);
	assert_true(f->fin_acked);
	assert_null(f->s.q.head);
	assert_int_equal(cv_sndbuf_held(&f->s), 0);
	assert_int_equal(cv_sndbuf_unsent(&f->s), 0);
	assert_false(cv_sndbuf_wants(&f->s, BYTES));
}

static void test_model(void **state)
{
	struct fix *f = *state;
	for (int round = 0; round < 60; round++) {
		start(f);
		for (int i = 0; i < 1500; i++) {
			do_something(f);
			assert_int_equal(f->s.base, f->top);
			if (i % 50 == 0)
				check_nothing_forgotten(f);
		}
		finish(f);
	}
}

/* memory fails now and then, for a while or altogether */
static void test_model_without_memory(void **state)
{
	struct fix *f = *state;
	for (int round = 0; round < 80; round++) {
		start(f);
		for (int i = 0; i < 1500; i++) {
			if (i % 20 == 0)
				f->mem.fail_all = rnd_below(&f->seed, 2);
			if (i % 30 == 0) /* what is free does not help either */
				cv_pool_clear(&f->pool);
			do_something(f);
			if (i % 50 == 0)
				check_nothing_forgotten(f);
		}
		f->mem.fail_all = round % 2;
		finish(f);
		f->mem.fail_all = false;
	}
}

/* every second piece of more of them than there may be ranges */
static void test_too_many_ranges(void **state)
{
	struct fix *f = *state;
	enum { N = 2 * CV_SNDBUF_RANGES + 400 };
	put_all(f, N * 10);
	while (take(f, 10, BYTES))
		;
	assert_int_equal(f->count, N);
	for (uint32_t i = 1; i < N; i += 2)
		ack(f, &f->sent[i]);
	assert_int_equal(f->s.acked.count, CV_SNDBUF_RANGES);
	check_nothing_forgotten(f);
	for (uint32_t i = 0; i < N; i += 2)
		lose(f, &f->sent[i]);
	check_nothing_forgotten(f);
	finish(f);
}

static void test_lost_before_fresh(void **state)
{
	struct fix *f = *state;
	put_all(f, 5000);
	for (int i = 0; i < 3; i++)
		take(f, 1000, BYTES);
	ack(f, &f->sent[1]);
	/* one loss over all three: what arrived is left out */
	cv_sndbuf_lost(&f->s, &f->env, 0, 3000, false);
	take(f, 1400, BYTES);
	take(f, 400, 0);
	take(f, 1400, 0);
	take(f, 1400, BYTES);
	static const struct cv_piece want[] = { { 0, 1000, false, true },
		{ 2000, 400, false, true }, { 2400, 600, false, true },
		{ 3000, 1400, false, false } };
	for (uint32_t i = 0; i < 4; i++) {
		const struct cv_piece *p = &f->sent[3 + i].p;
		assert_int_equal(p->offset, want[i].offset);
		assert_int_equal(p->len, want[i].len);
		assert_int_equal(p->again, want[i].again);
	}
}

/* found while it waits: a late acknowledgement takes it out */
static void test_found_again(void **state)
{
	struct fix *f = *state;
	put_all(f, 3000);
	for (int i = 0; i < 3; i++)
		take(f, 1000, BYTES);
	for (int i = 0; i < 3; i++)
		lose(f, &f->sent[i]);
	ack(f, &f->sent[1]);
	ack(f, &f->sent[0]);
	assert_int_equal(f->s.base, 2000);
	take(f, 9000, 0);
	assert_int_equal(f->sent[3].p.offset, 2000);
	assert_int_equal(f->sent[3].p.len, 1000);
	assert_false(take(f, 9000, 0));
}

/* without memory for what is lost, all between is; not what arrived in it */
static void test_rest(void **state)
{
	struct fix *f = *state;
	put_all(f, 5000);
	for (int i = 0; i < 5; i++)
		take(f, 1000, BYTES);
	f->mem.fail_all = true;
	lose(f, &f->sent[4]);
	lose(f, &f->sent[0]);
	lose(f, &f->sent[2]);
	f->mem.fail_all = false;
	ack(f, &f->sent[3]);
	ack(f, &f->sent[1]);
	for (int i = 0; i < 3; i++) {
		take(f, 9000, 0);
		assert_int_equal(f->sent[5 + i].p.offset, 2000 * i);
		assert_int_equal(f->sent[5 + i].p.len, 1000);
	}
	assert_false(take(f, 9000, 0));
}

/* a peer that has heard nothing: from the first byte on, and the end too */
static void test_again(void **state)
{
	struct fix *f = *state;
	put_all(f, 3000);
	cv_sndbuf_finish(&f->s);
	for (int i = 0; i < 3; i++)
		take(f, 1000, BYTES);
	lose(f, &f->sent[1]);
	cv_sndbuf_again(&f->s, &f->env);
	assert_int_equal(cv_sndbuf_unsent(&f->s), 3000);
	for (int i = 0; i < 3; i++) {
		take(f, 1000, BYTES);
		assert_int_equal(f->sent[3 + i].p.offset, 1000 * i);
		assert_int_equal(f->sent[3 + i].p.len, 1000);
		assert_false(f->sent[3 + i].p.again);
		assert_int_equal(f->sent[3 + i].p.fin, i == 2);
	}
	assert_false(cv_sndbuf_wants(&f->s, BYTES));
}

static void test_windows(void **state)
{
	struct fix *f = *state;
	put_all(f, 3000);
	f->s.limit = 1000;
	assert_false(take(f, 9000, 0));
	assert_true(take(f, 9000, 300));
	assert_int_equal(cv_sndbuf_unsent(&f->s), 2700);
	assert_true(take(f, 9000, 3000));
	assert_int_equal(f->s.next, 1000);
	assert_false(take(f, 9000, 3000));
	f->s.limit = 500; /* is not taken back, but does no harm */
	assert_false(take(f, 9000, 3000));
	cv_sndbuf_finish(&f->s);
	assert_false(take(f, 9000, 3000)); /* no end before the bytes */
	assert_int_equal(cv_sndbuf_held(&f->s), 3000);
}

static void test_end(void **state)
{
	struct fix *f = *state;
	put_all(f, 100);
	assert_false(take(f, 0, BYTES));
	take(f, 100, BYTES);
	assert_false(f->sent[0].p.fin);
	assert_false(take(f, 0, BYTES));
	cv_sndbuf_finish(&f->s);
	assert_true(take(f, 0, 0));
	assert_false(f->sent[1].p.again);
	assert_false(take(f, 0, 0));
	lose(f, &f->sent[1]);
	lose(f, &f->sent[0]);
	assert_true(take(f, 0, 0)); /* without bytes, though some wait */
	assert_true(f->sent[2].p.again);
	assert_true(take(f, 100, 0));
	assert_true(f->sent[3].p.fin);
	ack(f, &f->sent[2]);
	assert_false(cv_sndbuf_done(&f->s));
	lose(f, &f->sent[3]);
	assert_true(take(f, 100, 0));
	assert_false(f->sent[4].p.fin);
	ack(f, &f->sent[4]);
	assert_true(cv_sndbuf_done(&f->s));
}

static void test_empty_stream(void **state)
{
	struct fix *f = *state;
	assert_false(cv_sndbuf_wants(&f->s, BYTES));
	assert_false(cv_sndbuf_done(&f->s));
	finish(f);
	assert_int_equal(f->count, 1);
	assert_int_equal(f->mem.calls, 0);
}

/* small ones for who writes little, large ones for who fills them */
static void test_sizes(void **state)
{
	struct fix *f = *state;
	size_t len = 65536;
	assert_non_null(cv_sndbuf_room(&f->s, &f->pool, &len));
	assert_int_equal(len, CV_SMALL);
	cv_sndbuf_wrote(&f->s, &f->pool, 0);
	assert_null(f->s.q.head);
	assert_int_equal(put(f, 65536, 65536), CV_SMALL);
	assert_int_equal(put(f, 65536, 65536), 65536);
	assert_int_equal(put(f, 65536, 10), 10); /* the few left are passed */
	assert_int_equal(put(f, 65536, 65536), 65536);
	assert_int_equal(put(f, 65536, 0), 0);
	assert_int_equal(put(f, 65536, 65536), CV_SMALL);
	assert_int_equal(put(f, 40, 40), 40); /* keen, but on little */
	assert_int_equal(f->s.q.tail->cap, f->s.q.head->cap);
	cv_pool_clear(&f->pool);
	f->pool.max = f->pool.bytes / 2 * 3;
	f->s.keen = true; /* no large one, but a small one */
	assert_int_equal(put(f, 65536, 65536), CV_SMALL - 40);
	assert_int_equal(put(f, 65536, 65536), CV_SMALL);
	f->pool.max = f->pool.bytes; /* what is left is not for it */
	assert_true(cv_pool_low(&f->pool));
	assert_int_equal(put(f, 65536, 65536), 0);
	finish(f);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_model),
		T(test_model_without_memory),
		T(test_too_many_ranges),
		T(test_lost_before_fresh),
		T(test_found_again),
		T(test_rest),
		T(test_again),
		T(test_windows),
		T(test_end),
		T(test_empty_stream),
		T(test_sizes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
