/* SPDX-License-Identifier: MIT */
/* test_rcvbuf.c - bytes in any order in, the same bytes in order out */
#include "unit/check.h"

#include "core/rcvbuf.h"
#include "unit/env.h"

enum { BYTES = 1 << 19, WINDOW = 300000 };

struct fix {
	struct mem mem;
	struct cv_env env;
	struct cv_pool pool;
	struct cv_rcvbuf r;
	struct cv_bufq spent;
	uint8_t bytes[BYTES];
	bool in[BYTES]; /* taken in: it has to come out */
	uint64_t seed, out, end, highest;
	uint64_t direct, failed; /* times */
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	assert_non_null(f);
	f->env = mem_env(&f->mem, 3);
	f->seed = 99;
	rnd_fill(&f->seed, f->bytes, sizeof f->bytes);
	cv_pool_init(&f->pool, &f->env, 8 << 20);
	cv_rcvbuf_init(&f->r, WINDOW);
	f->end = BYTES;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	cv_bufq_clear(&f->spent, &f->pool);
	cv_rcvbuf_clear(&f->r, &f->env, &f->pool);
	cv_pool_clear(&f->pool);
	size_t left = f->mem.blocks;
	free(f);
	return left ? -1 : 0;
}

static void come_out(struct fix *f, const uint8_t *p, size_t n)
{
	assert_memory_equal(p, f->bytes + f->out, n);
	for (size_t i = 0; i < n; i++)
		assert_true(f->in[f->out + i] || f->failed);
	f->out += n;
	cv_rcvbuf_advance(&f->r, n, &f->spent);
	/* spent or not, it lies there until it is freed */
	assert_memory_equal(p, f->bytes + f->out - n, n);
	cv_bufq_clear(&f->spent, &f->pool);
	assert_int_equal(f->r.next, f->out);
}

/* what is ready, or at random a part of it */
static void drain(struct fix *f, bool all)
{
	const uint8_t *p;
	size_t n = 12345;
	while ((p = cv_rcvbuf_ready(&f->r, &n))) {
		assert_true(n > 0);
		if (!all)
			n = 1 + rnd_below(&f->seed, n);
		come_out(f, p, n);
		if (!all && rnd_below(&f->seed, 2))
			return;
		n = 12345;
	}
	assert_int_equal(n, 12345);
	assert_true(f->out == f->end || !f->in[f->out]);
}

static int put(struct fix *f, uint64_t at, uint32_t len)
{
	int err = cv_rcvbuf_put(&f->r, &f->pool, at, f->bytes + at, len);
	if (!err)
		memset(f->in + at, 1, len);
	else
		f->failed++;
	return err;
}

static void look_at_ranges(struct fix *f)
{
	uint64_t n = 0;
	for (uint64_t i = f->out; i < f->end; i++) {
		n += f->in[i];
		/* of what failed, more may be there than is known */
		assert_true(!f->in[i] || cv_ranges_has(&f->r.got, i));
	}
	if (!f->failed)
		assert_int_equal(n, cv_ranges_bytes(&f->r.got));
}

static void arrive(struct fix *f, uint64_t at, uint32_t len, bool open)
{
	bool fin = at + len == f->end;
	int64_t rise = cv_rcvbuf_check(&f->r, at, len, fin);
	uint64_t was = f->highest;
	if (at + len > was)
		f->highest = at + len;
	assert_int_equal(rise, f->highest - was);
	assert_int_equal(f->r.highest, f->highest);
	int64_t skip = open ? cv_rcvbuf_direct(&f->r, at, len) : -1;
	if (skip < 0) {
		put(f, at, len);
		return;
	}
	assert_int_equal(skip, f->out - at);
	assert_true(skip < len);
	memset(f->in + at, 1, len);
	f->direct++;
	come_out(f, f->bytes + at + skip, len - (size_t)skip);
}

static void arrive_any(struct fix *f, bool open)
{
	static const uint32_t size[] = { 0, 1, 9, 100, 500, 1400, 1400, 9000 };
	uint64_t at = f->out;
	uint32_t len = size[rnd_below(&f->seed, CV_COUNT(size))];
	if (!rnd_below(&f->seed, 60))
		len = CV_BLOCK;
	if (rnd_below(&f->seed, 3)) /* ahead, or old */
		at += rnd_below(&f->seed, 150000);
	if (rnd_below(&f->seed, 2))
		at -= rnd_below(&f->seed, at < 3000 ? at + 1 : 3000);
	if (at > f->end)
		at = f->end;
	if (len > f->end - at)
		len = (uint32_t)(f->end - at);
	arrive(f, at, len, open);
}

