/* SPDX-License-Identifier: MIT */
/* test_iproxy.c - packets byte by byte, and transfers over a bad network */
#include "unit/check.h"

#include "core/iproxy.h"
#include "unit/env.h"

enum { A, B, PARCELS = 64, CLIENT = 0x01020304, SERVER = 67 };

/* --- packets --- */

static void test_bytes(void **state)
{
	uint8_t want[64], got[CV_IPROXY_MAX];
	struct cv_iproxy_packet x = { .client = CLIENT,
		.server = SERVER,
		.offset = 0x10,
		.len = 2,
		.data = (const uint8_t *)"hi" };
	(void)state;
	size_t n = unhex(want, "00000000"
			       "00000001"
			       "00000000"
			       "01020304"
			       "00000043"
			       "00000002"
			       "00000010"
			       "6869");
	uint8_t sum = 0;
	for (size_t i = 4; i < n; i++)
		sum = (uint8_t)((uint8_t)(sum << 1 | sum >> 7) + want[i]);
	want[3] = sum;
	assert_int_equal(cv_iproxy_write(&x, got), n);
	assert_memory_equal(got, want, n);
	struct cv_iproxy_packet back;
	assert_int_equal(cv_iproxy_read(&back, got, n), 0);
	assert_int_equal(back.client, CLIENT);
	assert_int_equal(back.server, SERVER);
	assert_int_equal(back.offset, 0x10);
	assert_int_equal(back.len, 2);
	assert_memory_equal(back.data, "hi", 2);
}

static int changed(size_t at, uint8_t by, size_t len)
{
	uint8_t p[CV_IPROXY_MAX + 8] = { 0 };
	struct cv_iproxy_packet x = { .client = 1,
		.server = 2,
		.len = 5,
		.data = (const uint8_t *)"hello" },
				out = { .client = 99 };
	cv_iproxy_write(&x, p);
	p[at] ^= by;
	int err = cv_iproxy_read(&out, p, len);
	assert_int_equal(out.client, err ? 99 : 1);
	return err;
}

static void test_malformed(void **state)
{
	(void)state;
	assert_int_equal(changed(0, 0, 33), 0);
	for (size_t at = 0; at < 33; at++)
		assert_int_equal(changed(at, 0x40, 33), CULVERT_EPROTO);
	for (size_t len = 0; len < 33; len++)
		assert_int_equal(changed(0, 0, len), CULVERT_EPROTO);
	assert_int_equal(changed(0, 0, 34), CULVERT_EPROTO);
}

/* the checksum is right, but not what it covers */
static int with(uint32_t flags, uint32_t len)
{
	static const uint8_t data[CV_IPROXY_DATA + 1];
	uint8_t p[CV_IPROXY_MAX + 1];
	struct cv_iproxy_packet out,
		x = { .flags = flags, .len = len, .data = data };
	return cv_iproxy_read(&out, p, cv_iproxy_write(&x, p));
}

static void test_kinds(void **state)
{
	(void)state;
	for (uint32_t flags = 0; flags < 20; flags++) {
		bool full =
			flags == CV_IPROXY_PLAIN || flags == CV_IPROXY_HELLO;
		bool bare = flags == CV_IPROXY_FIN || flags == CV_IPROXY_ACK ||
			    flags == CV_IPROXY_GONE ||
			    flags == CV_IPROXY_ALIVE || flags == CV_IPROXY_LIST;
		assert_int_equal(with(flags, 0), bare ? 0 : CULVERT_EPROTO);
		assert_int_equal(with(flags, 1), full ? 0 : CULVERT_EPROTO);
		assert_int_equal(
			with(flags, CV_IPROXY_DATA), full ? 0 : CULVERT_EPROTO);
		assert_int_equal(
			with(flags, CV_IPROXY_DATA + 1), CULVERT_EPROTO);
	}
	assert_false(cv_iproxy_is((const uint8_t *)"\4\0\0\0\0\0\0\1", 8));
}

/* --- two ends and what is between them --- */

struct parcel {
	cv_time at; /* 0: free */
	int to;
	struct cv_iproxy_packet x;
	uint8_t data[CV_IPROXY_DATA];
};

struct end {
	struct cv_iproxy c;
	uint32_t size, sent, got; /* bytes that it has to send, ... */
	bool ended, lost, stuck;
	unsigned closes;
};

struct world {
	struct end end[2];
	struct parcel parcel[PARCELS];
	cv_time now, delay;
	uint64_t seed;
	unsigned loss, twice, late; /* in 100 */
	unsigned posted;
};

