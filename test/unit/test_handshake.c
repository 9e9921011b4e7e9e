/* SPDX-License-Identifier: MIT */
/* test_handshake.c - initiation, response, cookie; doc/protocol.md, 4 and 9 */
#include "unit/check.h"

#include "core/keytext.h"
#include "unit/pair.h"

#define WIRE(p) (&(p)->wire[0])

/* what went over the wires, to look at and to send again */
struct tape {
	struct {
		uint8_t p[256];
		size_t len;
		int to;
	} packet[32];
	unsigned n;
	uint8_t lose; /* type of packets that do not arrive */
	uint8_t bend; /* type of packets in which @bit is turned over */
	size_t bit;
};

static bool tap(struct pair *p, struct end *to, uint8_t *data, size_t len)
{
	struct tape *t = p->user;
	if (data[0] == t->bend)
		data[t->bit / 8] ^= (uint8_t)(1 << t->bit % 8);
	if (t->n < CV_COUNT(t->packet)) {
		t->packet[t->n].len = len;
		t->packet[t->n].to = to == &to->pair->wire[0].end[B] ? B : A;
		memcpy(t->packet[t->n++].p, data, len < 256 ? len : 256);
	}
	return data[0] != t->lose;
}

static struct pair *pair_taped(bool plain)
{
	struct pair *p = pair_new(plain);
	p->user = calloc(1, sizeof(struct tape));
	assert_non_null(p->user);
	p->tap = tap;
	return p;
}

static void finish(struct pair *p)
{
	free(p->user);
	pair_free(p);
}

static int input(struct pair *p, int side, const void *data, size_t len)
{
	static uint8_t copy[70000];
	struct end *e = &WIRE(p)->end[side];
	memcpy(copy, data, len);
	p->now += CV_INIT_INTERVAL; /* no link begins more often */
	return cv_node_input(&e->side->node, &e->link, copy, len, p->now);
}

static void test_messages(void **state)
{
	struct pair *p = pair_taped(false);
	struct tape *t = p->user;
	static const uint8_t zero[CV_MAC];
	(void)state;
	p->side[A].node.server = 0x1234;
	p->side[B].node.server = 0xfedc;
	pair_up(p);
	assert_true(cv_session_up(p->side[B].s));
	assert_int_equal(t->packet[0].p[0], 0x01);
	assert_int_equal(t->packet[0].len, 168);
	assert_int_equal(t->packet[1].p[0], 0x02);
	assert_int_equal(t->packet[1].len, 128);
	/* the initiator speaks first under the new keys */
	assert_int_equal(t->packet[2].p[0], 0x04);
	assert_int_equal(t->packet[2].to, B);
	assert_memory_equal(t->packet[0].p + 152, zero, CV_MAC);
	/* indices: the sender's goes there and comes back, server first */
	assert_int_equal(cv_get16(t->packet[0].p + 1), 0x1234);
	assert_memory_equal(t->packet[0].p + 1, t->packet[1].p + 1, 7);
	assert_int_equal(cv_get16(t->packet[1].p + 9), 0xfedc);
	assert_memory_equal(t->packet[1].p + 9, t->packet[2].p + 1, 7);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(p->side[i].node.stats.handshakes, 1);
		assert_int_equal(pair_drops(p, i), 0);
	}
	finish(p);
}

static void test_plain_messages(void **state)
{
	struct pair *p = pair_taped(true);
	struct tape *t = p->user;
	(void)state;
	pair_up(p);
	assert_int_equal(t->packet[0].p[0], 0x11);
	assert_int_equal(t->packet[0].len, 72);
	assert_int_equal(t->packet[1].p[0], 0x12);
	assert_int_equal(t->packet[1].len, 48);
	assert_int_equal(t->packet[2].p[0], 0x14);
	assert_int_equal(t->packet[2].len, 16 + 5 + 9);
	assert_int_equal(pair_drops(p, A) + pair_drops(p, B), 0);
	finish(p);
}