static void start(struct fix *f)
{
	cv_rcvbuf_clear(&f->r, &f->env, &f->pool);
	cv_rcvbuf_init(&f->r, WINDOW);
	memset(f->in, 0, sizeof f->in);
	f->out = f->highest = f->failed = 0;
	f->end = BYTES - rnd_below(&f->seed, BYTES - 1);
}

/* everything once more, from the front: that needs no memory */
static void finish(struct fix *f)
{
	f->r.limit = BYTES;
	drain(f, true);
	while (f->out < f->end) {
		uint64_t left = f->end - f->out, was = f->out;
		arrive(f, f->out, left < 1400 ? (uint32_t)left : 1400, true);
		drain(f, true);
		assert_true(f->out > was);
	}
	assert_int_equal(cv_rcvbuf_check(&f->r, f->end, 0, true), 0);
	assert_true(cv_rcvbuf_complete(&f->r));
	assert_null(f->r.q.head);
	assert_null(f->r.q.tail);
	assert_null(f->r.at);
}

static void round_of(struct fix *f, bool fails)
{
	start(f);
	for (int i = 0; i < 300 && f->out < f->end; i++) {
		if (fails && i % 10 == 0) {
			f->mem.fail_all = rnd_below(&f->seed, 2);
			cv_pool_clear(&f->pool);
		}
		f->r.limit = f->out + WINDOW;
		arrive_any(f, rnd_below(&f->seed, 2));
		if (rnd_below(&f->seed, 3) == 0)
			drain(f, rnd_below(&f->seed, 2));
		if (i % 50 == 0)
			look_at_ranges(f);
	}
	finish(f);
	f->mem.fail_all = false;
}

static void test_model(void **state)
{
	struct fix *f = *state;
	for (int i = 0; i < 60; i++) {
		round_of(f, false);
		assert_int_equal(f->failed, 0);
	}
	assert_true(f->direct > 500);
}

static void test_model_without_memory(void **state)
{
	struct fix *f = *state;
	uint64_t failed = 0;
	for (int i = 0; i < 60; i++) {
		round_of(f, true);
		failed += f->failed;
	}
	assert_true(failed > 500);
}

static void test_too_many_ranges(void **state)
{
	struct fix *f = *state;
	for (uint32_t i = 0; i < CV_RCVBUF_RANGES; i++)
		assert_int_equal(put(f, 10 + i * 20, 10), 0);
	uint64_t at = 10 + CV_RCVBUF_RANGES * 20;
	assert_int_equal(put(f, at, 10), CULVERT_EFULL);
	assert_int_equal(put(f, 20, 10), 0); /* closes a gap */
	assert_int_equal(put(f, at, 10), 0);
	look_at_ranges(f);
	finish(f);
}

/* over the edge of a block whose second one cannot be had */
static void test_half_stored(void **state)
{
	struct fix *f = *state;
	size_t n;
	f->mem.fail_at = f->mem.calls + 3; /* block, ranges, block */
	uint64_t at = CV_BLOCK - 100;
	assert_int_equal(put(f, at, 200), CULVERT_ENOMEM);
	assert_int_equal(cv_ranges_bytes(&f->r.got), 100);
	assert_int_equal(put(f, at, 200), 0);
	assert_int_equal(cv_ranges_bytes(&f->r.got), 200);
	assert_null(cv_rcvbuf_ready(&f->r, &n));
	assert_int_equal(put(f, 0, CV_BLOCK), 0);
	assert_non_null(cv_rcvbuf_ready(&f->r, &n));
	assert_int_equal(n, CV_BLOCK); /* a block at a time */
	finish(f);
}

/* blocks come in any order, and lie in order of their numbers */
static void test_order_of_blocks(void **state)
{
	static const uint64_t number[] = { 3, 1, 4, 2, 0 };
	struct fix *f = *state;
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(put(f, number[i] * CV_BLOCK + 7, 20), 0);
	uint64_t n = 0;
	for (struct cv_buf *b = f->r.q.head; b; b = b->next)
		assert_int_equal(b->time, n++);
	assert_int_equal(n, 5);
	assert_int_equal(f->r.q.count, 5);
	assert_int_equal(f->r.q.tail->time, 4);
	/* a step over three of them gives all three */
	cv_rcvbuf_advance(&f->r, 3 * CV_BLOCK, &f->spent);
	assert_int_equal(f->spent.count, 3);
	assert_int_equal(f->r.q.count, 2);
	cv_rcvbuf_advance(&f->r, 2 * CV_BLOCK, &f->spent);
	assert_int_equal(f->spent.count, 5);
}

