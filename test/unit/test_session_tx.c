/* SPDX-License-Identifier: MIT */
/* test_session_tx.c - datagrams out: sizes, trains, age, holding, waiting */
#include "unit/check.h"
#include "unit/pair.h"

#define TARGET "udp://127.0.0.1:5"

/* every datagram begins with its number */
struct count {
	uint32_t sent, first, next, missing;
	bool any;
};

static void see(
	struct edge *e, struct cv_end *end, const uint8_t *data, size_t len)
{
	struct count *c = e->user;
	(void)end;
	assert_true(len >= 4);
	uint32_t n = cv_get32(data);
	if (!c->any)
		c->first = n;
	else
		c->missing += n - c->next;
	assert_true(!c->any || n >= c->next); /* in order, none twice */
	c->any = true;
	c->next = n + 1;
}

static uint8_t text[CV_DGRAM_MAX];

static int say(struct pair *p, struct cv_flow *f, struct count *c, size_t len)
{
	cv_put32(text, c->sent++);
	return pair_send(p, &f->end[0], text, len, len);
}

static struct pair *pair_counted(struct count *c)
{
	struct pair *p = pair_new(false);
	memset(c, 0, sizeof *c);
	p->side[B].edge.take = see;
	p->side[B].edge.user = c;
	return p;
}

/* 0 to 65,507 bytes, there and back */
static void test_every_size(void **state)
{
	struct pair *p = pair_new(false);
	struct edge *a = &p->side[A].edge, *b = &p->side[B].edge;
	(void)state;
	pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	rnd_fill(&p->seed, text, sizeof text);
	uint64_t n = 0;
	for (size_t len = 0; len <= CV_DGRAM_MAX;
		len += len < 2000 || len > CV_DGRAM_MAX - 40 ? 1 : 619) {
		pair_send(p, &f->end[0], text + 7, len, len);
		pair_settle(p);
		assert_int_equal(b->dgrams, ++n);
		assert_int_equal(b->len, len);
		assert_memory_equal(b->data, text + 7, len);
		pair_send(p, b->last, b->data, len, len);
		pair_settle(p);
		assert_int_equal(a->dgrams, n);
		assert_int_equal(a->len, len);
		assert_memory_equal(a->data, text + 7, len);
	}
	assert_int_equal(f->tx, n);
	assert_int_equal(f->rx, n);
	assert_int_equal(p->side[A].node.stats.tx_dgrams, n);
	assert_int_equal(p->side[B].node.stats.rx_dgrams, n);
	assert_int_equal(p->side[B].s->stats.rx_dgram_bytes, b->bytes);
	assert_int_equal(pair_drops(p, A) + pair_drops(p, B), 0);
	pair_free(p);
}

static void test_too_big(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	static uint8_t big[CV_DGRAM_MAX + 1];
	assert_int_equal(
		pair_send(p, &f->end[0], big, sizeof big, sizeof big), 0);
	pair_settle(p);
	assert_int_equal(pair_drop(p, A, CV_DROP_TOO_BIG), 1);
	assert_int_equal(p->side[B].edge.dgrams, 0);
	pair_free(p);
}

static size_t lens[4096];
static unsigned nlens;

static void note_len(
	struct edge *e, struct cv_end *end, const uint8_t *data, size_t len)
{
	(void)e;
	(void)end;
	(void)data;
	assert_true(nlens < CV_COUNT(lens));
	lens[nlens++] = len;
}

/* trains of two flows with single ones between: the same lengths come out */
static void test_trains(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	pair_up(p);
	struct cv_flow *f[2] = { pair_open(p, 1, TARGET),
		pair_open(p, 2, TARGET) };
	p->side[B].edge.take = note_len;
	for (int round = 0; round < 300; round++) {
		size_t want[4096];
		unsigned n = 0;
		nlens = 0;
		for (uint64_t k = 1 + rnd_below(&p->seed, 8); k; k--) {
			size_t seg = rnd_below(&p->seed, 5)
					     ? 1 + rnd_below(&p->seed, 1500)
					     : 0;
			size_t len =
				seg ? 1 + rnd_below(&p->seed,
						  seg < 500 ? 20 * seg : 60000)
				    : 0;
			size_t at = 0;
			do {
				want[n++] = len - at < seg ? len - at : seg;
				at += seg;
			} while (at < len);
			pair_send(p, &f[rnd_below(&p->seed, 2)]->end[0], text,
				len, seg);
		}
		pair_settle(p);
		assert_int_equal(nlens, n);
		assert_memory_equal(lens, want, n * sizeof *lens);
	}
	assert_int_equal(p->side[B].edge.opens, 2);
	assert_int_equal(pair_drops(p, A) + pair_drops(p, B), 0);
	pair_free(p);
}

