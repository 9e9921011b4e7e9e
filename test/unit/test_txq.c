/* SPDX-License-Identifier: MIT */
/* test_txq.c - datagrams into chunks, and out of them the same ones again */
#include "unit/check.h"

#include "core/txq.h"
#include "unit/env.h"

enum { MANY = 1 << 16 };

struct dgram {
	uint64_t flow;
	uint32_t len, sum;
	cv_time at;
};

struct fix {
	struct mem mem;
	struct cv_env env;
	struct cv_pool pool;
	struct cv_txq q;
	struct dgram sent[MANY];
	size_t in, out; /* datagrams put, seen again */
	cv_time now;
	uint64_t seed;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	assert_non_null(f);
	f->env = mem_env(&f->mem, 3);
	f->seed = 20;
	f->now = CV_SEC(5000); /* its low 32 bits are not all of it */
	cv_pool_init(&f->pool, &f->env, 64 << 20);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	struct cv_buf *b;
	while ((b = cv_txq_take(&f->q)))
		cv_buf_free(&f->pool, b);
	cv_pool_clear(&f->pool);
	size_t left = f->mem.blocks;
	free(f);
	return left ? -1 : 0;
}

static uint32_t sum(const uint8_t *p, size_t n)
{
	uint32_t h = 2166136261;
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 16777619;
	return h;
}

static uint8_t bytes[CV_FRAMES_MAX];

/* limits of put() that ask for cv_txq_hold(), with and without an OPEN, or for
   cv_txq_put_open() */
enum { HOLD = 2, HOLD_OPEN = 3, PUT_OPEN = 4 };

static uint64_t put_frame(
	struct fix *f, const struct cv_frame *t, uint32_t limit)
{
	struct cv_frame open = { .flow = t->flow,
		.kind = 2,
		.len = (uint32_t)rnd_below(&f->seed, CV_TARGET_MAX + 1),
		.data = bytes };
	if (limit == PUT_OPEN)
		return cv_txq_put_open(&f->q, &f->pool, &open, t, f->now);
	if (limit != HOLD && limit != HOLD_OPEN)
		return cv_txq_put(&f->q, &f->pool, t, limit, f->now);
	return cv_txq_hold(
		&f->q, &f->pool, limit == HOLD ? NULL : &open, t, f->now);
}

/* a train of @len bytes; remember each datagram of it */
static uint64_t put(struct fix *f, uint64_t flow, uint32_t seg, uint32_t len,
	uint32_t limit)
{
	struct cv_frame t = { .flow = flow, .seg = seg, .len = len };
	t.data = bytes;
	rnd_fill(&f->seed, bytes, len < 64 ? len : 64);
	uint64_t lost = put_frame(f, &t, limit);
	uint64_t n = cv_frame_count(&t) - lost;
	for (uint32_t at = 0; n; n--, at += seg) {
		uint32_t k = len - at < seg ? len - at : seg;
		f->sent[f->in++ % MANY] =
			(struct dgram){ flow, k, sum(bytes + at, k), f->now };
	}
	return lost;
}

static void see(struct fix *f, const struct cv_frame *t, cv_time stamp)
{
	uint32_t at = 0;
	do {
		uint32_t k = t->len - at < t->seg ? t->len - at : t->seg;
		const struct dgram *d = &f->sent[f->out++ % MANY];
		assert_true(f->out <= f->in);
		assert_true(t->flow == d->flow);
		assert_int_equal(k, d->len);
		assert_int_equal(sum(t->data + at, k), d->sum);
		/* the stamp is that of the oldest, and the span is short */
		assert_true(d->at >= stamp && d->at - stamp <= CV_CHUNK_SPAN);
		at += k;
	} while (at < t->len);
}

