/* SPDX-License-Identifier: MIT */
/* test_parts.c - datagrams put together, whatever order their parts have */
#include "core/parts.h"
#include "unit/check.h"
#include "unit/env.h"

enum { FLOW = 3, SIZE = 40000, MOST = 80 };

struct box {
	struct mem mem;
	struct cv_env env;
	struct cv_pool pool;
	struct cv_parts p;
	struct cv_buf *whole; /* the last that was completed */
	cv_time now;
	uint64_t seed;
	uint8_t bytes[CV_DGRAM_MAX];
};

static struct box *box_new(void)
{
	struct box *b = calloc(1, sizeof *b);
	assert_non_null(b);
	b->env = mem_env(&b->mem, 1);
	cv_pool_init(&b->pool, &b->env, CV_MEMORY);
	b->now = CV_SEC(9);
	b->seed = 7;
	rnd_fill(&b->seed, b->bytes, sizeof b->bytes);
	return b;
}

/* buffers that are not free */
static size_t held(const struct box *b)
{
	return b->mem.blocks - b->pool.nsmall - b->pool.nlarge;
}

static void box_free(struct box *b)
{
	cv_parts_clear(&b->p, &b->pool);
	assert_int_equal(held(b), 0);
	cv_pool_clear(&b->pool);
	assert_int_equal(b->mem.blocks, 0);
	free(b);
}

static struct cv_frame frame(
	struct box *b, uint64_t number, uint32_t size, uint32_t from)
{
	return (struct cv_frame){ .type = CV_FRAME_PART,
		.flow = FLOW,
		.taken = number,
		.seg = size,
		.value = from,
		.data = b->bytes + from };
}

static int add_frame(struct box *b, const struct cv_frame *f)
{
	struct cv_buf *w = NULL;
	int r = cv_parts_add(&b->p, &b->pool, f, b->now, &w);
	assert_int_equal(r == 1, w != NULL);
	if (!w)
		return r;
	assert_int_equal(w->len, f->seg);
	assert_memory_equal(cv_buf_data(w), b->bytes, w->len);
	cv_buf_free(&b->pool, w);
	return r;
}

static int add(struct box *b, uint64_t number, uint32_t from, uint32_t len)
{
	struct cv_frame f = frame(b, number, SIZE, from);
	f.len = len;
	return add_frame(b, &f);
}

static void test_in_order(void **state)
{
	struct box *b = box_new();
	(void)state;
	for (uint64_t n = 0; n < 3000; n++) {
		assert_true(cv_parts_begins(&b->p, n));
		assert_int_equal(add(b, n, 0, 15000), 0);
		assert_false(cv_parts_begins(&b->p, n));
		assert_int_equal(held(b), 2);
		assert_int_equal(add(b, n, 15000, 15000), 0);
		assert_int_equal(add(b, n, 30000, 10000), 1);
		assert_false(cv_parts_begins(&b->p, n));
		assert_int_equal(held(b), 0);
	}
	assert_int_equal(b->p.lost, 0);
	box_free(b);
}

static void shuffle(struct box *b, uint32_t *v, uint32_t n)
{
	for (uint32_t i = n; i > 1; i--) {
		uint32_t k = (uint32_t)rnd_below(&b->seed, i), x = v[i - 1];
		v[i - 1] = v[k];
		v[k] = x;
	}
}

/* of any size, cut anywhere, in any order; and only the last completes it */
static void test_any_order(void **state)
{
	struct box *b = box_new();
	(void)state;
	for (uint64_t n = 0; n < 2000; n++) {
		uint32_t at[MOST + 1], order[MOST], count = 0, size;
		size = (uint32_t)(1 + rnd_below(&b->seed, CV_DGRAM_MAX));
		for (uint32_t x = 0; x < size && count < MOST; count++) {
			at[count] = x;
			order[count] = count;
			x += (uint32_t)(1 + rnd_below(&b->seed, 3000));
		}
		at[count] = size;
		shuffle(b, order, count);
		for (uint32_t i = 0; i < count; i++) {
			uint32_t k = order[i];
			struct cv_frame f = frame(b, n, size, at[k]);
			f.len = at[k + 1] - at[k];
			assert_int_equal(add_frame(b, &f), i == count - 1);
		}
		assert_int_equal(held(b), 0);
	}
	assert_int_equal(b->p.lost, 0);
	box_free(b);
}

/* as many at a time as there may be never mix */
static void test_interleaved(void **state)
{
	struct box *b = box_new();
	(void)state;
	for (uint32_t at = 0; at < SIZE; at += 1000) {
		for (uint64_t n = 0; n < CV_PARTS_DGRAMS; n++)
			assert_int_equal(
				add(b, 5 * n, at, 1000), at == SIZE - 1000);
	}
	assert_int_equal(b->p.lost, 0);
	box_free(b);
}