/* a link that is somebody's makes no session for anybody else */
static void test_plain_other_identity(void **state)
{
	struct pair *p = pair_taped(true);
	struct tape *t = p->user;
	(void)state;
	pair_up(p);
	assert_int_equal(p->side[B].node.nsessions, 1);
	t->packet[0].p[8] ^= 1;
	assert_int_equal(input(p, B, t->packet[0].p, t->packet[0].len),
		CV_DROP_STRANGER);
	assert_int_equal(p->side[B].node.nsessions, 1);
	finish(p);
}

/* nothing comes of it: A gives the link up after five seconds */
static void gives_up(struct pair *p, int side, enum cv_drop why)
{
	struct wire *w = pair_wire(p, p->side[A].s);
	cv_time began = p->now;
	pair_settle(p);
	assert_int_equal(pair_drop(p, side, why), 1);
	assert_int_equal(pair_drops(p, side), 1);
	pair_run(p, began + CV_HANDSHAKE_TIMEOUT - 1);
	assert_true(w->end[A].open);
	pair_run(p, began + CV_HANDSHAKE_TIMEOUT + CV_MS(1));
	assert_false(w->end[A].open);
	assert_non_null(strstr(w->end[A].why, "no answer to the handshake"));
	assert_false(w->end[B].open);
	assert_int_equal(p->side[A].s->stats.handshakes_failed, 1);
	assert_int_equal(p->side[A].s->path->failures, 1);
	assert_false(cv_session_up(p->side[A].s));
	assert_null(p->side[B].s ? p->side[B].s->path->link : NULL);
}

static void test_wrong_key(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	/* A has B's key wrong: silence, for that is how strangers are met */
	p->side[A].s->pub[0] ^= 1;
	gives_up(p, B, CV_DROP_BAD_MAC);
	assert_int_equal(p->side[B].node.stats.tx_packets, 0);
	pair_free(p);
}

static void test_unknown_peer(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	cv_session_free(p->side[B].s);
	p->side[B].s = NULL;
	gives_up(p, B, CV_DROP_UNKNOWN_PEER);
	assert_int_equal(p->side[B].node.stats.tx_packets, 0);
	/* its operator is told, for it knew our key */
	char key[CULVERT_KEYTEXT], want[200];
	snprintf(want, sizeof want,
		"msg=\"no such peer here\" key=%s link=wire://127.0.0.1:1000",
		cv_keytext_format(p->side[A].node.pub, key));
	assert_string_equal(p->side[B].mem.line, want);
	pair_free(p);
}

static void test_wrong_psk(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	p->side[B].s->psk[31] = 1;
	gives_up(p, A, CV_DROP_FORGED);
	/* with the same one it works */
	p->side[A].s->psk[31] = 1;
	pair_up(p);
	pair_free(p);
}

static void test_plain_against_sealed(void **state)
{
	(void)state;
	for (int plain = 0; plain < 2; plain++) {
		struct pair *p = pair_new(false);
		p->side[plain ? A : B].node.plain = true;
		p->side[A].s->plain = plain;
		gives_up(p, B, CV_DROP_PLAIN);
		pair_free(p);
	}
}

static void test_does_not_accept(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	p->side[B].node.accepts = false;
	gives_up(p, B, CV_DROP_UNKNOWN_PEER);
	p->side[B].node.accepts = p->side[B].node.draining = true;
	p->side[B].node.stats.drop[CV_DROP_UNKNOWN_PEER] = 0;
	p->side[A].s->path->failures = 0;
	p->side[A].s->stats.handshakes_failed = 0;
	gives_up(p, B, CV_DROP_UNKNOWN_PEER);
	pair_free(p);
}

