/* SPDX-License-Identifier: MIT */
/* test_frameq.c - datagrams into chunks, out again as frames, or aged */
#include "unit/check.h"

#include "core/frameq.h"
#include "unit/env.h"

#define AGE CV_MS(50)

static struct {
	struct mem mem;
	struct cv_env env;
	struct cv_pool pool;
	struct cv_bufq q;
	uint64_t drop[CV_DROP_N];
	cv_time now;
} f;

static uint8_t bytes[CV_DGRAM_MAX];

static int setup(void **state)
{
	(void)state;
	memset(&f, 0, sizeof f);
	f.env = mem_env(&f.mem, 7);
	f.now = CV_SEC(5000);
	cv_pool_init(&f.pool, &f.env, 64 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cv_bufq_clear(&f.q, &f.pool);
	cv_pool_clear(&f.pool);
	return f.mem.blocks ? -1 : 0;
}

/* a datagram, or a train of them, whose first byte is @mark */
static uint64_t put(
	uint32_t seg, uint32_t len, uint8_t mark, enum cv_frameq_mode mode)
{
	struct cv_frame t = { .seg = seg, .len = len, .data = bytes };
	bytes[0] = mark;
	return cv_frameq_put(&f.q, &f.pool, &t, mode, f.now);
}

/* the next datagram of the queue's bytes: its length, or -1 at the end */
static int take(uint8_t *mark)
{
	struct cv_buf *b = f.q.head;
	if (!b)
		return -1;
	const uint8_t *p = cv_buf_data(b) + b->sent;
	uint32_t len = cv_get16(p);
	if (len)
		*mark = p[CV_FRAMING_HEAD];
	b->sent += CV_FRAMING_HEAD + len;
	assert_true(b->sent <= b->len);
	if (b->sent == b->len)
		cv_buf_free(&f.pool, cv_bufq_pop(&f.q));
	return (int)len;
}

static void test_frames(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 1472, 9000, CV_DGRAM_MAX, 0,
		CV_DGRAM_MAX, 3 };
	uint8_t mark = 0;
	(void)state;
	for (unsigned i = 0; i < CV_COUNT(sizes); i++)
		assert_int_equal(
			put(sizes[i], sizes[i], (uint8_t)i, CV_FRAMEQ_FLOWS),
			0);
	for (unsigned i = 0; i < CV_COUNT(sizes); i++) {
		assert_int_equal(take(&mark), sizes[i]);
		assert_true(!sizes[i] || mark == i);
	}
	assert_int_equal(take(&mark), -1);
}

static void test_train(void **state)
{
	uint8_t mark = 0;
	(void)state;
	for (uint32_t i = 0; i < 65; i++)
		bytes[i * 1000] = (uint8_t)i;
	assert_int_equal(put(1000, 64500, 0, CV_FRAMEQ_FLOWS), 0);
	for (uint32_t i = 0; i < 65; i++) {
		assert_int_equal(take(&mark), i < 64 ? 1000 : 500);
		assert_int_equal(mark, i);
	}
	assert_int_equal(take(&mark), -1);
}

enum { MANY = 1 << 16 };

/* every datagram ever put: its number is in its first bytes */
static struct {
	uint32_t len;
	cv_time at;
} list[MANY];

static uint32_t put_numbered(uint64_t *seed, uint32_t number)
{
	uint32_t seg = 4 + (uint32_t)rnd_below(seed, 2000);
	uint32_t n = 1 + (uint32_t)rnd_below(seed, 30);
	struct cv_frame t = { .seg = seg, .len = seg * n, .data = bytes };
	for (uint32_t i = 0; i < n; i++, number++) {
		cv_put32(bytes + i * seg, number);
		list[number].len = seg;
		list[number].at = f.now;
	}
	enum cv_frameq_mode mode =
		rnd_below(seed, 2) ? CV_FRAMEQ_FLOWS : CV_FRAMEQ_BLOCKED;
	assert_int_equal(cv_frameq_put(&f.q, &f.pool, &t, mode, f.now), 0);
	return n;
}

/* what is taken: the number, and that it is whole and in order */
static uint32_t take_numbered(uint32_t least)
{
	struct cv_buf *b = f.q.head;
	bool begun = b->sent != 0;
	const uint8_t *p = cv_buf_data(b) + b->sent;
	uint32_t number = cv_get32(p + CV_FRAMING_HEAD);
	uint8_t mark;
	assert_in_range(number, least, MANY);
	assert_int_equal(cv_get16(p), list[number].len);
	/* the rest of a chunk that was begun has to go on */
	assert_true(begun || list[number].at >= f.now - AGE);
	take(&mark);
	return number;
}

/* random trains, taken and aged at random: nothing is late, nothing is lost
   that is not counted */
static void test_model(void **state)
{
	uint32_t in = 0, next = 0, taken = 0;
	uint64_t seed = 5;
	(void)state;
	while (in < MANY - 100) {
		in += put_numbered(&seed, in);
		f.now += rnd_below(&seed, 4000);
		cv_frameq_expire(&f.q, &f.pool, f.now - AGE, f.drop);
		for (uint64_t i = rnd_below(&seed, 30); i && f.q.head; i--) {
			next = take_numbered(next) + 1;
			taken++;
		}
	}
	while (f.q.head) {
		cv_frameq_expire(&f.q, &f.pool, f.now - AGE, f.drop);
		next = take_numbered(next) + 1;
		taken++;
	}
	assert_int_equal(taken + f.drop[CV_DROP_AGED], in);
	assert_true(taken > 1000 && f.drop[CV_DROP_AGED] > 1000);
}

