/* SPDX-License-Identifier: MIT */
/* test_iproxy.c - packets; and two ends of a connection with a network between
   them that loses, doubles and reorders, in virtual time */
#include "unit/check.h"

#include "core/iproxy.h"
#include "unit/env.h"

enum { FLIGHT = 64, BYTES = 1 << 20, SEEDS = 10000 };

/* --- packets --- */

static size_t put(uint8_t *out, uint32_t flags, const char *data)
{
	struct cv_iproxy_packet k = { .flags = flags,
		.client = 0x01020304,
		.server = 67,
		.len = (uint32_t)strlen(data),
		.data = (const uint8_t *)data };
	return cv_iproxy_write(&k, out);
}

/* the checksum is another program's */
static void a_packet_is_as_it_is_written_down(void **state)
{
	uint8_t out[CV_IPROXY_MAX], is[64];
	size_t n = unhex(is, "0000008e00000001000000000102030400000043"
			     "00000002000000006869");
	(void)state;
	assert_int_equal(put(out, CV_IPROXY_PLAIN, "hi"), n);
	assert_memory_equal(out, is, n);
}

static void what_was_written_is_read(void **state)
{
	uint8_t out[CV_IPROXY_MAX];
	struct cv_iproxy_packet k;
	size_t n = put(out, CV_IPROXY_PLAIN, "hi");
	(void)state;
	assert_true(cv_iproxy_is(out, n));
	assert_int_equal(cv_iproxy_read(&k, out, n), 0);
	assert_int_equal(k.flags, CV_IPROXY_PLAIN);
	assert_int_equal(k.client, 0x01020304);
	assert_int_equal(k.server, 67);
	assert_int_equal(k.offset, 0);
	assert_int_equal(k.len, 2);
	assert_memory_equal(k.data, "hi", 2);
}