/* a thousand of 1,400 bytes at once arrive whole: culvert queues, not drops */
static void test_burst(void **state)
{
	struct count c;
	struct pair *p = pair_counted(&c);
	(void)state;
	pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	for (int i = 0; i < 1000; i++)
		say(p, f, &c, 1400);
	pair_settle(p);
	assert_int_equal(c.next, 1000);
	assert_int_equal(c.missing, 0);
	pair_free(p);
}

/* --- behind a blocked link --- */

static void test_ages(void **state)
{
	struct count c;
	struct pair *p = pair_counted(&c);
	cv_time age = p->side[A].node.max_age;
	(void)state;
	struct wire *w = pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	say(p, f, &c, 100);
	pair_settle(p);
	pair_block(&w->end[A]);
	/* a datagram a millisecond for a second */
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(say(p, f, &c, 100), 1);
		pair_run(p, p->now + CV_MS(1));
		assert_true(
			p->now - cv_txq_oldest(&p->side[A].s->txq) <= age + 1);
	}
	assert_int_equal(p->side[B].edge.dgrams, 1);
	pair_unblock(&w->end[A]);
	pair_settle(p);
	/* what is left is no older than the limit and the span of a chunk */
	unsigned fresh = (unsigned)p->side[B].edge.dgrams - 1;
	assert_in_range(fresh, age / CV_MS(1) - 2, age / CV_MS(1) + 2);
	assert_int_equal(c.next, 1001); /* up to the newest */
	assert_int_equal(pair_drop(p, A, CV_DROP_AGED), c.sent - 1 - fresh);
	assert_int_equal(pair_drops(p, A), pair_drop(p, A, CV_DROP_AGED));
	assert_int_equal(pair_drops(p, B), 0);
	pair_free(p);
}

/* senders flat out: bytes are bounded, the oldest go */
static void test_queue_is_bounded(void **state)
{
	struct count c;
	struct pair *p = pair_counted(&c);
	(void)state;
	struct wire *w = pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	say(p, f, &c, 1400);
	pair_settle(p);
	pair_block(&w->end[A]);
	for (int i = 0; i < 20000; i++) {
		say(p, f, &c, 1400);
		assert_true(p->side[A].s->txq.q.bytes <= CV_TXQ_BYTES);
	}
	uint64_t full = pair_drop(p, A, CV_DROP_QUEUE_FULL);
	assert_true(full > 10000);
	pair_unblock(&w->end[A]);
	pair_settle(p);
	assert_int_equal(p->side[B].edge.dgrams, c.sent - full);
	assert_int_equal(c.next, c.sent);
	assert_int_equal(c.missing, full);
	pair_free(p);
}

static void test_memory_ceiling(void **state)
{
	struct count c;
	struct pair *p = pair_counted(&c);
	(void)state;
	struct wire *w = pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	say(p, f, &c, 1400);
	pair_settle(p);
	p->side[A].node.pool.max = 1 << 20;
	pair_block(&w->end[A]);
	for (int i = 0; i < 2000; i++)
		say(p, f, &c, 1400);
	uint64_t lost = pair_drop(p, A, CV_DROP_NO_BUFFER);
	assert_in_range(lost, 1, 1990);
	assert_true(p->side[A].node.pool.bytes <= 1 << 20);
	pair_unblock(&w->end[A]);
	pair_settle(p);
	assert_int_equal(p->side[B].edge.dgrams, c.sent - lost);
	pair_free(p);
}

/* datagrams age, the OPEN in front of them does not */
static void test_open_does_not_age(void **state)
{
	struct count c;
	struct pair *p = pair_counted(&c);
	(void)state;
	struct wire *w = pair_up(p);
	struct cv_flow *pin = pair_open(p, 7, TARGET);
	pair_block(&w->end[A]);
	cv_flow_pin(&p->side[A].node, pin);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	say(p, f, &c, 100);
	pair_run(p, p->now + CV_SEC(1));
	assert_int_equal(pair_drop(p, A, CV_DROP_AGED), 1);
	say(p, f, &c, 100);
	pair_unblock(&w->end[A]);
	pair_settle(p);
	assert_int_equal(p->side[B].edge.dgrams, 1);
	assert_int_equal(f->state, CV_FLOW_OPEN);
	/* and that of a static mapping without one */
	assert_int_equal(pin->state, CV_FLOW_OPEN);
	assert_int_equal(pair_drops(p, B), 0);
	pair_free(p);
}

static unsigned resumed;

static void note_resume(struct cv_waiter *w)
{
	(void)w;
	resumed++;
}