/* initiations on one link have their distance, right ones or not */
static void test_too_often(void **state)
{
	struct pair *p = pair_taped(false);
	struct tape *t = p->user;
	struct end *e = &WIRE(p)->end[B];
	uint8_t copy[CV_INIT_SIZE];
	(void)state;
	pair_up(p);
	p->now += CV_INIT_INTERVAL - 1;
	for (int i = 0; i < 3; i++) {
		memcpy(copy, t->packet[0].p, sizeof copy);
		assert_int_equal(cv_node_input(&e->side->node, &e->link, copy,
					 sizeof copy, p->now),
			i == 1 ? CV_DROP_STALE_HELLO : CV_DROP_FLOOD);
		p->now += i == 0;
	}
	finish(p);
}

static void test_replayed_initiation(void **state)
{
	struct pair *p = pair_taped(false);
	struct tape *t = p->user;
	(void)state;
	pair_up(p);
	struct cv_keys *cur = p->side[B].s->cur;
	assert_int_equal(input(p, B, t->packet[0].p, t->packet[0].len),
		CV_DROP_STALE_HELLO);
	/* on another connection too, and the session stays where it is */
	struct wire *w = pair_wire(p, NULL);
	uint8_t copy[CV_INIT_SIZE];
	memcpy(copy, t->packet[0].p, sizeof copy);
	assert_int_equal(cv_node_input(&p->side[B].node, &w->end[B].link, copy,
				 sizeof copy, p->now),
		CV_DROP_STALE_HELLO);
	pair_settle(p);
	assert_ptr_equal(p->side[B].s->cur, cur);
	assert_ptr_equal(p->side[B].s->path->link, &WIRE(p)->end[B].link);
	finish(p);
}

/* a recorded initiation that B never saw is answered, but moves nothing */
static void test_delayed_initiation(void **state)
{
	struct pair *p = pair_taped(false);
	struct tape *t = p->user;
	(void)state;
	pair_up(p);
	t->lose = CV_PACKET_INIT;
	t->n = 0;
	pair_run(p, p->now + CV_REKEY_AFTER_TIME + CV_SEC(1));
	unsigned i = 0;
	while (t->packet[i].p[0] != CV_PACKET_INIT)
		assert_true(++i < t->n);
	struct wire *w = pair_wire(p, NULL);
	struct cv_keys *cur = p->side[B].s->cur;
	assert_int_equal(cv_node_input(&p->side[B].node, &w->end[B].link,
				 t->packet[i].p, CV_INIT_SIZE, p->now),
		0);
	pair_settle(p);
	assert_ptr_equal(p->side[B].s->cur, cur);
	assert_ptr_equal(p->side[B].s->path->link, &WIRE(p)->end[B].link);
	/* A did not ask over that wire */
	assert_int_equal(pair_drop(p, A, CV_DROP_UNKNOWN_INDEX), 1);
	assert_true(cv_session_up(p->side[A].s));
	finish(p);
}

static bool allowed_flip(uint8_t type, size_t bit)
{
	/* X25519 ignores the top bit of the ephemeral key, but mac1 does not;
	   mac2 is read only under load */
	return type == CV_PACKET_INIT ? bit >= 8 * 152 : bit >= 8 * 112;
}

static void bent(uint8_t type, size_t bit)
{
	struct pair *p = pair_taped(false);
	struct tape *t = p->user;
	t->bend = type;
	t->bit = bit;
	pair_wire(p, p->side[A].s);
	pair_settle(p);
	bool up = cv_session_up(p->side[A].s);
	assert_int_equal(up, allowed_flip(type, bit));
	/* what was forged spoiled nothing: the true one still counts */
	if (!up && type == CV_PACKET_RESPONSE) {
		t->packet[1].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(input(p, A, t->packet[1].p, 128), 0);
		assert_true(cv_session_up(p->side[A].s));
	}
	finish(p);
}

static void test_every_bent_byte(void **state)
{
	(void)state;
	for (size_t byte = 0; byte < CV_INIT_SIZE; byte++)
		bent(CV_PACKET_INIT, 8 * byte + byte % 8);
	for (size_t byte = 0; byte < CV_RESPONSE_SIZE; byte++) {
		if (byte < 8 || byte >= 16) /* B's index is B's affair */
			bent(CV_PACKET_RESPONSE, 8 * byte + byte % 8);
	}
}

