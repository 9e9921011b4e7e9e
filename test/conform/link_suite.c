/* SPDX-License-Identifier: MIT */
/**
 * link_suite.c - what every link must do; see link_suite.h
 *
 * Node A dials, node B listens, both end in memory edges.  Node C is whoever
 * else a test needs.  Every test begins with two fresh nodes and ends by
 * counting what is left over.
 */
#include "conform/link_suite.h"

#include <errno.h>
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct link_fixture *fx;
static struct node a, b, c;
static struct cv_session *s; /* A's, to B */
static struct cv_flow *f;    /* A's, in it */

static uint64_t drops(const struct node *n, enum cv_drop why)
{
	return n->loop.node.stats.drop[why];
}

static void want(struct cv_session *session)
{
	cv_session_want(session, cv_now());
}

static void build(uint8_t seed_a, uint8_t seed_b)
{
	rig_begin();
	c.up = false;
	f = NULL;
	node_up(&b, seed_b);
	if (seed_a)
		node_know(&b, seed_a);
	fx->open(&b);
	node_up(&a, seed_a);
	a.kick = fx->kick;
	s = node_know(&a, seed_b ? seed_b : 99);
	fx->dial(&a, s, NULL);
}

static void start(void)
{
	want(s);
	RIG_WAIT(node_is_up(&a) && node_is_up(&b));
	f = node_open(&a, 1);
}

static int setup(void **state)
{
	(void)state;
	build(1, 2);
	return 0;
}

static int setup_plain(void **state)
{
	(void)state;
	build(0, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct node *n = i ? &c : &a;
		if (n->up)
			fx->undial(node_peer(n));
	}
	fx->close();
	node_down(&a);
	node_down(&b);
	node_down(&c);
	return rig_end();
}

/* node C: who has @seed and takes B to have @peer */
static struct cv_session *caller(uint8_t seed, uint8_t peer)
{
	node_up(&c, seed);
	c.kick = fx->kick;
	struct cv_session *t = node_know(&c, peer);
	fx->dial(&c, t, NULL);
	want(t);
	return t;
}

static bool settled(void)
{
	return a.loop.node.stats.tx_dgrams ==
	       b.sink.dgrams + node_drops(&a) + node_drops_in(&b);
}

/* every datagram is delivered once or counted once, and stays so */
static void expect_conserved(void)
{
	RIG_WAIT(settled());
	RIG_WHILE(settled(), 0.02);
	assert_int_equal(b.sink.bad, 0);
	if (fx->flags & LINK_ORDERED)
		assert_int_equal(b.sink.disorder, 0);
}

/* one there and one back */
static void expect_traffic(void)
{
	node_send(&a, &f->end[0], 100, 100);
	RIG_WAIT(b.sink.number == a.number);
	assert_non_null(b.sink.end);
	node_send(&b, b.sink.end, 100, 100);
	RIG_WAIT(a.sink.number == b.number);
	assert_int_equal(a.sink.bad + b.sink.bad, 0);
}

static void test_session_comes_up(void **state)
{
	(void)state;
	assert_false(node_is_up(&a));
	start();
	assert_int_equal(a.loop.node.stats.handshakes, 1);
	assert_int_equal(b.loop.node.stats.handshakes, 1);
	assert_true(node_said(&a, "peer up"));
	assert_true(node_said(&b, "peer up"));
	expect_traffic();
}

static void cross(struct node *from, struct cv_end *end, struct node *to)
{
	static const uint32_t size[] = { 1, 0, 11, 12, 1472, 0, 9000, 65506,
		65507, 2 };
	for (size_t i = 0; i < CV_COUNT(size); i++) {
		uint64_t before = to->sink.dgrams;
		node_send(from, end, size[i], size[i]);
		RIG_WAIT(to->sink.dgrams == before + 1);
		assert_int_equal(to->sink.len, size[i]);
		assert_int_equal(to->sink.bad, 0);
	}
}

static void test_sizes_cross_both_ways(void **state)
{
	(void)state;
	start();
	cross(&a, &f->end[0], &b);
	cross(&b, b.sink.end, &a);
}