static void test_waiter(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_waiter w = { .resume = note_resume };
	(void)state;
	resumed = 0;
	cv_list_init(&w.list);
	struct wire *wire = pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	assert_int_equal(pair_say(p, f, 10), 0);
	pair_settle(p);
	pair_block(&wire->end[A]);
	assert_int_equal(pair_say(p, f, 10), 1);
	cv_flow_wait(&f->end[0], &w);
	pair_run(p, p->now + CV_MS(10));
	assert_int_equal(resumed, 0);
	pair_unblock(&wire->end[A]);
	pair_settle(p);
	assert_int_equal(resumed, 1);
	pair_say(p, f, 10);
	pair_settle(p);
	assert_int_equal(resumed, 1); /* once */
	pair_free(p);
}

/* --- while there is no session --- */

static void test_newest_are_held(void **state)
{
	struct count c;
	struct pair *p = pair_counted(&c);
	(void)state;
	struct cv_flow *f = pair_open(p, 1, TARGET);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(say(p, f, &c, 100), 1);
	assert_int_equal(
		pair_drop(p, A, CV_DROP_NO_SESSION), 1000 - CV_HOLD_DGRAMS);
	pair_up(p);
	assert_int_equal(p->side[B].edge.dgrams, CV_HOLD_DGRAMS);
	assert_int_equal(c.first, 1000 - CV_HOLD_DGRAMS);
	assert_int_equal(c.next, 1000);
	assert_int_equal(pair_drops(p, B), 0);
	pair_free(p);
}

/* the same with trains as long as there are */
static void test_newest_trains_are_held(void **state)
{
	struct pair *p = pair_new(false);
	char target[CV_TARGET_MAX + 1];
	uint64_t n = 0;
	(void)state;
	memset(target, 'x', CV_TARGET_MAX);
	target[CV_TARGET_MAX] = '\0';
	struct cv_flow *f = pair_open(p, 1, target);
	for (int i = 0; i < 200; i++, n += 66)
		pair_send(p, &f->end[0], text, 65500, 1000);
	/* one more cuts the oldest of them in two */
	pair_send(p, &f->end[0], text, 10, 10);
	n++;
	pair_up(p);
	assert_int_equal(
		p->side[B].edge.dgrams + pair_drop(p, A, CV_DROP_NO_SESSION),
		n);
	assert_int_equal(pair_drops(p, B), 0);
	pair_free(p);
}

static void test_held_for_a_second(void **state)
{
	struct count c;
	struct pair *p = pair_counted(&c);
	(void)state;
	struct cv_flow *f = pair_open(p, 1, TARGET);
	say(p, f, &c, 100);
	pair_run(p, p->now + CV_HOLD_AGE / 2);
	say(p, f, &c, 100);
	pair_run(p, p->now + CV_HOLD_AGE / 2);
	assert_int_equal(pair_drops(p, A), 0);
	pair_run(p, p->now + CV_MS(1));
	assert_int_equal(pair_drop(p, A, CV_DROP_NO_SESSION), 1);
	/* held for half a second, it is not late for that */
	pair_up(p);
	assert_int_equal(p->side[B].edge.dgrams, 1);
	assert_int_equal(c.first, 1);
	pair_run(p, p->now + CV_MS(100));
	say(p, f, &c, 100);
	pair_settle(p);
	assert_int_equal(p->side[B].edge.dgrams, 2);
	assert_int_equal(pair_drops(p, B), 0);
	pair_free(p);
}

/* what waited for a lost link is lost with it, what comes then is held */
static void test_link_lost(void **state)
{
	struct count c;
	struct pair *p = pair_counted(&c);
	(void)state;
	struct wire *w = pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	say(p, f, &c, 100);
	pair_settle(p);
	pair_block(&w->end[A]);
	for (int i = 0; i < 10; i++)
		say(p, f, &c, 100);
	pair_cut(p, w);
	p->now += CV_MS(300);
	say(p, f, &c, 100);
	pair_up(p);
	assert_int_equal(p->side[B].edge.dgrams, 2);
	assert_int_equal(c.missing, 10);
	assert_int_equal(pair_drop(p, A, CV_DROP_LINK_LOST), 10);
	assert_int_equal(pair_drops(p, A) + pair_drops(p, B), 10);
	pair_free(p);
}

/* OPEN goes in front on every link until it was confirmed */
static void test_open_on_every_link(void **state)
{
	struct count c;
	struct pair *p = pair_counted(&c);
	(void)state;
	struct wire *w = pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	say(p, f, &c, 100);
	cv_node_flush(&p->side[A].node, p->now);
	pair_cut(p, w); /* with OPEN and datagram on their way */
	p->now += CV_MS(1);
	pair_up(p);
	say(p, f, &c, 100);
	pair_settle(p);
	assert_int_equal(f->state, CV_FLOW_OPEN);
	assert_int_equal(p->side[B].edge.dgrams, 1);
	assert_int_equal(pair_drops(p, B), 0);
	pair_free(p);
}