static uint8_t byte_of(int from, uint32_t offset)
{
	return (uint8_t)(offset * 7 + offset / 251 + (uint32_t)from * 13);
}

static void enqueue(struct world *w, int to, const struct cv_iproxy_packet *x)
{
	struct parcel *p = w->parcel;
	while (p < w->parcel + PARCELS && p->at)
		p++;
	if (p == w->parcel + PARCELS)
		return; /* full queues lose, too */
	p->at = w->now + w->delay;
	if (rnd_below(&w->seed, 100) < w->late)
		p->at += rnd_below(&w->seed, 3 * w->delay);
	p->to = to;
	p->x = *x;
	if (x->len)
		memcpy(p->data, x->data, x->len);
	p->x.data = p->data;
}

static void post(struct world *w, int to, const struct cv_iproxy_packet *x)
{
	w->posted++;
	if (rnd_below(&w->seed, 100) < w->loss)
		return;
	enqueue(w, to, x);
	if (rnd_below(&w->seed, 100) < w->twice)
		enqueue(w, to, x);
}

static void feed(struct world *w, int i)
{
	struct end *e = &w->end[i];
	uint32_t room = cv_iproxy_room(&e->c), left = e->size - e->sent;
	if (!room || e->c.finishing)
		return;
	if (!left) {
		cv_iproxy_finish(&e->c);
		return;
	}
	uint32_t n = left < room ? left : room;
	for (uint32_t k = 0; k < n; k++)
		cv_iproxy_buffer(&e->c)[k] = byte_of(i, e->sent + k);
	e->sent += n;
	cv_iproxy_send(&e->c, n, w->now);
}

static void step(struct world *w, int i)
{
	struct cv_iproxy_packet x;
	feed(w, i);
	while (cv_iproxy_output(&w->end[i].c, &x, w->now))
		post(w, !i, &x);
}

static void arrive(struct world *w, struct parcel *p)
{
	struct end *e = &w->end[p->to];
	unsigned news = cv_iproxy_input(
		&e->c, &p->x, e->stuck ? 0 : CV_IPROXY_DATA, w->now);
	if (news & CV_IPROXY_GOT) {
		for (uint32_t k = 0; k < p->x.len; k++)
			assert_int_equal(
				p->x.data[k], byte_of(!p->to, e->got + k));
		e->got += p->x.len;
	}
	e->ended |= (news & CV_IPROXY_ENDED) != 0;
	e->lost |= (news & CV_IPROXY_LOST) != 0;
	e->closes += (news & CV_IPROXY_CLOSED) != 0;
	p->at = 0;
	step(w, p->to);
}

/* an owner would have given it up */
static cv_time deadline(const struct world *w, int i)
{
	const struct cv_iproxy *c = &w->end[i].c;
	return cv_iproxy_expired(c, w->now) ? CV_NEVER
					    : cv_iproxy_deadline(c);
}

/* the next thing that happens; false: nothing does before @until */
static bool turn(struct world *w, cv_time until)
{
	struct parcel *first = NULL;
	cv_time at = cv_earlier(deadline(w, A), deadline(w, B));
	for (struct parcel *p = w->parcel; p < w->parcel + PARCELS; p++)
		if (p->at && (!first || p->at < first->at))
			first = p;
	if (first && first->at < at)
		at = first->at;
	if (at > until)
		return false;
	if (at > w->now)
		w->now = at;
	if (first && first->at <= w->now) {
		arrive(w, first);
		return true;
	}
	step(w, A);
	step(w, B);
	return true;
}

static void run(struct world *w, cv_time span)
{
	cv_time until = w->now + span;
	while (turn(w, until))
		;
	w->now = until;
}

static void begin(struct world *w, uint32_t a, uint32_t b)
{
	cv_iproxy_init(&w->end[A].c, CLIENT, SERVER, true, w->now);
	cv_iproxy_init(&w->end[B].c, CLIENT, SERVER, false, w->now);
	w->end[A].size = a;
	w->end[B].size = b;
	step(w, A);
}

static bool over(const struct world *w)
{
	return cv_iproxy_closed(&w->end[A].c) && cv_iproxy_closed(&w->end[B].c);
}

static void check_exact(const struct world *w)
{
	for (int i = 0; i < 2; i++) {
		assert_int_equal(w->end[i].got, w->end[!i].size);
		assert_true(w->end[i].ended);
		assert_false(w->end[i].lost);
		assert_int_equal(w->end[i].closes, 1);
	}
}