static void test_every_length(void **state)
{
	struct pair *p = pair_taped(false);
	struct tape *t = p->user;
	uint8_t big[600] = { 0 };
	(void)state;
	pair_up(p);
	for (size_t len = 0; len < sizeof big; len++) {
		for (int k = 0; k < 2; k++) {
			memcpy(big, t->packet[k].p, t->packet[k].len);
			if (len == t->packet[k].len)
				continue;
			assert_int_equal(
				input(p, !k, big, len), CV_DROP_MALFORMED);
		}
		big[0] = CV_PACKET_COOKIE;
		if (len != CV_COOKIE_SIZE)
			assert_int_equal(
				input(p, A, big, len), CV_DROP_MALFORMED);
	}
	finish(p);
}

static void test_every_plain_length(void **state)
{
	struct pair *p = pair_taped(true);
	struct tape *t = p->user;
	uint8_t big[600] = { 0 };
	(void)state;
	t->lose = CV_PACKET_PLAIN_RESPONSE;
	pair_wire(p, p->side[A].s);
	pair_settle(p);
	for (size_t len = 0; len < sizeof big; len++) {
		for (int k = 0; k < 2; k++) {
			memcpy(big, t->packet[k].p, t->packet[k].len);
			if (len == t->packet[k].len)
				continue;
			assert_int_equal(
				input(p, !k, big, len), CV_DROP_MALFORMED);
		}
	}
	big[0] = CV_PACKET_COOKIE;
	assert_int_equal(input(p, A, big, CV_COOKIE_SIZE), CV_DROP_MALFORMED);
	/* another version of the protocol */
	cv_put16(t->packet[0].p + 40, 2);
	assert_int_equal(input(p, B, t->packet[0].p, t->packet[0].len),
		CV_DROP_MALFORMED);
	cv_put16(t->packet[1].p + 16, 2);
	assert_int_equal(input(p, A, t->packet[1].p, t->packet[1].len),
		CV_DROP_MALFORMED);
	finish(p);
}

static void craft(struct pair *p, const struct cv_hello *hello, uint8_t *out)
{
	struct side *a = &p->side[A];
	struct cv_noise noise;
	uint8_t e[CV_KEY];
	rnd_fill(&p->seed, e, sizeof e);
	cv_head_put(out, CV_PACKET_INIT, 77);
	assert_int_equal(cv_noise_init(&noise, a->node.crypto, a->node.priv,
				 a->s->pub, CV_PROLOGUE),
		0);
	cv_hello_put(out + CV_INIT_NOISE + 80, hello);
	assert_int_equal(cv_noise_write1(&noise, e, a->node.pub,
				 out + CV_INIT_NOISE, CV_HELLO),
		0);
	assert_int_equal(cv_mac1(a->node.crypto, out + CV_INIT_MAC1, a->s->pub,
				 out, CV_INIT_MAC1),
		0);
	memset(out + CV_INIT_MAC1 + CV_MAC, 0, CV_MAC);
}

static void test_other_version_and_stamps(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_hello h = { .version = 2, .stamp = 5, .instance = 1 };
	uint8_t init[CV_INIT_SIZE];
	(void)state;
	pair_wire(p, NULL);
	craft(p, &h, init);
	assert_int_equal(input(p, B, init, sizeof init), CV_DROP_MALFORMED);
	h.version = 1;
	craft(p, &h, init);
	assert_int_equal(input(p, B, init, sizeof init), 0);
	/* only a larger stamp is newer */
	for (h.stamp = 3; h.stamp < 6; h.stamp++) {
		craft(p, &h, init);
		assert_int_equal(
			input(p, B, init, sizeof init), CV_DROP_STALE_HELLO);
	}
	craft(p, &h, init);
	assert_int_equal(input(p, B, init, sizeof init), 0);
	pair_free(p);
}