/* each with its OPEN, and none is too many for the far end */
static void many_opens(const char *target)
{
	struct pair *p = pair_new(false);
	pair_up(p);
	for (unsigned i = 0; i < 1000; i++)
		pair_say(p, pair_open(p, i, target), 10);
	pair_settle(p);
	assert_int_equal(p->side[B].edge.opens, 1000);
	assert_int_equal(p->side[B].edge.dgrams, 1000);
	assert_int_equal(pair_drops(p, A) + pair_drops(p, B), 0);
	pair_free(p);
}

static void test_many_opens_at_once(void **state)
{
	(void)state;
	many_opens(TARGET);
	many_opens(""); /* the far end knows where to */
}

/* a train of more datagrams than one packet may hold */
static void test_small_ones(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	for (size_t seg = 1; seg < 5; seg++)
		pair_send(p, &f->end[0], text, 60000, seg);
	for (int i = 0; i < 5000; i++)
		pair_send(p, &f->end[0], text, 0, 0);
	pair_settle(p);
	assert_int_equal(
		p->side[B].edge.dgrams, 60000 + 30000 + 20000 + 15000 + 5000);
	assert_int_equal(pair_drops(p, A) + pair_drops(p, B), 0);
	pair_free(p);
}

/* --- control frames --- */

static void test_control_is_bounded(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_frame ping = { .type = CV_FRAME_PING };
	(void)state;
	cv_session_control(p->side[A].s, &ping, p->now); /* no link: no use */
	assert_null(p->side[A].s->ctl.head);
	struct wire *w = pair_up(p);
	pair_block(&w->end[A]);
	for (int i = 0; i < 100000; i++)
		cv_session_control(p->side[A].s, &ping, p->now);
	assert_int_equal(p->side[A].s->ctl.count, CV_CTL_BUFS);
	uint64_t rx = p->side[B].s->stats.rx_packets;
	pair_unblock(&w->end[A]);
	pair_settle(p);
	assert_int_equal(p->side[B].s->stats.rx_packets - rx, CV_CTL_BUFS);
	assert_int_equal(pair_drops(p, B), 0);
	pair_free(p);
}

static void test_control_without_memory(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_frame ping = { .type = CV_FRAME_PING };
	(void)state;
	pair_up(p);
	cv_pool_clear(&p->side[A].node.pool);
	p->side[A].mem.fail_all = true;
	cv_session_control(p->side[A].s, &ping, p->now);
	assert_null(p->side[A].s->ctl.head);
	p->side[A].mem.fail_all = false;
	pair_free(p);
}

/* an answer to a datagram is not kept waiting by datagrams behind it */
static void test_control_goes_first(void **state)
{
	struct count c;
	struct pair *p = pair_counted(&c);
	struct cv_frame ping = { .type = CV_FRAME_PING };
	(void)state;
	struct wire *w = pair_up(p);
	struct cv_flow *f = pair_open(p, 1, TARGET);
	say(p, f, &c, 1000);
	pair_settle(p);
	pair_block(&w->end[A]);
	say(p, f, &c, 1000);
	cv_session_control(p->side[A].s, &ping, p->now);
	struct cv_buf *b = cv_session_output(p->side[A].s->path, p->now);
	assert_int_equal(b->len, CV_DATA_HEAD + 5 + 9 + CV_TAG);
	cv_buf_free(&p->side[A].node.pool, b);
	b = cv_session_output(p->side[A].s->path, p->now);
	assert_true(b->len > 1000);
	cv_buf_free(&p->side[A].node.pool, b);
	assert_null(cv_session_output(p->side[A].s->path, p->now));
	pair_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_size),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_trains),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_queue_is_bounded),
		cmocka_unit_test(test_memory_ceiling),
		cmocka_unit_test(test_open_does_not_age),
		cmocka_unit_test(test_waiter),
		cmocka_unit_test(test_newest_are_held),
		cmocka_unit_test(test_newest_trains_are_held),
		cmocka_unit_test(test_held_for_a_second),
		cmocka_unit_test(test_link_lost),
		cmocka_unit_test(test_open_on_every_link),
		cmocka_unit_test(test_many_opens_at_once),
		cmocka_unit_test(test_small_ones),
		cmocka_unit_test(test_control_is_bounded),
		cmocka_unit_test(test_control_without_memory),
		cmocka_unit_test(test_control_goes_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