static void test_ends_anywhere(void **state)
{
	struct box *b = box_new();
	(void)state;
	/* in the middle of the queue, at its end, and what follows goes on */
	for (uint64_t n = 0; n < 3; n++)
		add(b, n, 0, 1000);
	assert_int_equal(add(b, 1, 1000, SIZE - 1000), 1);
	assert_int_equal(add(b, 2, 1000, SIZE - 1000), 1);
	add(b, 3, 0, 1000);
	assert_int_equal(b->p.q.count, 2);
	assert_int_equal(add(b, 0, 1000, SIZE - 1000), 1);
	assert_int_equal(add(b, 3, 1000, SIZE - 1000), 1);
	assert_null(b->p.q.head);
	assert_int_equal(b->p.q.bytes, 0);
	box_free(b);
}

static void test_smallest(void **state)
{
	struct box *b = box_new();
	(void)state;
	struct cv_frame f = frame(b, 1, 1, 0);
	f.len = 1;
	assert_int_equal(add_frame(b, &f), 1);
	assert_int_equal(held(b), 0);
	box_free(b);
}

/* every way to touch what was there; the datagram goes, for good */
static void test_overlaps(void **state)
{
	static const uint32_t bad[][2] = { { 10000, 5000 }, { 10000, 1 },
		{ 14999, 1 }, { 9999, 2 }, { 14999, 2 }, { 0, 40000 },
		{ 9000, 7000 }, { 12000, 10 }, { 24999, 5001 }, { 5000, 20000 },
		{ 15000, 15001 }, { 0, 10001 } };
	(void)state;
	for (size_t i = 0; i < CV_COUNT(bad); i++) {
		struct box *b = box_new();
		assert_int_equal(add(b, 1, 10000, 5000), 0);
		assert_int_equal(add(b, 1, 30000, 5000), 0);
		assert_int_equal(add(b, 1, 25000, 5000), 0);
		assert_int_equal(
			add(b, 1, bad[i][0], bad[i][1]), CULVERT_EPROTO);
		assert_int_equal(b->p.lost, 1);
		assert_int_equal(held(b), 0);
		assert_int_equal(add(b, 1, 0, 10000), 0);
		assert_int_equal(held(b), 0);
		assert_int_equal(b->p.lost, 1);
		box_free(b);
	}
}

static void test_contradictions(void **state)
{
	struct box *b = box_new();
	(void)state;
	add(b, 1, 0, 10);
	struct cv_frame f = frame(b, 1, SIZE - 1, 10);
	f.len = 10;
	assert_int_equal(add_frame(b, &f), CULVERT_EPROTO);
	add(b, 2, 0, 10);
	f = frame(b, 2, SIZE, 10);
	f.len = 10;
	f.flow++;
	assert_int_equal(add_frame(b, &f), CULVERT_EPROTO);
	assert_int_equal(b->p.lost, 2);
	assert_int_equal(held(b), 0);
	box_free(b);
}

static void test_too_many_pieces(void **state)
{
	struct box *b = box_new();
	(void)state;
	for (uint32_t i = 0; i < CV_PARTS_PIECES; i++)
		assert_int_equal(add(b, 1, 10 + 2 * i, 1), 0);
	assert_int_equal(b->p.lost, 0);
	/* one that joins two makes room */
	assert_int_equal(add(b, 1, 11, 1), 0);
	assert_int_equal(add(b, 1, 1000, 1), 0);
	assert_int_equal(b->p.lost, 0);
	assert_int_equal(add(b, 1, 2000, 1), 0);
	assert_int_equal(b->p.lost, 1);
	assert_int_equal(held(b), 0);
	box_free(b);
}

/* first parts without end: the oldest go, and memory has a bound */
static void test_endless_first_parts(void **state)
{
	struct box *b = box_new();
	(void)state;
	for (uint64_t n = 0; n < 5000; n++) {
		assert_int_equal(add(b, n, 0, 1000), 0);
		assert_true(held(b) <= 2 * CV_PARTS_DGRAMS);
	}
	assert_int_equal(b->p.lost, 5000 - CV_PARTS_DGRAMS);
	/* the newest are there, the one before is not */
	assert_int_equal(add(b, 4967, 1000, SIZE - 1000), 0);
	assert_int_equal(add(b, 4968, 1000, SIZE - 1000), 1);
	assert_int_equal(add(b, 4999, 1000, SIZE - 1000), 1);
	box_free(b);
}