/* answers waiting on a link that takes none are bounded */
static void test_replies_are_bounded(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_hello h = { .version = 1, .instance = 1 };
	uint8_t init[CV_INIT_SIZE];
	int taken = 0;
	(void)state;
	struct wire *w = pair_wire(p, NULL);
	pair_block(&w->end[B]);
	for (h.stamp = 1; h.stamp < 30; h.stamp++) {
		craft(p, &h, init);
		taken += input(p, B, init, sizeof init) == 0;
	}
	assert_int_equal(taken, CV_REPLY_BUFS);
	assert_int_equal(w->end[B].link.replies.count, CV_REPLY_BUFS);
	assert_int_equal(pair_drop(p, B, CV_DROP_NO_BUFFER), 29 - taken);
	pair_free(p);
}

/* --- cookies --- */

static void load(struct pair *p)
{
	struct cv_cookies *k = &p->side[B].node.cookies;
	while (!cv_cookies_loaded(k, p->now))
		;
}

static void test_cookie_under_load(void **state)
{
	struct pair *p = pair_taped(false);
	struct tape *t = p->user;
	static const uint8_t zero[CV_MAC];
	(void)state;
	load(p);
	pair_up(p);
	assert_int_equal(pair_drop(p, B, CV_DROP_UNDER_LOAD), 1);
	assert_int_equal(pair_drops(p, A), 0);
	assert_int_equal(t->packet[1].p[0], 0x03);
	assert_int_equal(t->packet[1].len, 56);
	assert_int_equal(t->packet[2].p[0], 0x01);
	assert_memory_not_equal(t->packet[2].p + 152, zero, CV_MAC);
	assert_int_equal(t->packet[3].p[0], 0x02);
	finish(p);
}

static void test_cookie_is_kept_for_its_life(void **state)
{
	struct pair *p = pair_taped(false);
	struct tape *t = p->user;
	static const uint8_t zero[CV_MAC];
	(void)state;
	load(p);
	struct wire *w = pair_up(p);
	for (int i = 0; i < 2; i++) {
		pair_cut(p, w);
		p->now += CV_COOKIE_LIFE / 2 + (cv_time)i;
		t->n = 0;
		load(p);
		w = pair_up(p);
		bool old = i == 1;
		assert_int_equal(
			memcmp(t->packet[0].p + 152, zero, CV_MAC) == 0, old);
		assert_int_equal(t->packet[1].p[0], old ? 0x03 : 0x02);
	}
	finish(p);
}

/* a cookie belongs to an address: on another link there is another */
static void test_cookie_of_another_address(void **state)
{
	struct pair *p = pair_new(false);
	(void)state;
	load(p);
	struct wire *w = pair_up(p);
	for (uint16_t i = 1; i < 4; i++) {
		pair_cut(p, w);
		p->now += CV_INIT_INTERVAL;
		load(p);
		w = pair_wire(p, p->side[A].s);
		w->end[B].link.remote.port += i;
		pair_settle(p);
		assert_true(cv_session_up(p->side[A].s));
		assert_int_equal(pair_drop(p, B, CV_DROP_UNDER_LOAD), 1 + i);
	}
	assert_int_equal(pair_drop(p, A, CV_DROP_FLOOD), 0);
	pair_free(p);
}

/* whoever gets a cookie has another address by the time it says so */
static bool move_on(struct pair *p, struct end *to, uint8_t *packet, size_t len)
{
	(void)p;
	(void)len;
	if (packet[0] == CV_PACKET_COOKIE)
		to->far->link.remote.port++;
	return true;
}

/* each costs a handshake: one link does not give two within a second */
static void test_second_cookie(void **state)
{
	(void)state;
	for (cv_time late = 0; late < 2; late++) {
		struct pair *p = pair_new(false);
		pair_wire(p, p->side[A].s);
		p->tap = move_on;
		p->delay = CV_COOKIE_INTERVAL / 2;
		load(p);
		pair_settle(p); /* an initiation, under way */
		for (int i = 0; i < 4; i++) {
			p->now += p->delay;
			p->delay -= i == 1 && !late;
			load(p);
			pair_settle(p);
		}
		assert_int_equal(pair_drop(p, A, CV_DROP_FLOOD), !late);
		pair_free(p);
	}
}