/* all at once, so that they share frames where they can */
static void test_sizes_mixed_at_once(void **state)
{
	static const uint32_t size[] = { 700, 700, 0, 700, 100, 0, 0, 9000, 1,
		1, 1, 0, 65507, 0, 700, 699, 701 };
	uint64_t bytes = 0, n = 0;
	(void)state;
	start();
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < CV_COUNT(size); i++, n++) {
			node_send(&a, &f->end[0], size[i], size[i]);
			bytes += size[i];
		}
		expect_conserved();
	}
	assert_int_equal(node_drops(&a) + node_drops_in(&b), 0);
	assert_int_equal(b.sink.dgrams, n);
	assert_int_equal(b.sink.bytes, bytes);
}

static void test_trains_stay_trains(void **state)
{
	static const struct {
		uint32_t seg, len;
	} train[] = { { 1400, 1400 * 46 }, { 1400, 1400 * 10 + 500 },
		{ 64, 64 * 64 }, { 1, 64 }, { 1472, 1472 * 44 + 1 },
		{ 9000, 9000 * 7 }, { 32753, 65506 }, { 65506, 65507 } };
	(void)state;
	start();
	for (size_t i = 0; i < CV_COUNT(train); i++) {
		uint64_t before = b.sink.trains;
		node_send(&a, &f->end[0], train[i].seg, train[i].len);
		expect_conserved();
		assert_int_equal(b.sink.trains, before + 1);
		assert_int_equal(b.sink.seg, train[i].seg);
		assert_int_equal(b.sink.len, train[i].len);
	}
	assert_int_equal(node_drops(&a) + node_drops_in(&b), 0);
}

static void test_order_is_kept(void **state)
{
	struct cv_flow *g;
	uint32_t r = 1;
	(void)state;
	start();
	g = node_open(&a, 2);
	for (int i = 0; i < 20000; i++) {
		while (s->txq.q.bytes > CV_TXQ_BYTES / 4)
			rig_turn();
		r = r * 1664525u + 1013904223u;
		uint32_t seg = 12 + (r >> 16) % 1400;
		uint32_t n = 1 + (r >> 8) % 3;
		node_send(&a, r >> 31 ? &f->end[0] : &g->end[0], seg, seg * n);
		if (i % 64 == 0)
			rig_turn();
	}
	expect_conserved();
	assert_int_equal(b.sink.disorder, 0);
	assert_int_equal(b.sink.opens, 2);
	if (fx->flags & LINK_RELIABLE)
		assert_int_equal(node_drops(&a) + node_drops_in(&b), 0);
}

static void block(void)
{
	fx->net(NET_STALLED);
	double end = rig_clock() + RIG_PATIENCE;
	while (!s->path->link->blocked) {
		assert_true(rig_clock() < end);
		node_send(&a, &f->end[0], 1400, 1400 * 40);
		rig_turn();
	}
}

static void test_flood_blocks_then_goes_on(void **state)
{
	(void)state;
	start();
	block();
	for (int i = 0; i < 400; i++)
		assert_int_equal(node_send(&a, &f->end[0], 1400, 1400 * 40), 1);
	assert_true(drops(&a, CV_DROP_QUEUE_FULL) > 0);
	assert_true(s->txq.q.bytes <= CV_TXQ_BYTES);
	assert_true(a.loop.node.pool.bytes <= CV_MEMORY);
	RIG_WHILE(s->path->link->blocked, 0.05);
	fx->net(NET_OPEN);
	RIG_WAIT(!s->path->link->blocked && !s->txq.q.head);
	expect_conserved();
	assert_int_equal(node_drops(&a), drops(&a, CV_DROP_QUEUE_FULL));
	assert_int_equal(node_drops_in(&b), 0);
	expect_traffic();
}

static void test_what_waits_ages(void **state)
{
	const cv_time late = CV_LATE_FACTOR * CV_MAX_AGE + CV_MS(100);
	(void)state;
	a.loop.node.max_age = CV_MAX_AGE;
	start();
	expect_traffic();
	block();
	for (int i = 0; i < 50; i++)
		node_send(&a, &f->end[0], 1400, 1400 * 40);
	uint64_t waiting = s->txq.q.bytes / 1500, got = b.sink.dgrams;
	rig_skip(CV_MS(300));
	assert_true(drops(&a, CV_DROP_AGED) >= waiting);
	assert_null(s->txq.q.head);
	rig_skip(CV_MS(400));
	b.sink.oldest = 0;
	fx->net(NET_OPEN);
	double end = rig_clock() + RIG_PATIENCE;
	while (b.sink.dgrams == got) {
		assert_true(rig_clock() < end);
		node_send(&a, &f->end[0], 1000, 1000);
		rig_turn();
	}
	/* not even what the network had in its buffers comes out stale */
	assert_true(b.sink.age < late);
	expect_conserved();
	assert_true(b.sink.oldest < late);
	a.loop.node.max_age = RIG_AGE;
	expect_traffic();
}