/* one chunk: TIME, then frames; @b is given back */
static void look(struct fix *f, struct cv_buf *b)
{
	uint8_t *p = cv_buf_data(b), *end = cv_buf_end(b);
	struct cv_frame t;
	uint32_t n = 0, opens = 0;
	assert_true(b->len <= CV_FRAMES_MAX);
	assert_true(b->off + b->len + CV_TAILROOM <= b->cap);
	assert_int_equal(cv_frame_next(&p, end, &t), 1);
	assert_int_equal(t.type, CV_FRAME_TIME);
	assert_int_equal(t.time, (uint32_t)b->time);
	int r;
	while ((r = cv_frame_next(&p, end, &t)) > 0) {
		if (t.type == CV_FRAME_DGRAM) {
			n += (uint32_t)cv_frame_count(&t);
			see(f, &t, b->time);
		} else {
			assert_int_equal(t.type, CV_FRAME_OPEN);
			opens++;
		}
	}
	assert_int_equal(r, 0);
	assert_int_equal(n, b->dgrams);
	assert_int_equal(opens, b->frames);
	assert_true(opens <= CV_PACKET_OPENS);
	cv_buf_free(&f->pool, b);
}

static void take_all(struct fix *f)
{
	struct cv_buf *b;
	while ((b = cv_txq_take(&f->q)))
		look(f, b);
	assert_int_equal(f->out, f->in);
	assert_int_equal(f->q.q.bytes, 0);
	assert_int_equal(f->q.q.count, 0);
	assert_int_equal(cv_txq_oldest(&f->q), CV_NEVER);
}

static uint32_t any_size(uint64_t *seed)
{
	static const uint32_t size[] = { 0, 1, 2, 63, 64, 512, 1400, 1472, 9000,
		16383, 16384, 65506, 65507 };
	return rnd_below(seed, 2) ? size[rnd_below(seed, CV_COUNT(size))]
				  : (uint32_t)rnd_below(seed, 1500);
}

static void do_something(struct fix *f)
{
	uint32_t seg = any_size(&f->seed), len = seg;
	uint32_t limit =
		rnd_below(&f->seed, 2) ? CV_PACKET_MAX : CV_CHUNK_BLOCKED;
	uint64_t flow = 2 * rnd_below(&f->seed, 3);
	switch (rnd_below(&f->seed, 12)) {
	case 0:
		assert_int_equal(put(f, flow, seg, len, HOLD_OPEN), 0);
		break;
	case 1:
		assert_int_equal(put(f, flow, seg, len, PUT_OPEN), 0);
		break;
	case 2:
	case 3:
		f->now += rnd_below(&f->seed, 1500);
		break;
	case 4:
		if (f->q.q.head)
			look(f, cv_txq_take(&f->q));
		break;
	case 5:
	case 6: /* a train, its last one perhaps shorter */
		if (seg && seg < 9000)
			len = 1 + (uint32_t)rnd_below(&f->seed,
					  seg < 65 ? seg * 1000 : 65000);
		/* fallthrough */
	default:
		assert_int_equal(put(f, flow, seg, len, limit), 0);
	}
}

static void test_model(void **state)
{
	struct fix *f = *state;
	for (int round = 0; round < 300; round++) {
		for (uint64_t n = rnd_below(&f->seed, 60); n; n--)
			do_something(f);
		take_all(f);
	}
	assert_true(f->out > 20000);
}

/* datagrams of one flow and size share a frame */
static void test_trains_are_joined(void **state)
{
	struct fix *f = *state;
	for (int i = 0; i < 40; i++)
		put(f, 2, 1000, 1000, CV_PACKET_MAX);
	put(f, 2, 400, 400, CV_PACKET_MAX); /* the last, shorter one */
	put(f, 2, 1000, 1000, CV_PACKET_MAX);
	struct cv_buf *b = cv_txq_take(&f->q);
	uint8_t *p = cv_buf_data(b), *end = cv_buf_end(b);
	struct cv_frame t;
	assert_int_equal(b->dgrams, 42);
	cv_frame_next(&p, end, &t);
	assert_int_equal(cv_frame_next(&p, end, &t), 1);
	assert_int_equal(t.seg, 1000);
	assert_int_equal(t.len, 40400);
	assert_int_equal(cv_frame_next(&p, end, &t), 1);
	assert_int_equal(t.len, 1000);
	assert_int_equal(cv_frame_next(&p, end, &t), 0);
	look(f, b);
}