static void test_forged_cookies(void **state)
{
	(void)state;
	for (size_t byte = 1; byte < CV_COOKIE_SIZE; byte++) {
		struct pair *p = pair_taped(false);
		struct tape *t = p->user;
		t->bend = CV_PACKET_COOKIE;
		t->bit = 8 * byte;
		load(p);
		pair_wire(p, p->side[A].s);
		pair_settle(p);
		assert_int_equal(pair_drop(p, A,
					 byte < 8 ? CV_DROP_UNKNOWN_INDEX
						  : CV_DROP_FORGED),
			1);
		assert_int_equal(p->side[A].s->cookie_at, 0);
		finish(p);
	}
}

/* a cookie costs no more than it: the answers to a flood are bounded */
static void test_flood(void **state)
{
	struct pair *p = pair_new(false);
	struct cv_hello h = { .version = 1, .instance = 1, .stamp = 9 };
	uint8_t init[CV_INIT_SIZE];
	(void)state;
	struct wire *w = pair_wire(p, NULL);
	pair_block(&w->end[B]);
	craft(p, &h, init);
	load(p);
	for (int i = 0; i < 1000; i++) {
		uint8_t copy[CV_INIT_SIZE];
		memcpy(copy, init, sizeof copy);
		assert_int_equal(
			cv_node_input(&p->side[B].node, &w->end[B].link, copy,
				sizeof copy, p->now),
			i <= CV_COOKIES_LINK ? CV_DROP_UNDER_LOAD
					     : CV_DROP_FLOOD);
	}
	assert_int_equal(w->end[B].link.replies.count, CV_COOKIES_LINK + 1);
	assert_int_equal(p->side[B].s->stamp, 0); /* nothing was remembered */
	pair_free(p);
}

/* --- who answers what --- */

static void test_response_to_nobody(void **state)
{
	struct pair *p = pair_taped(false);
	struct tape *t = p->user;
	(void)state;
	pair_up(p);
	/* once is enough */
	assert_int_equal(input(p, A, t->packet[1].p, CV_RESPONSE_SIZE),
		CV_DROP_UNKNOWN_INDEX);
	finish(p);
}

static void test_response_over_another_link(void **state)
{
	struct pair *p = pair_taped(false);
	struct tape *t = p->user;
	(void)state;
	t->lose = CV_PACKET_RESPONSE;
	pair_wire(p, p->side[A].s);
	pair_settle(p);
	struct wire *other = pair_wire(p, NULL);
	assert_int_equal(cv_node_input(&p->side[A].node, &other->end[A].link,
				 t->packet[1].p, CV_RESPONSE_SIZE, p->now),
		CV_DROP_UNKNOWN_INDEX);
	finish(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_plain_messages),
		cmocka_unit_test(test_plain_other_identity),
		cmocka_unit_test(test_wrong_key),
		cmocka_unit_test(test_unknown_peer),
		cmocka_unit_test(test_wrong_psk),
		cmocka_unit_test(test_plain_against_sealed),
		cmocka_unit_test(test_does_not_accept),
		cmocka_unit_test(test_too_often),
		cmocka_unit_test(test_replayed_initiation),
		cmocka_unit_test(test_delayed_initiation),
		cmocka_unit_test(test_every_bent_byte),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_every_plain_length),
		cmocka_unit_test(test_other_version_and_stamps),
		cmocka_unit_test(test_replies_are_bounded),
		cmocka_unit_test(test_cookie_under_load),
		cmocka_unit_test(test_cookie_is_kept_for_its_life),
		cmocka_unit_test(test_cookie_of_another_address),
		cmocka_unit_test(test_second_cookie),
		cmocka_unit_test(test_forged_cookies),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_response_to_nobody),
		cmocka_unit_test(test_response_over_another_link),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