static void test_direct(void **state)
{
	struct fix *f = *state;
	cv_rcvbuf_advance(&f->r, 1000, &f->spent);
	assert_int_equal(cv_rcvbuf_direct(&f->r, 1000, 10), 0);
	assert_int_equal(cv_rcvbuf_direct(&f->r, 900, 110), 100);
	assert_int_equal(cv_rcvbuf_direct(&f->r, 900, 101), 100);
	assert_int_equal(cv_rcvbuf_direct(&f->r, 900, 100), -1);
	assert_int_equal(cv_rcvbuf_direct(&f->r, 1000, 0), -1);
	assert_int_equal(cv_rcvbuf_direct(&f->r, 1001, 10), -1);
	/* behind a gap: the gap itself may still be closed */
	assert_int_equal(put(f, 1010, 10), 0);
	assert_int_equal(cv_rcvbuf_direct(&f->r, 1000, 10), 0);
	assert_int_equal(cv_rcvbuf_direct(&f->r, 1000, 15), 0);
	/* not past what waits already */
	assert_int_equal(put(f, 1000, 5), 0);
	assert_int_equal(cv_rcvbuf_direct(&f->r, 1000, 10), -1);
	/* what is old is not stored */
	assert_int_equal(put(f, 0, 1000), 0);
	assert_int_equal(cv_ranges_bytes(&f->r.got), 15);
}

static void test_check(void **state)
{
	struct fix *f = *state;
	struct cv_rcvbuf *r = &f->r;
	assert_int_equal(cv_rcvbuf_check(r, 0, 100, false), 100);
	assert_int_equal(cv_rcvbuf_check(r, 50, 50, false), 0);
	assert_int_equal(cv_rcvbuf_check(r, 200, 0, false), 100);
	assert_int_equal(
		cv_rcvbuf_check(r, WINDOW - 9, 10, false), CULVERT_EPROTO);
	assert_int_equal(
		cv_rcvbuf_check(r, WINDOW + 1, 0, false), CULVERT_EPROTO);
	assert_int_equal(cv_rcvbuf_check(r, UINT64_MAX, UINT32_MAX, true),
		CULVERT_EPROTO);
	assert_int_equal(cv_rcvbuf_check(r, 100, 99, true), CULVERT_EPROTO);
	assert_int_equal(r->highest, 200);
	assert_true(r->final == UINT64_MAX);
	assert_int_equal(cv_rcvbuf_check(r, 100, 200, true), 100);
	assert_int_equal(r->final, 300);
	assert_int_equal(cv_rcvbuf_check(r, 300, 0, true), 0);
	assert_int_equal(cv_rcvbuf_check(r, 290, 10, false), 0);
	assert_int_equal(cv_rcvbuf_check(r, 300, 1, false), CULVERT_EPROTO);
	assert_int_equal(cv_rcvbuf_check(r, 300, 1, true), CULVERT_EPROTO);
	assert_int_equal(cv_rcvbuf_check(r, 0, 299, true), CULVERT_EPROTO);
	assert_int_equal(r->final, 300);
	assert_false(cv_rcvbuf_complete(r));
	cv_rcvbuf_advance(r, 300, &f->spent);
	assert_true(cv_rcvbuf_complete(r));
}

/* a window may be filled to its last byte */
static void test_full_window(void **state)
{
	struct fix *f = *state;
	assert_int_equal(cv_rcvbuf_check(&f->r, WINDOW - 5, 5, true), WINDOW);
	assert_false(cv_rcvbuf_complete(&f->r));
	cv_rcvbuf_init(&f->r, 0);
	assert_int_equal(cv_rcvbuf_check(&f->r, 0, 0, true), 0);
	assert_true(cv_rcvbuf_complete(&f->r));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_model),
		T(test_model_without_memory),
		T(test_too_many_ranges),
		T(test_half_stored),
		T(test_order_of_blocks),
		T(test_direct),
		T(test_check),
		T(test_full_window),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