/* a larger one, another flow or an empty one begins a frame of its own */
static void test_what_does_not_join(void **state)
{
	struct fix *f = *state;
	put(f, 2, 100, 100, CV_PACKET_MAX);
	put(f, 2, 101, 101, CV_PACKET_MAX);
	put(f, 4, 101, 101, CV_PACKET_MAX);
	put(f, 4, 0, 0, CV_PACKET_MAX);
	put(f, 4, 0, 0, CV_PACKET_MAX);
	put(f, 4, 101, 150, CV_PACKET_MAX);
	put(f, 4, 101, 101, CV_PACKET_MAX);
	assert_int_equal(f->q.q.count, 1);
	take_all(f);
}

static void test_limit_and_span(void **state)
{
	struct fix *f = *state;
	for (int i = 0; i < 8; i++)
		put(f, 2, 100, 100, 1); /* a chunk each */
	assert_int_equal(f->q.q.count, 8);
	take_all(f);
	put(f, 2, 100, 100, CV_PACKET_MAX);
	f->now += CV_CHUNK_SPAN;
	put(f, 2, 100, 100, CV_PACKET_MAX);
	assert_int_equal(f->q.q.count, 1);
	f->now += 1;
	put(f, 2, 100, 100, CV_PACKET_MAX);
	assert_int_equal(f->q.q.count, 2);
	assert_int_equal(cv_txq_oldest(&f->q), f->now - CV_CHUNK_SPAN - 1);
	take_all(f);
}

/* what was taken away is not written to any more */
static void test_taken_chunk_is_left_alone(void **state)
{
	struct fix *f = *state;
	put(f, 2, 100, 100, CV_PACKET_MAX);
	struct cv_buf *b = cv_txq_take(&f->q);
	uint32_t len = b->len;
	put(f, 2, 100, 100, CV_PACKET_MAX);
	assert_int_equal(b->len, len);
	look(f, b);
	take_all(f);
}

/* the ceiling is met in the middle of a train: the rest is counted */
static void test_no_buffer(void **state)
{
	struct fix *f = *state;
	f->mem.fail_at = 2;
	assert_int_equal(put(f, 2, 1000, 65000, CV_PACKET_MAX), 0);
	assert_int_equal(put(f, 2, 1000, 65000, CV_PACKET_MAX), 65);
	f->mem.fail_all = true;
	/* 65,571 - 5 - 15 bytes of frame heads: one does not fit any more */
	assert_int_equal(put(f, 2, 1000, 1000, CV_PACKET_MAX), 1);
	f->now += 2 * CV_CHUNK_SPAN;
	assert_int_equal(put(f, 2, 0, 0, CV_PACKET_MAX), 1);
	assert_int_equal(put(f, 2, 7, 50, CV_PACKET_MAX), 8);
	assert_int_equal(put(f, 2, 7, 50, HOLD), 8);
	assert_int_equal(put(f, 2, 0, 0, HOLD_OPEN), 1);
	assert_int_equal(put(f, 2, 7, 50, PUT_OPEN), 8);
	take_all(f);
}

static void test_hold(void **state)
{
	struct fix *f = *state;
	struct cv_frame t;
	for (int i = 0; i < 5; i++)
		put(f, 2, 100, 100, i ? HOLD_OPEN : HOLD);
	assert_int_equal(f->q.q.count, 5); /* each for itself */
	look(f, cv_txq_take(&f->q));
	uint8_t *p = cv_buf_data(f->q.q.head), *end = cv_buf_end(f->q.q.head);
	cv_frame_next(&p, end, &t);
	cv_frame_next(&p, end, &t);
	assert_int_equal(t.type, CV_FRAME_OPEN);
	assert_int_equal(t.flow, 2);
	take_all(f);
}

static void test_restamp(void **state)
{
	struct fix *f = *state;
	for (int i = 0; i < 5; i++, f->now += CV_MS(100))
		put(f, 2, 100, 100, 1);
	f->now += CV_SEC(1);
	cv_txq_restamp(&f->q, f->now);
	assert_int_equal(cv_txq_oldest(&f->q), f->now);
	for (size_t i = 0; i < 5; i++)
		f->sent[i].at = f->now;
	take_all(f);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_model),
		T(test_trains_are_joined),
		T(test_what_does_not_join),
		T(test_limit_and_span),
		T(test_taken_chunk_is_left_alone),
		T(test_no_buffer),
		T(test_hold),
		T(test_restamp),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