static void test_reset_moves_to_a_new_link(void **state)
{
	(void)state;
	start();
	expect_traffic();
	struct cv_end *end = b.sink.end;
	for (uint64_t i = 0; i < 5; i++) {
		fx->reset();
		RIG_WAIT(!s->path->link);
		uint64_t before = b.sink.dgrams;
		node_send(&a, &f->end[0], 500, 5 * 500);
		RIG_WAIT(b.sink.dgrams == before + 5);
		assert_int_equal(a.loop.node.stats.handshakes, i + 2);
		expect_traffic();
	}
	assert_ptr_equal(b.sink.end, end);
	assert_int_equal(b.sink.opens, 1);
	assert_int_equal(b.sink.closes, 0);
	expect_conserved();
}

static void test_half_open_link_is_given_up(void **state)
{
	(void)state;
	start();
	expect_traffic();
	struct cv_end *end = b.sink.end;
	fx->net(NET_SILENT);
	RIG_WHILE(s->path->link && !s->path->ping_at, 0.02);
	rig_skip(CV_HEARTBEAT);
	RIG_WAIT(s->path->ping_at);
	RIG_WHILE(s->path->link != NULL, 0.02);
	rig_skip(CV_DEAD - CV_HEARTBEAT);
	RIG_WAIT(!s->path->link);
	assert_true(node_said(&a, "fell silent"));
	fx->net(NET_OPEN);
	RIG_WAIT(node_is_up(&a) && node_is_up(&b));
	expect_traffic();
	assert_ptr_equal(b.sink.end, end);
}

static void test_heartbeat_keeps_a_quiet_link(void **state)
{
	(void)state;
	start();
	struct cv_link *link = s->path->link;
	for (int i = 0; i < 5; i++) {
		rig_skip(CV_HEARTBEAT);
		RIG_WAIT(!s->path->ping_at);
		RIG_WAIT(cv_now() - node_peer(&b)->rx_at < CV_SEC(1));
	}
	assert_ptr_equal(s->path->link, link);
	expect_traffic();
}

static void test_cut_while_sending(void **state)
{
	(void)state;
	start();
	for (int i = 0; i < 200; i++) {
		node_send(&a, &f->end[0], 1400, 1400 * 40);
		if (b.sink.end)
			node_send(&b, b.sink.end, 1400, 1400 * 40);
		if (i % 40 == 39)
			fx->reset();
		rig_turn();
	}
	fx->reset();
	RIG_WAIT(!s->path->link);
	RIG_WAIT(node_is_up(&a) && node_is_up(&b));
	expect_traffic();
	assert_int_equal(a.sink.bad + b.sink.bad, 0);
	/* the network may keep what it was given, never more than that */
	assert_true(b.sink.dgrams + node_drops(&a) + node_drops_in(&b) <=
		    a.loop.node.stats.tx_dgrams);
	assert_int_equal(b.sink.opens, 1);
	node_send(&a, &f->end[0], 1400, 1400 * 40);
}

static void test_goodbye_comes_last(void **state)
{
	(void)state;
	start();
	for (int i = 0; i < 100; i++)
		node_send(&a, &f->end[0], 1400, 1400 * 40);
	cv_node_drain(&a.loop.node);
	RIG_WAIT(cv_node_drained(&a.loop.node));
	RIG_WAIT(node_said(&b, "goodbye"));
	assert_int_equal(b.sink.dgrams, 4000);
	RIG_WAIT(!s->path->link);
	RIG_WHILE(!s->path->link, 0.15);
	expect_conserved();
}

static void test_second_link_takes_over(void **state)
{
	(void)state;
	start();
	expect_traffic();
	struct cv_link *old = node_peer(&b)->path->link;
	fx->undial(s);
	struct cv_session *t = caller(1, 2);
	RIG_WAIT(node_is_up(&c));
	RIG_WAIT(!s->path->link);
	RIG_WAIT(node_is_up(&b) && node_peer(&b)->path->link != old);
	assert_true(node_said(&b, "moved to another link"));
	/* another instance: what the old one had opened is gone */
	assert_int_equal(b.sink.closes, 1);
	struct cv_flow *g = node_open(&c, 1);
	uint64_t before = b.sink.dgrams;
	node_send(&c, &g->end[0], 100, 100);
	RIG_WAIT(b.sink.dgrams == before + 1);
	assert_non_null(t->path->link);
}