static void test_age(void **state)
{
	uint8_t mark = 0;
	(void)state;
	for (uint8_t i = 0; i < 10; i++, f.now += CV_MS(10))
		put(100, 100, i, CV_FRAMEQ_BLOCKED);
	cv_frameq_expire(&f.q, &f.pool, f.now - AGE, f.drop);
	assert_int_equal(f.drop[CV_DROP_AGED], 5);
	assert_int_equal(take(&mark), 100);
	assert_int_equal(mark, 5);
}

/* what is on the wire in part has to go on */
static void test_begun(void **state)
{
	uint8_t mark = 0;
	(void)state;
	put(100, 100, 1, CV_FRAMEQ_BLOCKED);
	f.now += CV_MS(10);
	put(100, 100, 2, CV_FRAMEQ_BLOCKED);
	f.now += CV_MS(10);
	put(100, 100, 3, CV_FRAMEQ_BLOCKED);
	f.q.head->sent = 1;
	cv_frameq_expire(&f.q, &f.pool, f.now, f.drop);
	assert_int_equal(f.drop[CV_DROP_AGED], 1);
	assert_int_equal(f.q.count, 2);
	assert_int_equal(f.q.head->sent, 1);
	f.q.head->sent = 0;
	take(&mark);
	assert_int_equal(mark, 1);
	take(&mark);
	assert_int_equal(mark, 3);
}

static void test_ceiling(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++, f.now += CV_MS(2)) {
		put(CV_DGRAM_MAX, CV_DGRAM_MAX, 1, CV_FRAMEQ_BLOCKED);
		cv_frameq_expire(&f.q, &f.pool, 0, f.drop);
		assert_true(f.q.bytes <= CV_TXQ_BYTES);
	}
	assert_true(f.drop[CV_DROP_QUEUE_FULL] > 0);
	assert_int_equal(f.drop[CV_DROP_QUEUE_FULL] + f.q.count, 200);
}

/* an idle connection holds little, a slow one ages in small pieces */
static void test_sizes_of_chunks(void **state)
{
	(void)state;
	put(400, 400, 1, CV_FRAMEQ_FLOWS);
	assert_true(f.q.head->cap < 1000);
	put(400, 400, 2, CV_FRAMEQ_FLOWS);
	assert_true(f.q.tail->cap > CV_DGRAM_MAX);
	f.now += CV_MS(5);
	for (int i = 0; i < 64; i++)
		put(1000, 1000, 3, CV_FRAMEQ_BLOCKED);
	for (struct cv_buf *b = f.q.head; b; b = b->next)
		assert_true(b->len < CV_CHUNK_BLOCKED + 1002);
}

static void test_held(void **state)
{
	uint8_t mark = 0;
	(void)state;
	for (int i = 0; i < 200; i++, f.now += 100) {
		put(1400, 1400, (uint8_t)i, CV_FRAMEQ_HELD);
		cv_frameq_trim_held(&f.q, &f.pool, f.now, f.drop);
	}
	uint64_t left = 200 - f.drop[CV_DROP_NO_SESSION];
	assert_in_range(left, CV_HOLD_DGRAMS, CV_HOLD_DGRAMS + 8);
	assert_true(f.q.count < 16);
	/* the newest ones */
	for (uint64_t i = 200 - left; i < 200; i++) {
		take(&mark);
		assert_int_equal(mark, i);
	}
	put(1, 1, 1, CV_FRAMEQ_HELD);
	f.now += CV_HOLD_AGE + 1;
	cv_frameq_trim_held(&f.q, &f.pool, f.now, f.drop);
	assert_null(f.q.head);
}

static void test_restamp(void **state)
{
	(void)state;
	put(1, 1, 1, CV_FRAMEQ_HELD);
	f.now += CV_SEC(1);
	cv_frameq_restamp(&f.q, f.now);
	cv_frameq_expire(&f.q, &f.pool, f.now - AGE, f.drop);
	assert_int_equal(f.q.count, 1);
}

static void test_no_memory(void **state)
{
	(void)state;
	put(1000, 1000, 1, CV_FRAMEQ_FLOWS);
	f.mem.fail_all = true;
	/* what fits into the chunk there is does, and the rest is counted */
	uint64_t lost = 0;
	for (int i = 0; i < 10; i++)
		lost += put(1000, 20000, 1, CV_FRAMEQ_FLOWS);
	assert_int_equal(f.q.count, 1);
	assert_int_equal(lost, 201 - f.q.head->dgrams);
	f.mem.fail_all = false;
}

#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_frames),
		T(test_train),
		T(test_model),
		T(test_age),
		T(test_begun),
		T(test_ceiling),
		T(test_sizes_of_chunks),
		T(test_held),
		T(test_restamp),
		T(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
