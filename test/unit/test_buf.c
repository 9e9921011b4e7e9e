/* SPDX-License-Identifier: MIT */
/* test_buf.c - buffers, their pool and its ceiling, queues */
#include "unit/check.h"

#include "core/buf.h"
#include "unit/env.h"

struct fix {
	struct mem mem;
	struct cv_env env;
	struct cv_pool pool;
};

static void begin(struct fix *f, size_t max)
{
	f->env = mem_env(&f->mem, 1);
	cv_pool_init(&f->pool, &f->env, max);
}

static void finish(struct fix *f)
{
	cv_pool_clear(&f->pool);
	assert_int_equal(f->mem.blocks, 0);
	assert_int_equal(f->mem.bytes, 0);
	assert_int_equal(f->pool.bytes, 0);
}

static void test_room(void **state)
{
	struct fix f;
	(void)state;
	begin(&f, 1 << 20);
	struct cv_buf *s = cv_buf_small(&f.pool), *l = cv_buf_large(&f.pool);
	assert_int_equal(cv_buf_room(s), CV_SMALL);
	assert_int_equal(cv_buf_room(l), CV_FRAMES_MAX);
	assert_ptr_equal(cv_buf_data(s), s->data + CV_HEADROOM);
	assert_ptr_equal(cv_buf_end(s), cv_buf_data(s));
	s->len = 10;
	assert_ptr_equal(cv_buf_end(s), cv_buf_data(s) + 10);
	assert_int_equal(cv_buf_room(s), CV_SMALL - 10);
	/* head, packet and tag in full */
	memset(l->data, 1, l->cap);
	cv_buf_free(&f.pool, s);
	cv_buf_free(&f.pool, l);
	cv_buf_free(&f.pool, NULL);
	finish(&f);
}

static void test_used_again_and_clean(void **state)
{
	struct fix f;
	(void)state;
	begin(&f, 1 << 20);
	struct cv_buf *l = cv_buf_large(&f.pool);
	l->off = l->len = l->dgrams = l->sent = 7;
	l->time = 7;
	cv_buf_free(&f.pool, l);
	assert_ptr_equal(cv_buf_large(&f.pool), l);
	assert_int_equal(f.pool.allocs, 1);
	assert_int_equal(l->off, CV_HEADROOM);
	assert_int_equal(l->len + l->dgrams + l->sent, 0);
	assert_int_equal(l->time, 0);
	assert_null(l->next);
	cv_buf_free(&f.pool, l);
	/* a free large one is no small one */
	struct cv_buf *s = cv_buf_small(&f.pool);
	assert_ptr_not_equal(s, l);
	cv_buf_free(&f.pool, s);
	finish(&f);
}

static void test_ceiling(void **state)
{
	enum { MAX = 1 << 20 };
	struct fix f;
	struct cv_bufq q = { 0 };
	struct cv_buf *b;
	(void)state;
	begin(&f, MAX);
	while ((b = cv_buf_large(&f.pool)))
		cv_bufq_push(&q, b);
	while ((b = cv_buf_small(&f.pool)))
		cv_bufq_push(&q, b);
	assert_true(f.mem.bytes <= MAX);
	assert_true(f.mem.bytes > MAX - 2 * CV_SMALL);
	assert_int_equal(f.mem.bytes, f.pool.bytes);
	uint64_t calls = f.mem.calls;
	assert_null(cv_buf_small(&f.pool));
	assert_int_equal(f.mem.calls, calls); /* not even asked */
	cv_bufq_clear(&q, &f.pool);
	b = cv_buf_large(&f.pool);
	assert_non_null(b);
	cv_buf_free(&f.pool, b);
	finish(&f);
}

static void test_no_memory(void **state)
{
	struct fix f;
	(void)state;
	begin(&f, 1 << 20);
	f.mem.fail_all = true;
	assert_null(cv_buf_small(&f.pool));
	assert_null(cv_buf_large(&f.pool));
	assert_int_equal(f.pool.bytes, 0);
	finish(&f);
}

/* what was needed since the last trim stays, the rest goes */
static void test_trim(void **state)
{
	struct fix f;
	struct cv_buf *b[10];
	(void)state;
	begin(&f, 1 << 20);
	assert_false(cv_pool_trim(&f.pool));
	for (int i = 0; i < 10; i++)
		b[i] = cv_buf_large(&f.pool);
	for (int i = 0; i < 10; i++)
		cv_buf_free(&f.pool, b[i]);
	assert_true(cv_pool_trim(&f.pool)); /* all were needed */
	assert_int_equal(f.mem.blocks, 10);
	for (int i = 0; i < 3; i++)
		b[i] = cv_buf_large(&f.pool);
	for (int i = 0; i < 3; i++)
		cv_buf_free(&f.pool, b[i]);
	assert_true(cv_pool_trim(&f.pool)); /* seven were not */
	assert_int_equal(f.mem.blocks, 3);
	assert_false(cv_pool_trim(&f.pool));
	assert_int_equal(f.mem.blocks, 0);
	finish(&f);
}

/* against an array */
static void test_queue(void **state)
{
	struct fix f;
	struct cv_bufq q = { 0 };
	struct cv_buf *model[64], *b;
	uint32_t n = 0;
	uint64_t seed = 4;
	(void)state;
	begin(&f, 1 << 20);
	assert_null(cv_bufq_pop(&q));
	for (int i = 0; i < 100000; i++) {
		size_t bytes = 0;
		uint64_t what = rnd_below(&seed, 3);
		if (what && n < 64) {
			b = cv_buf_small(&f.pool);
			b->len = (uint32_t)rnd_below(&seed, CV_SMALL);
			cv_bufq_push(&q, b);
			model[n++] = b;
		} else if (n) {
			b = cv_bufq_pop(&q);
			assert_ptr_equal(b, model[0]);
			assert_null(b->next);
			memmove(model, model + 1, --n * sizeof *model);
			cv_buf_free(&f.pool, b);
		}
		for (uint32_t k = 0; k < n; k++)
			bytes += model[k]->len;
		assert_int_equal(q.count, n);
		assert_int_equal(q.bytes, bytes);
		assert_ptr_equal(q.head, n ? model[0] : NULL);
		assert_ptr_equal(q.tail, n ? model[n - 1] : NULL);
	}
	cv_bufq_clear(&q, &f.pool);
	assert_int_equal(q.count, 0);
	assert_int_equal(q.bytes, 0);
	finish(&f);
}

static void test_scarce(void **state)
{
	struct mem mem;
	struct cv_env env = mem_env(&mem, 1);
	struct cv_pool p;
	struct cv_buf *b[16];
	int n = 0;
	(void)state;
	cv_pool_init(&p, &env, 16 * CV_FRAMES_MAX);
	while (!cv_pool_scarce(&p))
		assert_non_null(b[n++] = cv_buf_large(&p));
	assert_in_range(n, 12, 13);
	/* what is kept for later is not in use */
	cv_buf_free(&p, b[--n]);
	assert_false(cv_pool_scarce(&p));
	while (n)
		cv_buf_free(&p, b[--n]);
	cv_pool_clear(&p);
	assert_int_equal(mem.blocks, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_used_again_and_clean),
		cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_scarce),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