static void test_peer_restarts(void **state)
{
	(void)state;
	start();
	expect_traffic();
	fx->unlisten();
	node_down(&b);
	unsigned tried = fx->attempts();
	RIG_WAIT(!s->path->link);
	RIG_WAIT(fx->attempts() >= tried + 2);
	node_up(&b, 2);
	node_know(&b, 1);
	fx->listen(&b);
	RIG_WAIT(node_is_up(&a) && node_is_up(&b));
	expect_traffic();
	assert_int_equal(b.sink.opens, 1);
}

static void hear(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
	while (n > 0 || (n < 0 && (errno == EAGAIN || errno == ENOTCONN))) {
		rig_turn();
		n = recv(fd, &byte, 1, MSG_DONTWAIT);
	}
}

static void say(int fd, const void *p, size_t len)
{
	const uint8_t *at = p;
	double end = rig_clock() + RIG_PATIENCE;
	while (len) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		assert_true(rig_clock() < end);
		rig_turn();
		if (n < 0)
			continue;
		at += n;
		len -= (size_t)n;
	}
}

/* B hangs up on these bytes, counts them so, and nobody else notices */
static void expect_hung_up(const void *p, size_t len, enum cv_drop why)
{
	struct cv_link *link = s->path->link, *far = node_peer(&b)->path->link;
	uint64_t before = drops(&b, why);
	int fd = fx->stranger();
	say(fd, p, len);
	hear(fd);
	close(fd);
	assert_int_equal(drops(&b, why), before + 1);
	expect_traffic();
	assert_ptr_equal(s->path->link, link);
	assert_ptr_equal(node_peer(&b)->path->link, far);
}

static void test_hostile_lengths(void **state)
{
	static const uint8_t head[][3] = { { 0, 0, 0 }, { 0, 0, 1 },
		{ 0, 0, 15 }, { 0, 2, 1 }, { 1, 0, 67 }, { 0xff, 0xff, 0xff },
		{ 'G', 'E', 'T' }, { 0x16, 3, 1 } };
	(void)state;
	start();
	for (size_t i = 0; i < CV_COUNT(head); i++)
		expect_hung_up(head[i], 3, CV_DROP_MALFORMED);
}

static void test_garbage_packets(void **state)
{
	static const struct {
		uint8_t type;
		size_t len;
		enum cv_drop why;
	} t[] = { { 0x00, 100, CV_DROP_MALFORMED },
		{ 0x01, 168, CV_DROP_BAD_MAC },
		{ 0x01, 167, CV_DROP_MALFORMED },
		{ 0x02, 128, CV_DROP_UNKNOWN_INDEX },
		{ 0x02, 129, CV_DROP_MALFORMED },
		{ 0x03, 56, CV_DROP_UNKNOWN_INDEX },
		{ 0x03, 55, CV_DROP_MALFORMED },
		{ 0x04, 100, CV_DROP_UNKNOWN_INDEX },
		{ 0x04, 31, CV_DROP_MALFORMED }, { 0x11, 72, CV_DROP_PLAIN },
		{ 0x12, 48, CV_DROP_PLAIN }, { 0x14, 100, CV_DROP_PLAIN },
		{ 0xff, 512, CV_DROP_MALFORMED } };
	uint8_t packet[512], raw[600];
	(void)state;
	start();
	for (size_t i = 0; i < CV_COUNT(t); i++) {
		stamp(packet, sizeof packet, i);
		packet[0] = t[i].type;
		size_t n = fx->frame(raw, packet, t[i].len);
		expect_hung_up(raw, n, t[i].why);
	}
}

static unsigned hung_up(const int fd[3])
{
	unsigned n = 0;
	for (int i = 0; i < 3; i++) {
		char byte;
		ssize_t r = recv(fd[i], &byte, 1, MSG_DONTWAIT);
		n += !r || (r < 0 && errno != EAGAIN && errno != ENOTCONN);
	}
	return n;
}