static void test_age(void **state)
{
	struct box *b = box_new();
	(void)state;
	assert_true(cv_parts_deadline(&b->p) == CV_NEVER);
	add(b, 1, 0, 1000);
	cv_time first = b->now;
	b->now += 1000;
	add(b, 2, 0, 1000);
	b->now += 1000;
	add(b, 1, 1000, 1000); /* makes it no younger */
	assert_true(cv_parts_deadline(&b->p) == first + CV_PARTS_AGE);
	cv_parts_expire(&b->p, &b->pool, first + CV_PARTS_AGE - 1);
	assert_int_equal(b->p.lost, 0);
	cv_parts_expire(&b->p, &b->pool, first + CV_PARTS_AGE);
	assert_int_equal(b->p.lost, 1);
	assert_true(cv_parts_deadline(&b->p) == first + 1000 + CV_PARTS_AGE);
	assert_int_equal(add(b, 1, 2000, SIZE - 2000), 0);
	assert_int_equal(add(b, 2, 1000, SIZE - 1000), 1);
	assert_int_equal(b->p.lost, 1);
	box_free(b);
}

/* what is done with is known of the last numbers, whatever order they have */
static void test_window(void **state)
{
	struct box *b = box_new();
	const uint64_t base = 1 << 20, most = (UINT64_C(1) << 62) - 1;
	(void)state;
	cv_parts_skip(&b->p, base);
	assert_false(cv_parts_begins(&b->p, base));
	assert_true(cv_parts_begins(&b->p, base - 1));
	assert_true(cv_parts_begins(&b->p, base + 1));
	assert_true(cv_parts_begins(&b->p, base - CV_PARTS_WINDOW + 1));
	assert_false(cv_parts_begins(&b->p, base - CV_PARTS_WINDOW));
	cv_parts_skip(&b->p, base - CV_PARTS_WINDOW); /* too old to note */
	cv_parts_skip(&b->p, base + CV_PARTS_WINDOW - 1);
	assert_false(cv_parts_begins(&b->p, base));
	for (uint64_t n = base + 1; n < base + CV_PARTS_WINDOW - 1; n++)
		assert_true(cv_parts_begins(&b->p, n));
	cv_parts_skip(&b->p, most);
	assert_false(cv_parts_begins(&b->p, most));
	assert_true(cv_parts_begins(&b->p, most - 1));
	assert_false(cv_parts_begins(&b->p, base));
	box_free(b);
}

/* one that is being put together is, however old its number has become */
static void test_overtaken(void **state)
{
	struct box *b = box_new();
	(void)state;
	add(b, 1, 0, 1000);
	cv_parts_skip(&b->p, 1000000);
	assert_int_equal(add(b, 2, 0, 1000), 0);
	assert_int_equal(held(b), 2);
	assert_int_equal(add(b, 1, 1000, SIZE - 1000), 1);
	box_free(b);
}

static void test_no_memory(void **state)
{
	struct box *b = box_new();
	(void)state;
	for (unsigned i = 1; i <= 2; i++) {
		b->mem.fail_at = b->mem.calls + i;
		assert_int_equal(add(b, i, 0, 10), CULVERT_ENOMEM);
		assert_int_equal(held(b), 0);
		cv_pool_clear(&b->pool);
		b->mem.fail_at = 0;
		assert_int_equal(add(b, i, 10, 10), 0);
		assert_int_equal(held(b), 0);
	}
	assert_int_equal(b->p.lost, 0);
	box_free(b);
}

/* while memory is low nothing is begun, and what is begun goes on */
static void test_low(void **state)
{
	struct box *b = box_new();
	(void)state;
	add(b, 1, 0, 1000);
	size_t was = b->pool.max;
	b->pool.max = b->pool.bytes;
	assert_int_equal(add(b, 2, 0, 10), CULVERT_ENOMEM);
	assert_int_equal(add(b, 1, 1000, SIZE - 1000), 1);
	b->pool.max = was;
	assert_int_equal(add(b, 2, 10, 10), 0);
	assert_int_equal(held(b), 0);
	box_free(b);
}

static void test_clear(void **state)
{
	struct box *b = box_new();
	(void)state;
	add(b, 1, 0, 1000);
	add(b, 2, 0, 1000);
	cv_parts_clear(&b->p, &b->pool);
	assert_int_equal(held(b), 0);
	assert_int_equal(b->p.lost, 2);
	assert_true(cv_parts_begins(&b->p, 1));
	box_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_interleaved),
		cmocka_unit_test(test_ends_anywhere),
		cmocka_unit_test(test_smallest),
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_too_many_pieces),
		cmocka_unit_test(test_endless_first_parts),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_overtaken),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_low),
		cmocka_unit_test(test_clear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