/* any one bit that is another, and any length */
static void damage_is_noticed(void **state)
{
	uint8_t out[CV_IPROXY_MAX];
	struct cv_iproxy_packet k = { .client = 9 };
	size_t n = put(out, CV_IPROXY_PLAIN, "some more of it");
	(void)state;
	for (size_t bit = 0; bit < 8 * n; bit++) {
		out[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(cv_iproxy_read(&k, out, n), CULVERT_EPROTO);
		out[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(cv_iproxy_read(&k, out, n - 1), CULVERT_EPROTO);
	assert_int_equal(cv_iproxy_read(&k, out, n + 1), CULVERT_EPROTO);
	assert_int_equal(cv_iproxy_read(&k, out, 27), CULVERT_EPROTO);
	assert_int_equal(k.client, 9);
	assert_int_equal(cv_iproxy_read(&k, out, n), 0);
}

static void only_what_belongs_together_is_read(void **state)
{
	static const uint8_t zeros[CV_IPROXY_DATA];
	uint8_t out[CV_IPROXY_MAX];
	struct cv_iproxy_packet k;
	(void)state;
	for (uint32_t flags = 0; flags < 40; flags++) {
		bool empty = flags == CV_IPROXY_FIN || flags == CV_IPROXY_ACK ||
			     flags == CV_IPROXY_GONE ||
			     flags == CV_IPROXY_ALIVE ||
			     flags == CV_IPROXY_LIST;
		bool full =
			flags == CV_IPROXY_PLAIN || flags == CV_IPROXY_HELLO;
		k = (struct cv_iproxy_packet){ .flags = flags, .data = zeros };
		size_t n = cv_iproxy_write(&k, out);
		assert_int_equal(!cv_iproxy_read(&k, out, n), empty);
		k = (struct cv_iproxy_packet){
			.flags = flags, .data = zeros, .len = CV_IPROXY_DATA
		};
		n = cv_iproxy_write(&k, out);
		assert_int_equal(!cv_iproxy_read(&k, out, n), full);
	}
}

/* a datagram that was cut, by somebody who knows the checksum */
static void its_length_is_the_datagrams(void **state)
{
	uint8_t out[CV_IPROXY_MAX];
	struct cv_iproxy_packet k;
	size_t n = put(out, CV_IPROXY_PLAIN, "hi") - 1;
	(void)state;
	out[3] = 0x92; /* of all but the last byte */
	assert_int_equal(cv_iproxy_read(&k, out, n), CULVERT_EPROTO);
	out[23] = 1; /* length */
	out[3] = 0x72;
	assert_int_equal(cv_iproxy_read(&k, out, n), 0);
}

/* --- two ends --- */

struct packet {
	cv_time at;
	size_t len;
	int to;
	uint8_t bytes[CV_IPROXY_MAX];
};

struct side {
	struct cv_iproxy c;
	uint32_t put, end; /* bytes it sends: so far, in all */
	bool stays;        /* it does not finish */
	uint32_t got;
	bool ended;       /* the other's stream */
	unsigned closed;  /* how often it was told */
	size_t room;      /* that it has */
	uint64_t packets; /* that it sent */
};

struct world {
	struct side side[2];
	struct packet flight[FLIGHT];
	unsigned flying;
	uint64_t seed;
	cv_time now, delay;
	unsigned loss, twice, late; /* of 100 */
};

/* byte @i of what side @who sends */
static uint8_t byte_of(int who, uint32_t i)
{
	return (uint8_t)(i * 7 + i / 251 + (uint32_t)who * 13);
}

static void begin(struct world *w, uint64_t seed, uint32_t a, uint32_t b)
{
	*w = (struct world){ .seed = seed, .delay = 500, .now = CV_SEC(1) };
	for (int i = 0; i < 2; i++) {
		cv_iproxy_init(&w->side[i].c, 5, 67, !i, w->now);
		w->side[i].end = i ? b : a;
		w->side[i].room = CV_IPROXY_DATA;
	}
}

static bool happens(struct world *w, unsigned percent)
{
	return percent && rnd_below(&w->seed, 100) < percent;
}

static void fly(struct world *w, int to, const struct cv_iproxy_packet *x)
{
	if (happens(w, w->loss) || w->flying == FLIGHT)
		return;
	struct packet *k = &w->flight[w->flying++];
	k->at = w->now + w->delay;
	if (happens(w, w->late))
		k->at += rnd_below(&w->seed, CV_MS(30));
	k->len = cv_iproxy_write(x, k->bytes);
	k->to = to;
}

static void write_some(struct world *w, int who)
{
	struct side *s = &w->side[who];
	uint32_t len = cv_iproxy_room(&s->c);
	if (len > s->end - s->put)
		len = s->end - s->put;
	for (uint32_t i = 0; i < len; i++)
		cv_iproxy_buffer(&s->c)[i] = byte_of(who, s->put + i);
	if (len)
		cv_iproxy_send(&s->c, len, w->now);
	s->put += len;
	if (s->put == s->end && !s->stays)
		cv_iproxy_finish(&s->c);
}

static void send_all(struct world *w, int who)
{
	struct side *s = &w->side[who];
	struct cv_iproxy_packet x;
	write_some(w, who);
	while (cv_iproxy_output(&s->c, &x, w->now)) {
		assert_int_equal(x.client, 5);
		assert_int_equal(x.server, 67);
		s->packets++;
		fly(w, !who, &x);
		if (happens(w, w->twice))
			fly(w, !who, &x);
	}
}

static void arrive(struct world *w, const struct packet *p)
{
	struct side *s = &w->side[p->to];
	struct cv_iproxy_packet k;
	assert_int_equal(cv_iproxy_read(&k, p->bytes, p->len), 0);
	unsigned news = cv_iproxy_input(&s->c, &k, s->room, w->now);
	if (news & CV_IPROXY_GOT) {
		assert_false(s->ended);
		for (uint32_t i = 0; i < k.len; i++)
			assert_int_equal(
				k.data[i], byte_of(!p->to, s->got + i));
		s->got += k.len;
	}
	if (news & CV_IPROXY_ENDED) {
		assert_int_equal(s->got, w->side[!p->to].end);
		s->ended = true;
	}
	if (news & CV_IPROXY_ROOM)
		assert_true(cv_iproxy_room(&s->c));
	s->closed += (news & CV_IPROXY_CLOSED) != 0;
}

/* the next thing that happens, before @until; false: nothing does */
static bool step(struct world *w, cv_time until)
{
	cv_time at = cv_earlier(cv_iproxy_deadline(&w->side[0].c),
		cv_iproxy_deadline(&w->side[1].c));
	int first = -1;
	for (unsigned i = 0; i < w->flying; i++)
		if (w->flight[i].at <= at) {
			at = w->flight[i].at;
			first = (int)i;
		}
	if (at >= until)
		return false;
	if (at > w->now)
		w->now = at;
	if (first >= 0) {
		struct packet p = w->flight[first];
		w->flight[first] = w->flight[--w->flying];
		arrive(w, &p);
	}
	send_all(w, 0);
	send_all(w, 1);
	return true;
}

static void run(struct world *w)
{
	send_all(w, 0);
	send_all(w, 1);
	while (!cv_iproxy_closed(&w->side[0].c) ||
		!cv_iproxy_closed(&w->side[1].c)) {
		assert_true(step(w, CV_SEC(3600)));
		for (int i = 0; i < 2; i++)
			assert_false(cv_iproxy_expired(&w->side[i].c, w->now));
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(w->side[i].got, w->side[!i].end);
		assert_true(w->side[i].ended);
		assert_int_equal(w->side[i].closed, 1);
	}
}

static void bytes_go_both_ways(void **state)
{
	struct world w;
	(void)state;
	begin(&w, 1, 5000, 3000);
	run(&w);
	/* KEEPALIVE, 5 DATA, FIN, 3 ACK and one of the FIN */
	assert_int_equal(w.side[0].packets, 11);
	begin(&w, 1, 0, 0);
	run(&w);
}

static void a_round_trip_carries_a_packet(void **state)
{
	struct world w;
	(void)state;
	begin(&w, 1, BYTES, 0);
	run(&w);
	cv_time took = w.now - CV_SEC(1), ideal = (BYTES / 1048 + 1) * 1000;
	assert_true(took < ideal * 101 / 100);
	assert_true(took >= ideal);
}

static void loss_costs_little(void **state)
{
	struct world w;
	(void)state;
	begin(&w, 9, BYTES, 0);
	w.loss = 10;
	run(&w);
	cv_time took = w.now - CV_SEC(1), ideal = (BYTES / 1048 + 1) * 1000;
	assert_true(took < ideal * 3);
}

static void a_long_way_is_not_flooded(void **state)
{
	struct world w;
	(void)state;
	begin(&w, 1, 20 * CV_IPROXY_DATA, 0);
	w.delay = CV_MS(150); /* longer than the first RESEND */
	run(&w);
	/* nothing that was sent twice is measured: 2 packets more for each, at
	   the worst */
	assert_true(w.side[0].packets < 3 * 22 + 1);
}

static void repetition_fits_the_way(void **state)
{
	struct world w;
	(void)state;
	begin(&w, 1, 20 * CV_IPROXY_DATA, 0);
	w.delay = 100;
	run(&w);
	assert_int_equal(w.side[0].c.resend, CV_IPROXY_RESEND_MIN);
	begin(&w, 1, 60 * CV_IPROXY_DATA, 0);
	w.delay = CV_MS(20);
	run(&w);
	assert_in_range(w.side[0].c.resend, CV_MS(80), CV_MS(81));
}

static void who_is_closed_is_silent(void **state)
{
	struct world w;
	uint64_t packets;
	(void)state;
	begin(&w, 1, 10, 10);
	run(&w);
	while (w.flying)
		step(&w, CV_SEC(20));
	packets = w.side[0].packets + w.side[1].packets;
	while (step(&w, CV_SEC(20)))
		;
	assert_true(cv_iproxy_deadline(&w.side[0].c) > CV_SEC(30));
	w.now = CV_SEC(20);
	send_all(&w, 0);
	send_all(&w, 1);
	assert_int_equal(packets, w.side[0].packets + w.side[1].packets);
}

static void transfers_end_complete_and_exact(void **state)
{
	struct world w;
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(&w, seed, 0, 0);
		w.side[0].end = (uint32_t)rnd_below(&w.seed, 6000);
		w.side[1].end = (uint32_t)rnd_below(&w.seed, 6000);
		w.loss = w.twice = 10;
		w.late = 20;
		run(&w);
	}
}

static void who_has_no_room_takes_nothing(void **state)
{
	struct world w;
	(void)state;
	begin(&w, 1, 3000, 0);
	w.side[1].room = CV_IPROXY_DATA - 1;
	send_all(&w, 0);
	while (step(&w, CV_SEC(10)))
		;
	assert_int_equal(w.side[1].got, 0);
	/* at last once a second, and that it comes is told */
	assert_in_range(w.side[0].packets, 10, 20);
	assert_int_equal(cv_iproxy_in_vain(&w.side[0].c), 0);
	w.side[1].room = CV_IPROXY_DATA;
	run(&w);
}

static void silence_is_the_end(void **state)
{
	struct world w;
	(void)state;
	begin(&w, 1, 3000, 0);
	w.loss = 100;
	send_all(&w, 0);
	while (!cv_iproxy_expired(&w.side[0].c, w.now))
		assert_true(step(&w, CV_SEC(40)));
	assert_true(w.now == CV_SEC(31));
	assert_true(cv_iproxy_expired(&w.side[1].c, w.now));
}

static void what_is_idle_lives(void **state)
{
	struct world w;
	(void)state;
	begin(&w, 1, 0, 0);
	w.side[0].stays = w.side[1].stays = true;
	send_all(&w, 0);
	while (step(&w, CV_SEC(301)))
		for (int i = 0; i < 2; i++)
			assert_false(cv_iproxy_expired(&w.side[i].c, w.now));
	for (int i = 0; i < 2; i++)
		assert_in_range(w.side[i].packets, 59, 125);
}

/* offsets go on at 0 behind 2^32 - 1 */
static void offsets_wrap(void **state)
{
	struct world w;
	(void)state;
	begin(&w, 3, 9000, 0);
	w.loss = w.twice = 10;
	w.side[0].c.next = w.side[1].c.expected = UINT32_MAX - 3000;
	run(&w);
}

/* --- one end --- */

static unsigned give(
	struct cv_iproxy *c, uint32_t flags, uint32_t len, uint32_t offset)
{
	static const uint8_t zeros[CV_IPROXY_DATA];
	struct cv_iproxy_packet x = { .flags = flags,
		.client = 5,
		.server = 67,
		.len = len,
		.offset = offset,
		.data = zeros };
	return cv_iproxy_input(c, &x, CV_IPROXY_DATA, CV_SEC(2));
}

/* what it sends next; GONE, which it never sends by itself: nothing */
static struct cv_iproxy_packet take(struct cv_iproxy *c)
{
	struct cv_iproxy_packet x;
	if (!cv_iproxy_output(c, &x, CV_SEC(2)))
		x = (struct cv_iproxy_packet){ .flags = CV_IPROXY_GONE };
	return x;
}

static void acknowledges(struct cv_iproxy *c, uint32_t offset)
{
	struct cv_iproxy_packet x = take(c);
	assert_int_equal(x.flags, CV_IPROXY_ACK);
	assert_int_equal(x.offset, offset);
	assert_int_equal(take(c).flags, CV_IPROXY_GONE);
}

static void what_does_not_fit_is_dropped(void **state)
{
	struct cv_iproxy c;
	(void)state;
	cv_iproxy_init(&c, 5, 67, false, CV_SEC(1));
	assert_int_equal(give(&c, CV_IPROXY_PLAIN, 10, 1), 0);
	assert_int_equal(take(&c).flags, CV_IPROXY_GONE);
	assert_int_equal(give(&c, CV_IPROXY_PLAIN, 10, 0), CV_IPROXY_GOT);
	acknowledges(&c, 10);
	assert_int_equal(give(&c, CV_IPROXY_PLAIN, 10, 0), 0);
	acknowledges(&c, 10);
	assert_int_equal(give(&c, CV_IPROXY_ALIVE, 0, 10), 0);
	acknowledges(&c, 10);
	assert_int_equal(give(&c, CV_IPROXY_HELLO, 1, 0), 0);
	assert_int_equal(give(&c, CV_IPROXY_FIN, 0, 10), CV_IPROXY_ENDED);
	acknowledges(&c, 11);
	assert_int_equal(give(&c, CV_IPROXY_FIN, 0, 10), 0);
	acknowledges(&c, 11);
	assert_int_equal(give(&c, CV_IPROXY_PLAIN, 5, 11), 0);
	assert_int_equal(take(&c).flags, CV_IPROXY_GONE);
}

static void only_what_was_sent_is_acknowledged(void **state)
{
	struct cv_iproxy c;
	(void)state;
	cv_iproxy_init(&c, 5, 67, false, CV_SEC(1));
	assert_int_equal(give(&c, CV_IPROXY_ACK, 0, 1), CV_IPROXY_LOST);
	cv_iproxy_send(&c, 7, CV_SEC(2));
	assert_int_equal(cv_iproxy_room(&c), 0);
	assert_int_equal(give(&c, CV_IPROXY_ACK, 0, 7), CV_IPROXY_LOST);
	assert_int_equal(take(&c).flags, CV_IPROXY_PLAIN);
	assert_int_equal(give(&c, CV_IPROXY_ACK, 0, 6), 0);
	cv_iproxy_finish(&c);
	assert_int_equal(give(&c, CV_IPROXY_ACK, 0, 7), 0);
	assert_int_equal(cv_iproxy_room(&c), 0);
	assert_int_equal(take(&c).flags, CV_IPROXY_FIN);
	assert_int_equal(give(&c, CV_IPROXY_ACK, 0, 8), 0);
	assert_false(cv_iproxy_closed(&c));
	assert_int_equal(give(&c, CV_IPROXY_FIN, 0, 0),
		CV_IPROXY_ENDED | CV_IPROXY_CLOSED);
}

/* nobody knows which of two was acknowledged */
static void what_was_repeated_is_not_measured(void **state)
{
	struct cv_iproxy c;
	struct cv_iproxy_packet x;
	(void)state;
	cv_iproxy_init(&c, 5, 67, false, CV_SEC(1));
	cv_iproxy_send(&c, 7, CV_SEC(1));
	assert_true(cv_iproxy_output(&c, &x, CV_SEC(1)));
	assert_true(cv_iproxy_deadline(&c) == CV_MS(1100));
	assert_false(cv_iproxy_output(&c, &x, CV_MS(1100) - 1));
	assert_true(cv_iproxy_output(&c, &x, CV_MS(1100)));
	assert_true(cv_iproxy_deadline(&c) == CV_MS(1300));
	assert_int_equal(give(&c, CV_IPROXY_ACK, 0, 7), CV_IPROXY_ROOM);
	assert_int_equal(c.resend, CV_IPROXY_RESEND);
}

static void who_has_moved_calls(void **state)
{
	struct cv_iproxy c;
	(void)state;
	cv_iproxy_init(&c, 5, 67, false, CV_SEC(2));
	assert_int_equal(take(&c).flags, CV_IPROXY_GONE);
	cv_iproxy_alive(&c);
	assert_true(cv_iproxy_deadline(&c) == 0);
	assert_int_equal(take(&c).flags, CV_IPROXY_ALIVE);
	assert_int_equal(take(&c).flags, CV_IPROXY_GONE);
	c.fin_acked = c.fin_seen = true;
	cv_iproxy_alive(&c);
	assert_int_equal(take(&c).flags, CV_IPROXY_GONE);
	assert_true(cv_iproxy_deadline(&c) == CV_SEC(32));
}

/* a server says it that has no room, and one that was restarted */
static void gone_is_the_end(void **state)
{
	struct cv_iproxy c;
	(void)state;
	cv_iproxy_init(&c, 5, 67, true, CV_SEC(1));
	assert_int_equal(take(&c).flags, CV_IPROXY_ALIVE);
	assert_int_equal(give(&c, CV_IPROXY_GONE, 0, 0), CV_IPROXY_LOST);
	give(&c, CV_IPROXY_FIN, 0, 0);
	acknowledges(&c, 1);
	cv_iproxy_send(&c, 3, CV_SEC(2));
	cv_iproxy_finish(&c);
	assert_int_equal(take(&c).flags, CV_IPROXY_PLAIN);
	assert_int_equal(give(&c, CV_IPROXY_GONE, 0, 0), CV_IPROXY_LOST);
}

/* the ACK of the FIN was lost, and who should repeat it has forgotten all */
static void gone_ends_well_what_has_ended(void **state)
{
	struct cv_iproxy c;
	(void)state;
	cv_iproxy_init(&c, 5, 67, false, CV_SEC(1));
	give(&c, CV_IPROXY_FIN, 0, 0);
	acknowledges(&c, 1);
	cv_iproxy_finish(&c);
	assert_int_equal(give(&c, CV_IPROXY_GONE, 0, 0), CV_IPROXY_LOST);
	assert_int_equal(take(&c).flags, CV_IPROXY_FIN);
	assert_int_equal(give(&c, CV_IPROXY_GONE, 0, 0), CV_IPROXY_CLOSED);
	assert_true(cv_iproxy_closed(&c));
	assert_int_equal(give(&c, CV_IPROXY_GONE, 0, 0), 0);
	assert_true(cv_iproxy_deadline(&c) == CV_SEC(32));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_is_as_it_is_written_down),
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(damage_is_noticed),
		cmocka_unit_test(only_what_belongs_together_is_read),
		cmocka_unit_test(its_length_is_the_datagrams),
		cmocka_unit_test(bytes_go_both_ways),
		cmocka_unit_test(a_round_trip_carries_a_packet),
		cmocka_unit_test(loss_costs_little),
		cmocka_unit_test(a_long_way_is_not_flooded),
		cmocka_unit_test(repetition_fits_the_way),
		cmocka_unit_test(transfers_end_complete_and_exact),
		cmocka_unit_test(who_has_no_room_takes_nothing),
		cmocka_unit_test(silence_is_the_end),
		cmocka_unit_test(what_is_idle_lives),
		cmocka_unit_test(who_is_closed_is_silent),
		cmocka_unit_test(offsets_wrap),
		cmocka_unit_test(what_does_not_fit_is_dropped),
		cmocka_unit_test(only_what_was_sent_is_acknowledged),
		cmocka_unit_test(what_was_repeated_is_not_measured),
		cmocka_unit_test(who_has_moved_calls),
		cmocka_unit_test(gone_is_the_end),
		cmocka_unit_test(gone_ends_well_what_has_ended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
