/* SPDX-License-Identifier: MIT */
/*
 * fuzz_frameq.c - foreign frames on their way out: nothing is lost unseen
 *
 *	(what 1 | segment 2 | datagrams 1 | time 1) ...
 */
#include "core/frameq.h"
#include "fuzz/fuzz.h"
#include "unit/env.h"

enum { EVENTS = 64, POOL = 1 << 20 };

static uint8_t zeroes[CV_DGRAM_MAX];

struct queue {
	struct cv_bufq q;
	struct cv_pool pool;
	uint64_t put, wire, drop[CV_DROP_N];
};

static uint64_t waiting(const struct queue *q)
{
	uint64_t n = 0;
	size_t bytes = 0;
	for (const struct cv_buf *b = q->q.head; b; b = b->next) {
		n += b->dgrams;
		bytes += b->len;
		CHECK(b->len >= b->dgrams * CV_FRAMING_HEAD);
	}
	CHECK(bytes == q->q.bytes);
	return n;
}

static void put(struct queue *q, struct feed *f, uint8_t what, cv_time now)
{
	uint32_t seg = (uint32_t)feed_number(f, 2) % (CV_DGRAM_MAX + 1);
	uint32_t n = feed_byte(f) % 64 + 1;
	struct cv_frame t = { .data = zeroes, .seg = seg, .len = seg * n };
	if (!seg)
		n = 1;
	while (t.len > CV_DGRAM_MAX)
		t.len = seg, n = 1;
	q->put += n;
	q->drop[CV_DROP_NO_BUFFER] += cv_frameq_put(&q->q, &q->pool, &t,
		(enum cv_frameq_mode)(what >> 4 & 3) % 3, now);
}

/* the wire takes some bytes of the oldest */
static void write_some(struct queue *q, uint8_t n)
{
	struct cv_buf *b = q->q.head;
	if (!b)
		return;
	b->sent += b->sent + n < b->len ? n : 0;
	if (n < 128)
		return;
	q->wire += b->dgrams;
	cv_buf_free(&q->pool, cv_bufq_pop(&q->q));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed f = { data, size };
	struct mem m = { 0 };
	struct cv_env env = mem_env(&m, 1);
	struct queue q = { .put = 0 };
	cv_time now = CV_SEC(10);
	uint64_t gone = 0;
	cv_pool_init(&q.pool, &env, POOL);
	for (int i = 0; i < EVENTS && f.left; i++) {
		uint8_t what = feed_byte(&f);
		now += CV_MS(feed_byte(&f));
		if (what % 4 == 0)
			put(&q, &f, what, now);
		else if (what % 4 == 1)
			cv_frameq_expire(
				&q.q, &q.pool, now - CV_MAX_AGE, q.drop);
		else if (what % 4 == 2)
			write_some(&q, feed_byte(&f));
		else if (!q.q.head || !q.q.head->sent)
			cv_frameq_trim_held(&q.q, &q.pool, now, q.drop);
	}
	for (int i = 0; i < CV_DROP_N; i++)
		gone += q.drop[i];
	CHECK(q.put == gone + q.wire + waiting(&q));
	cv_bufq_clear(&q.q, &q.pool);
	cv_pool_clear(&q.pool);
	CHECK(!m.blocks);
	return 0;
}