/* nothing, half a record, and a record that never ends */
static void test_silence_and_slow_bytes(void **state)
{
	uint8_t packet[200], raw[300];
	int fd[3];
	(void)state;
	start();
	struct cv_link *link = s->path->link;
	stamp(packet, sizeof packet, 1);
	packet[0] = CV_PACKET_INIT;
	size_t n = fx->frame(raw, packet, CV_INIT_SIZE), told = 0;
	double began = rig_clock();
	for (int i = 0; i < 3; i++)
		fd[i] = fx->stranger();
	say(fd[1], raw, n / 2);
	while (hung_up(fd) < 3) {
		assert_true(rig_clock() < began + RIG_PATIENCE);
		if (rig_clock() > began + 0.05 * (double)told && told + 1 < n)
			send(fd[2], raw + told++, 1, MSG_NOSIGNAL);
		expect_traffic();
	}
	assert_true(rig_clock() - began > (double)CV_FIRST_PACKET / 1e6 - 0.5);
	assert_int_equal(drops(&b, CV_DROP_STRANGER), 3);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	assert_ptr_equal(s->path->link, link);
}

static unsigned links(const struct node *n)
{
	const struct cv_list *all = &n->loop.node.links;
	unsigned k = 0;
	for (const struct cv_list *l = all->next; l != all; l = l->next)
		k++;
	return k;
}

static void test_many_strangers_make_room(void **state)
{
	enum { MANY = CV_LINKS_SOURCE + 36 };
	int fd[MANY];
	(void)state;
	start();
	for (int i = 0; i < MANY; i++) {
		fd[i] = fx->stranger();
		rig_turn();
	}
	RIG_WAIT(drops(&b, CV_DROP_STRANGER) == MANY - CV_LINKS_SOURCE);
	assert_int_equal(links(&b), CV_LINKS_SOURCE + 1);
	expect_traffic();
	fx->reset();
	RIG_WAIT(!s->path->link);
	RIG_WAIT(node_is_up(&a));
	expect_traffic();
	for (int i = 0; i < MANY; i++)
		close(fd[i]);
	RIG_WAIT(links(&b) == 1);
}

static void test_recording_played_back(void **state)
{
	const uint8_t *tape;
	(void)state;
	start();
	expect_traffic();
	size_t n = fx->taped(&tape), head = CV_INIT_SIZE;
	uint8_t packet[CV_INIT_SIZE] = { 0 }, raw[CV_INIT_SIZE + 64];
	head = fx->frame(raw, packet, head);
	assert_true(n > head + 16);
	expect_hung_up(tape, head, CV_DROP_STALE_HELLO);
	/* what came behind the handshake, on its own */
	expect_hung_up(tape + head, n - head, CV_DROP_REPLAYED);
}

static void test_handshake_byte_by_byte(void **state)
{
	(void)state;
	fx->net(NET_SLOW);
	start();
	for (int i = 0; i < 5; i++)
		expect_traffic();
	fx->net(NET_OPEN);
	expect_traffic();
}

static unsigned times_said(const struct node *n, const char *text)
{
	unsigned k = 0;
	for (const char *p = n->said; (p = strstr(p, text)); p++)
		k++;
	return k;
}

static void test_refused_backs_off(void **state)
{
	(void)state;
	fx->vacant(true);
	want(s);
	RIG_WAIT(node_said(&a, "cannot connect"));
	RIG_WHILE(!s->path->link, 1.2);
	unsigned n = times_said(&a, "cannot connect");
	assert_in_range(n, 3, 7);
	fx->vacant(false);
	f = node_open(&a, 1);
	double began = rig_clock();
	node_send(&a, &f->end[0], 100, 100);
	RIG_WAIT(b.sink.dgrams == 1);
	/* a datagram does not wait for the back-off */
	assert_true(rig_clock() - began < 0.6);
}

static void test_name_that_resolves_later(void **state)
{
	(void)state;
	fx->undial(s);
	fx->dial(&a, s, "b.example");
	rig_names(NAMES_NONE);
	want(s);
	RIG_WAIT(node_said(&a, "cannot connect"));
	rig_names(NAMES_HELD);
	unsigned asked = rig_names_asked();
	RIG_WAIT(rig_names_asked() > asked);
	assert_null(s->path->link);
	rig_names(NAMES_ALL);
	start();
	expect_traffic();
}

static void test_unknown_key(void **state)
{
	(void)state;
	start();
	caller(9, 2);
	RIG_WAIT(drops(&b, CV_DROP_UNKNOWN_PEER) > 0);
	RIG_WAIT(node_said(&c, "our key is unknown there"));
	assert_false(node_is_up(&c));
	expect_traffic();
}