/* 1 MB at 1 ms: at least 90 % of a packet in each round trip */
static void test_clean(void **state)
{
	struct world w = { .now = 1000, .delay = 500, .seed = 1 };
	(void)state;
	begin(&w, 0, 1000000);
	cv_time began = w.now;
	while (!over(&w) && turn(&w, w.now + CV_SEC(30)))
		;
	check_exact(&w);
	cv_time ideal = (1000000 / CV_IPROXY_DATA + 1) * 2 * w.delay;
	assert_true(w.now - began <= ideal * 10 / 9);
}

/* 10 % lost, 10 % twice, 10 % late: all of it, exactly once, in order */
static void test_transfers(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10000; seed++) {
		struct world w = { .now = 1000,
			.delay = 500,
			.seed = seed,
			.loss = 10,
			.twice = 10,
			.late = 10 };
		uint32_t most = seed % 100 ? 5000 : 100000;
		begin(&w, (uint32_t)rnd_below(&w.seed, most),
			(uint32_t)rnd_below(&w.seed, most));
		cv_time end = w.now + CV_SEC(120);
		while (!over(&w) && turn(&w, end))
			;
		check_exact(&w);
	}
}

static void test_keep_alive(void **state)
{
	struct world w = { .now = 1000, .delay = 500, .seed = 1 };
	(void)state;
	begin(&w, 0, 0);
	w.end[A].size = w.end[B].size = 1; /* to be sent some day */
	w.end[A].sent = w.end[B].sent = 0;
	w.end[A].c.finishing = w.end[B].c.finishing = true; /* not yet */
	run(&w, CV_SEC(120));
	assert_false(cv_iproxy_expired(&w.end[A].c, w.now));
	assert_false(cv_iproxy_expired(&w.end[B].c, w.now));
	assert_in_range(w.posted, 24, 110);
	w.loss = 100;
	run(&w, CV_IPROXY_EXPIRE + CV_SEC(6));
	assert_true(cv_iproxy_expired(&w.end[A].c, w.now));
	assert_true(cv_iproxy_expired(&w.end[B].c, w.now));
}

/* who has no room acknowledges nothing, and gets it later */
static void test_no_room(void **state)
{
	struct world w = { .now = 1000, .delay = 500, .seed = 1 };
	(void)state;
	w.end[B].stuck = true;
	begin(&w, 3000, 0);
	run(&w, CV_SEC(5));
	assert_int_equal(w.end[B].got, 0);
	assert_in_range(w.posted, 8, 25); /* less and less often */
	w.end[B].stuck = false;
	run(&w, CV_SEC(3));
	check_exact(&w);
}

static void test_gone(void **state)
{
	struct world w = { .now = 1000, .delay = 500, .seed = 1 };
	struct cv_iproxy_packet gone = { .flags = CV_IPROXY_GONE };
	(void)state;
	begin(&w, 100000, 0);
	run(&w, CV_MS(20));
	assert_int_equal(cv_iproxy_input(&w.end[A].c, &gone, 100, w.now),
		CV_IPROXY_LOST);
}

/* what is not the next byte, nor an old one, is nothing */
static void test_ahead(void **state)
{
	struct cv_iproxy c;
	struct cv_iproxy_packet out,
		x = { .offset = 10, .len = 3, .data = (const uint8_t *)"abc" };
	(void)state;
	cv_iproxy_init(&c, CLIENT, SERVER, false, 5);
	assert_int_equal(cv_iproxy_input(&c, &x, 100, 6), 0);
	assert_false(cv_iproxy_output(&c, &out, 6));
	x.offset = 0;
	assert_int_equal(cv_iproxy_input(&c, &x, 100, 6), CV_IPROXY_GOT);
	assert_true(cv_iproxy_output(&c, &out, 6));
	assert_int_equal(out.flags, CV_IPROXY_ACK);
	assert_int_equal(out.offset, 3);
	assert_int_equal(cv_iproxy_input(&c, &x, 100, 7), 0); /* again */
	assert_true(cv_iproxy_output(&c, &out, 7));
	assert_int_equal(out.offset, 3);
	/* an ACK of nothing, and one of what never was */
	x = (struct cv_iproxy_packet){ .flags = CV_IPROXY_ACK, .offset = 1 };
	assert_int_equal(cv_iproxy_input(&c, &x, 100, 8), 0);
	x.flags = CV_IPROXY_HELLO;
	assert_int_equal(cv_iproxy_input(&c, &x, 100, 8), 0);
	assert_false(cv_iproxy_output(&c, &out, 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_transfers),
		cmocka_unit_test(test_keep_alive),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_ahead),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
