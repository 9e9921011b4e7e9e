/* SPDX-License-Identifier: MIT */
/**
 * fuzz_frameq.c - foreign frames on their way out: nothing is lost unseen
 *
 *	(what 1 | milliseconds 1 | segment 2, datagrams 1 or bytes 1) ...
 *
 * What is written is frames that were put, in their order, each at most once;
 * what is not was dropped, by its name, and never with its first byte gone.
 */
#include "core/frameq.h"
#include "fuzz/fuzz.h"
#include "unit/env.h"

enum {
	EVENTS = 32,
	BYTES = 256 << 10, /* of one input */
	POOL = 200 << 10,  /* two large buffers and some small */
	SERIAL = 4,        /* bytes at the start of a datagram */
	DGRAMS = 64,       /* of a train */
};

/** struct trial - one input's world */
struct trial {
	struct cv_bufq q;
	struct cv_pool pool;
	struct feed f;
	cv_time now;
	size_t bytes;  /* that may still be put */
	uint32_t next; /* serial number of the next datagram */
	uint32_t seen; /* of those on the wire, the highest */
	uint64_t put, written, drop[CV_DROP_N];
	const struct cv_buf *begun; /* partly written */
};

static struct trial t;

static uint64_t waiting(void)
{
	uint64_t n = 0;
	size_t bytes = 0, count = 0;
	for (const struct cv_buf *b = t.q.head; b; b = b->next) {
		n += b->dgrams;
		bytes += b->len;
		count++;
		CHECK(b->dgrams && b->off + b->len <= b->cap);
		CHECK(!b->sent || b == t.begun);
	}
	CHECK(bytes == t.q.bytes && count == t.q.count);
	CHECK(!t.begun || t.q.head == t.begun);
	return n;
}

static void check_sum(void)
{
	uint64_t gone = 0;
	for (int i = 0; i < CV_DROP_N; i++)
		gone += t.drop[i];
	CHECK(t.put == gone + t.written + waiting());
	CHECK(t.pool.bytes <= t.pool.max);
}

/* each datagram that has room for it begins with its number */
static void number(uint8_t *data, const struct cv_frame *f)
{
	for (uint64_t i = 0; i < cv_frame_count(f); i++, t.next++) {
		size_t at = i * f->seg;
		if (f->len - at >= SERIAL)
			cv_put32(data + at, t.next);
	}
}

static void put(enum cv_frameq_mode mode)
{
	static uint8_t data[CV_DGRAM_MAX];
	uint32_t seg = (uint32_t)feed_number(&t.f, 2) % (CV_DGRAM_MAX + 1);
	uint8_t shape = feed_byte(&t.f);
	uint32_t len = seg * (shape % DGRAMS + 1u);
	if (len > CV_DGRAM_MAX)
		len = seg;
	/* the last one is shorter */
	if (shape & 0x80 && len > 1)
		len--;
	if (len > t.bytes)
		return;
	t.bytes -= len;
	struct cv_frame f = {
		.data = data, .seg = seg < len ? seg : len, .len = len
	};
	number(data, &f);
	uint64_t left = cv_frameq_put(&t.q, &t.pool, &f, mode, t.now);
	CHECK(left <= cv_frame_count(&f));
	t.put += cv_frame_count(&f);
	t.drop[CV_DROP_NO_BUFFER] += left;
}

/* the chunk is on the wire: what the far end makes of it */
static void take(const struct cv_buf *b)
{
	const uint8_t *p = b->data + b->off, *end = p + b->len;
	uint32_t n = 0;
	for (; p < end; n++) {
		CHECK(end - p >= CV_FRAMING_HEAD);
		uint32_t len = cv_get16(p);
		p += CV_FRAMING_HEAD;
		CHECK((size_t)(end - p) >= len);
		if (len >= SERIAL) {
			uint32_t serial = cv_get32(p);
			CHECK(serial > t.seen && serial < t.next);
			t.seen = serial;
		}
		p += len;
	}
	CHECK(n == b->dgrams);
	t.written += n;
}

/* the connection takes some bytes of the oldest, or all that is left of it */
static void write_some(uint32_t n)
{
	struct cv_buf *b = t.q.head;
	if (!b)
		return;
	if (b->sent + n < b->len) {
		b->sent += n;
		t.begun = b->sent ? b : NULL;
		return;
	}
	t.begun = NULL;
	take(b);
	cv_buf_free(&t.pool, cv_bufq_pop(&t.q));
}

static void write_all(void)
{
	while (t.q.head)
		write_some(UINT16_MAX + 1);
}

static void expire(void)
{
	cv_time then = t.now - CV_MAX_AGE;
	cv_frameq_expire(&t.q, &t.pool, then, t.drop);
	for (const struct cv_buf *b = t.q.head; b; b = b->next)
		CHECK(b == t.begun || b->time >= then);
}

/* a connection to come has begun nothing */
static void trim_held(void)
{
	if (t.begun)
		return;
	cv_frameq_trim_held(&t.q, &t.pool, t.now, t.drop);
	CHECK(!t.q.head || waiting() - t.q.head->dgrams < CV_HOLD_DGRAMS);
	for (const struct cv_buf *b = t.q.head; b; b = b->next)
		CHECK(t.now - b->time <= CV_HOLD_AGE);
}

static void happen(uint8_t what)
{
	switch (what % 8) {
	case 0:
		put((enum cv_frameq_mode)(what >> 4 & 3) % 3);
		break;
	case 1:
		expire();
		break;
	case 2:
		write_some(feed_byte(&t.f));
		break;
	case 3:
		trim_held();
		break;
	case 4:
		cv_frameq_restamp(&t.q, t.now);
		break;
	case 5:
		write_all();
		break;
	default:
		put(CV_FRAMEQ_HELD);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mem m;
	struct cv_env env = mem_env(&m, 1);
	t = (struct trial){ .f = { data, size },
		.now = CV_SEC(10),
		.bytes = BYTES,
		.next = 1 };
	cv_pool_init(&t.pool, &env, POOL);
	for (int i = 0; i < EVENTS && t.f.left; i++) {
		uint8_t what = feed_byte(&t.f);
		t.now += CV_MS(feed_byte(&t.f));
		happen(what);
		check_sum();
	}
	write_all();
	check_sum();
	cv_pool_clear(&t.pool);
	CHECK(!m.blocks && !m.bytes);
	return 0;
}