static void test_wrong_peer_key(void **state)
{
	(void)state;
	start();
	caller(9, 7);
	RIG_WAIT(drops(&b, CV_DROP_BAD_MAC) > 0);
	RIG_WAIT(node_said(&c, "wrong --peer"));
	assert_false(node_is_up(&c));
	expect_traffic();
}

static void test_plain_against_sealed(void **state)
{
	(void)state;
	start();
	caller(0, 2);
	RIG_WAIT(drops(&b, CV_DROP_PLAIN) > 0);
	RIG_WAIT(node_said(&c, "only one end uses --plain"));
	assert_false(node_is_up(&c));
	expect_traffic();
}

static void test_sealed_against_plain(void **state)
{
	(void)state;
	start();
	caller(9, 2);
	RIG_WAIT(drops(&b, CV_DROP_PLAIN) > 0);
	RIG_WAIT(node_said(&c, "only one end uses --plain"));
	assert_false(node_is_up(&c));
	expect_traffic();
}

static void test_rekey_loses_nothing(void **state)
{
	(void)state;
	start();
	struct cv_link *link = s->path->link;
	for (int i = 0; i < 13; i++) {
		node_send(&a, &f->end[0], 1000, 20 * 1000);
		expect_conserved();
		expect_traffic();
		rig_skip(CV_SEC(10));
	}
	RIG_WAIT(a.loop.node.stats.handshakes == 2);
	for (int i = 0; i < 50; i++) {
		node_send(&a, &f->end[0], 1000, 20 * 1000);
		rig_turn();
	}
	expect_conserved();
	assert_int_equal(node_drops(&a) + node_drops_in(&b), 0);
	assert_int_equal(b.loop.node.stats.handshakes, 2);
	assert_ptr_equal(s->path->link, link);
}

static void initiate(int fd, uint8_t who)
{
	uint8_t packet[CV_PLAIN_INIT_SIZE], raw[256];
	struct cv_hello hello = { .version = 1, .instance = who };
	cv_head_put(packet, CV_PACKET_PLAIN_INIT, who);
	memset(packet + 8, who, CV_KEY);
	cv_hello_put(packet + 8 + CV_KEY, &hello);
	say(fd, raw, fx->frame(raw, packet, sizeof packet));
}

/* the index that a plain response gives us */
static uint64_t response(int fd)
{
	uint8_t packet[CV_PLAIN_RESPONSE_SIZE] = { 0 }, raw[256];
	size_t n = fx->frame(raw, packet, sizeof packet), got = 0;
	double end = rig_clock() + RIG_PATIENCE;
	while (got < n) {
		ssize_t r = recv(fd, raw + got, n - got, MSG_DONTWAIT);
		assert_true(rig_clock() < end);
		got += r > 0 ? (size_t)r : 0;
		if (got < n)
			rig_turn();
	}
	return cv_get64(raw + n - sizeof packet + 8) & CV_INDEX_MASK;
}

/* a first packet under the keys of an index */
static void prove(int fd, uint64_t index)
{
	uint8_t packet[CV_DATA_HEAD + 1] = { 0 }, raw[64];
	cv_head_put(packet, CV_PACKET_PLAIN_DATA, index);
	packet[CV_DATA_HEAD] = CV_FRAME_PADDING;
	say(fd, raw, fx->frame(raw, packet, sizeof packet));
}

/* links that a session of B believes in and that do not exist any more */
static unsigned stale(const struct cv_link *alive)
{
	struct cv_list *all = &b.loop.node.sessions;
	unsigned n = 0;
	for (struct cv_list *l = all->next; l != all; l = l->next) {
		struct cv_session *t = CV_CONTAINER(l, struct cv_session, all);
		n += t->path->link && t->path->link != alive;
	}
	return n;
}

/* whoever speaks as two peers over one link is only the first of them */
static void test_two_identities_on_one_link(void **state)
{
	(void)state;
	start();
	struct cv_link *far = node_peer(&b)->path->link;
	uint64_t index[2];
	int fd = fx->stranger();
	for (int i = 0; i < 2; i++) {
		initiate(fd, (uint8_t)(0x55 + i));
		index[i] = response(fd);
		rig_skip(CV_INIT_INTERVAL);
	}
	prove(fd, index[0]);
	prove(fd, index[1]);
	RIG_WAIT(drops(&b, CV_DROP_STRANGER) == 1);
	/* and not later either */
	initiate(fd, 0x77);
	RIG_WAIT(drops(&b, CV_DROP_STRANGER) == 2);
	close(fd);
	RIG_WAIT(links(&b) == 1);
	assert_int_equal(stale(far), 0);
	expect_traffic();
}

static void cycle(bool by_name)
{
	build(1, 2);
	if (by_name) {
		fx->undial(s);
		fx->dial(&a, s, "b.example");
		rig_names(NAMES_HELD);
		want(s);
		RIG_WAIT(rig_names_asked() > 0);
	} else {
		start();
		expect_traffic();
		fx->reset();
		node_send(&a, &f->end[0], 1400, 1400 * 40);
		rig_turn();
	}
	assert_int_equal(teardown(NULL), 0);
}

static void expect_no_leak(bool by_name)
{
	size_t before = 0;
	for (int i = 0; i < 12; i++) {
		if (i == 4)
			before = mallinfo2().uordblks;
		cycle(by_name);
	}
	assert_int_equal(mallinfo2().uordblks, before);
}

static void test_nothing_is_left_over(void **state)
{
	(void)state;
	expect_no_leak(false);
}

static void test_nothing_is_left_of_a_name(void **state)
{
	(void)state;
	expect_no_leak(true);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define PLAIN(f) cmocka_unit_test_setup_teardown(f, setup_plain, teardown)

static const struct {
	struct CMUnitTest test;
	unsigned needs;
} all[] = {
	{ TEST(test_session_comes_up), 0 },
	{ TEST(test_sizes_cross_both_ways), LINK_WHOLE },
	{ PLAIN(test_sizes_cross_both_ways), LINK_WHOLE },
	{ TEST(test_sizes_mixed_at_once), LINK_RELIABLE },
	{ TEST(test_trains_stay_trains), LINK_WHOLE },
	{ TEST(test_order_is_kept), LINK_ORDERED },
	{ TEST(test_flood_blocks_then_goes_on), LINK_RELIABLE },
	{ TEST(test_what_waits_ages), LINK_RELIABLE },
	{ TEST(test_reset_moves_to_a_new_link), LINK_ENDS },
	{ TEST(test_half_open_link_is_given_up), 0 },
	{ TEST(test_heartbeat_keeps_a_quiet_link), 0 },
	{ TEST(test_cut_while_sending), LINK_ENDS },
	{ TEST(test_goodbye_comes_last), LINK_RELIABLE },
	{ TEST(test_second_link_takes_over), LINK_ENDS },
	{ TEST(test_peer_restarts), LINK_ENDS },
	{ TEST(test_hostile_lengths), LINK_STREAM },
	{ TEST(test_garbage_packets), LINK_ENDS },
	{ TEST(test_silence_and_slow_bytes), LINK_STREAM },
	{ TEST(test_many_strangers_make_room), LINK_STREAM },
	{ TEST(test_recording_played_back), LINK_ENDS },
	{ TEST(test_handshake_byte_by_byte), LINK_STREAM },
	{ TEST(test_refused_backs_off), LINK_STREAM },
	{ TEST(test_name_that_resolves_later), LINK_NAMES },
	{ TEST(test_unknown_key), LINK_ENDS },
	{ TEST(test_wrong_peer_key), LINK_ENDS },
	{ TEST(test_plain_against_sealed), LINK_ENDS },
	{ PLAIN(test_sealed_against_plain), LINK_ENDS },
	{ TEST(test_rekey_loses_nothing), 0 },
	{ PLAIN(test_two_identities_on_one_link), LINK_ENDS },
	{ cmocka_unit_test(test_nothing_is_left_over), 0 },
	{ cmocka_unit_test(test_nothing_is_left_of_a_name), LINK_NAMES },
};

int link_suite(const struct link_fixture *fixture)
{
	struct CMUnitTest tests[CV_COUNT(all)];
	size_t n = 0;
	fx = fixture;
	cmocka_set_test_filter(getenv("RIG_ONLY"));
	/* what a kind of link cannot have is no part of its suite */
	for (size_t i = 0; i < CV_COUNT(all); i++) {
		if ((all[i].needs & fx->flags) == all[i].needs)
			tests[n++] = all[i].test;
	}
	return _cmocka_run_group_tests(fx->name, tests, n, NULL, NULL);
}
