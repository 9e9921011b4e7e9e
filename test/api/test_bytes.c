/* SPDX-License-Identifier: MIT */
/* test_bytes.c - nodes without a loop: bytes and time are the program's */
#include "bytes.h"

static struct pair p;

static void up(const char *more)
{
	pair_begin(&p, more);
	pair_wire(&p);
	pair_settle(&p);
	assert_int_equal(p.side[A].up, 1);
	assert_int_equal(p.side[B].up, 1);
}

static int end(void **state)
{
	(void)state;
	pair_end(&p);
	return 0;
}

static void test_handshake(void **state)
{
	(void)state;
	up("");
	assert_string_equal(p.side[A].peer, "b");
	assert_string_equal(p.side[B].peer, "a");
	assert_true(side_shows(&p.side[A], "show", "state: up"));
	pair_open(&p, "app://x");
	assert_string_equal(p.side[B].peer, "a");
	assert_string_equal(p.side[B].target, "app://x");
}

static void test_plain(void **state)
{
	(void)state;
	up("Plain = yes\n");
	assert_string_equal(p.side[A].peer, "b");
	assert_string_equal(p.side[B].peer, "");
	pair_open(&p, "app://x");
	assert_string_equal(p.side[B].peer, "");
	assert_string_equal((char *)p.side[B].data, "hello");
}

static void test_wrong_key(void **state)
{
	(void)state;
	pair_begin(&p, "");
	p.keys[B] = keys_make();
	assert_int_equal(pair_reload(&p, A, ""), 0);
	pair_wire(&p);
	pair_settle(&p);
	assert_int_equal(p.side[A].up + p.side[B].up, 0);
	assert_int_equal(p.wire.err[B], CULVERT_EPROTO);
	/* of no use from then on, and it says nothing */
	uint8_t out[64];
	assert_int_equal(culvert_link_input(p.wire.end[B], NULL, 0, p.now),
		CULVERT_EPROTO);
	assert_int_equal(
		culvert_link_output(p.wire.end[B], out, sizeof out, p.now), 0);
}

static void test_garbage(void **state)
{
	uint8_t junk[2000];
	(void)state;
	pair_begin(&p, "");
	for (unsigned i = 0; i < 200; i++) {
		culvert_link *l;
		for (size_t k = 0; k < sizeof junk; k++)
			junk[k] = (uint8_t)pair_random(&p, 256);
		assert_int_equal(
			culvert_link_open(p.side[B].node, NULL, p.now, &l), 0);
		assert_int_equal(
			culvert_link_input(l, junk, sizeof junk, p.now),
			CULVERT_EPROTO);
		culvert_link_close(l);
	}
	assert_int_equal(p.side[B].up, 0);
	pair_wire(&p);
	pair_settle(&p);
	assert_int_equal(p.side[B].up, 1);
}

static void test_byte_by_byte(void **state)
{
	(void)state;
	pair_begin(&p, "");
	p.piece = 1;
	pair_wire(&p);
	pair_settle(&p);
	culvert_flow *f = pair_open(&p, "app://x");
	for (unsigned len = 0; len < 400; len += 57) {
		uint8_t data[400];
		fill(data, len, len);
		assert_int_equal(culvert_send(f, data, len), 0);
		pair_settle(&p);
		assert_int_equal(p.side[B].len, len);
		assert_true(filled(p.side[B].data, len, len));
	}
}

static void test_targets(void **state)
{
	static const char *const target[] = { "app://x", "app://x/y?z=1", "",
		"udp://192.0.2.1:53", "udp://name.example:1",
		"udp://[2001:db8::1]:65535" };
	(void)state;
	up("");
	for (size_t i = 0; i < sizeof target / sizeof *target; i++) {
		culvert_flow *f = pair_open(&p, target[i]);
		assert_string_equal(p.side[B].target, target[i]);
		culvert_close(f);
	}
	pair_settle(&p);
	assert_int_equal(p.side[B].closed, p.side[B].asked);
	assert_int_equal(p.side[A].closed, 0);
}

static void test_refusals(void **state)
{
	static const struct {
		int answer, why;
	} row[] = {
		{ CULVERT_EREFUSED, CULVERT_EREFUSED },
		{ CULVERT_EINVAL, CULVERT_EINVAL },
		{ CULVERT_ESYNTAX, CULVERT_EINVAL },
		{ CULVERT_ENOMEM, CULVERT_EFULL },
		{ CULVERT_EFULL, CULVERT_EFULL },
		{ CULVERT_ESYS, CULVERT_ESYS },
		{ CULVERT_ESTATE, CULVERT_ESYS }, { -1000, CULVERT_ESYS },
		{ 1, CULVERT_EREFUSED }, /* nonsense */
	};
	(void)state;
	up("");
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		culvert_flow *f;
		side_clear(&p.side[A]);
		side_clear(&p.side[B]);
		p.side[B].answer = row[i].answer;
		assert_int_equal(
			culvert_open(p.side[A].node, "b", "app://x", &f), 0);
		culvert_flow_set(f, &p);
		assert_ptr_equal(culvert_flow_get(f), &p);
		culvert_send(f, "x", 1);
		pair_settle(&p);
		assert_int_equal(p.side[B].asked, 1);
		assert_int_equal(p.side[B].closed, 0);
		assert_int_equal(p.side[B].dgrams, 0);
		assert_int_equal(p.side[A].closed, 1);
		assert_int_equal(p.side[A].opened, 0);
		assert_int_equal(p.side[A].why, row[i].why);
		assert_ptr_equal(p.side[A].gone, f);
	}
	assert_int_equal(side_count(&p.side[B], "flows"), 0);
}

static void test_nobody_accepts(void **state)
{
	char conf[CONF];
	culvert_flow *f;
	(void)state;
	pair_begin(&p, "");
	side_end(&p.side[B]);
	struct culvert_options o = side_options(&p.side[B]);
	o.flags = CULVERT_NO_LOOP;
	o.accept = NULL;
	side_new(&p.side[B], &o, pair_conf(&p, B, "", conf));
	pair_wire(&p);
	assert_int_equal(culvert_open(p.side[A].node, "b", "app://x", &f), 0);
	culvert_send(f, "x", 1);
	pair_settle(&p);
	assert_int_equal(p.side[A].why, CULVERT_EREFUSED);
}

static void test_sizes(void **state)
{
	static const size_t size[] = { 0, 1, 2, 447, 448, 1472, 9000, 32768,
		65000, 65506, 65507 };
	static uint8_t data[CULVERT_DGRAM_MAX + 1];
	(void)state;
	up("");
	culvert_flow *f = pair_open(&p, "app://x");
	for (int from = 0; from < 2; from++) {
		struct side *to = &p.side[!from];
		for (unsigned i = 0; i < sizeof size / sizeof *size; i++) {
			unsigned had = to->dgrams;
			fill(data, size[i], i);
			assert_int_equal(
				culvert_send(from == A ? f : p.side[B].flow,
					data, size[i]),
				0);
			pair_settle(&p);
			assert_int_equal(to->dgrams, had + 1);
			assert_int_equal(to->len, size[i]);
			assert_true(filled(to->data, size[i], i));
		}
	}
	assert_int_equal(culvert_send(f, data, sizeof data), CULVERT_EINVAL);
	assert_int_equal(culvert_send(f, NULL, 1), CULVERT_EINVAL);
	assert_int_equal(culvert_send(f, NULL, 0), 0);
}

static void test_close(void **state)
{
	(void)state;
	up("");
	culvert_flow *f = pair_open(&p, "app://x");
	culvert_close(f);
	assert_int_equal(p.side[A].closed, 0);
	pair_settle(&p);
	assert_int_equal(p.side[A].closed, 0);
	assert_int_equal(p.side[B].closed, 1);
	assert_int_equal(p.side[B].why, 0);

	f = pair_open(&p, "app://y");
	culvert_close(p.side[B].flow);
	pair_settle(&p);
	assert_int_equal(p.side[A].closed, 1);
	assert_ptr_equal(p.side[A].gone, f);
	assert_int_equal(p.side[B].closed, 1);
	assert_int_equal(side_count(&p.side[A], "flows"), 0);
	assert_int_equal(side_count(&p.side[B], "flows"), 0);

	/* both at once */
	f = pair_open(&p, "app://z");
	culvert_close(f);
	culvert_close(p.side[B].flow);
	pair_settle(&p);
	assert_int_equal(side_count(&p.side[A], "flows"), 0);
}

static void test_idle(void **state)
{
	(void)state;
	up("IdleTimeout = 30\n");
	pair_open(&p, "app://x");
	pair_run(&p, SEC(29));
	assert_int_equal(p.side[A].closed, 0);
	pair_run(&p, SEC(2));
	assert_int_equal(p.side[A].closed, 1);
	assert_int_equal(p.side[A].why, 0);
	assert_int_equal(p.side[B].closed, 1);
}

/* what is not asked for in time is not sent */
static void test_aged(void **state)
{
	(void)state;
	up("MaxAge = 50ms\n");
	culvert_flow *f = pair_open(&p, "app://x");
	unsigned had = p.side[B].dgrams;
	p.wire.mute[A] = true;
	for (int i = 0; i < 7; i++)
		assert_int_equal(culvert_send(f, "x", 1), 0);
	pair_run(&p, MS(49));
	assert_int_equal(side_count(&p.side[A], "aged"), 0);
	pair_run(&p, MS(2));
	assert_int_equal(side_count(&p.side[A], "aged"), 7);
	p.wire.mute[A] = false;
	assert_int_equal(culvert_send(f, "y", 1), 0);
	pair_settle(&p);
	assert_int_equal(p.side[B].dgrams, had + 1);
}

/* what the stream held for too long is not delivered */
static void test_late(void **state)
{
	(void)state;
	up("MaxAge = 50ms\n");
	culvert_flow *f = pair_open(&p, "app://x");
	unsigned had = p.side[B].dgrams;
	p.wire.hold[A] = true;
	for (int i = 0; i < 7; i++)
		culvert_send(f, "x", 1);
	pair_run(&p, MS(600));
	p.wire.hold[A] = false;
	pair_settle(&p);
	assert_int_equal(side_count(&p.side[B], "late"), 7);
	assert_int_equal(p.side[B].dgrams, had);
	culvert_send(f, "y", 1);
	pair_settle(&p);
	assert_int_equal(p.side[B].dgrams, had + 1);
}

/* a stream that takes nothing: senders are told */
static void test_behind(void **state)
{
	uint8_t byte, data[1000] = { 0 };
	(void)state;
	up("");
	culvert_flow *f = pair_open(&p, "app://x");
	assert_int_equal(culvert_send(f, data, sizeof data), 0);
	assert_int_equal(
		culvert_link_output(p.wire.end[A], &byte, 1, p.now), 1);
	assert_int_equal(culvert_send(f, data, sizeof data), CULVERT_EFULL);
}

static void test_reconnect(void **state)
{
	(void)state;
	up("");
	culvert_flow *f = pair_open(&p, "app://x"), *g = p.side[B].flow;
	for (unsigned i = 2; i < 20; i++) {
		unsigned a = p.side[A].dgrams, b = p.side[B].dgrams;
		pair_cut(&p);
		pair_run(&p, MS(100));
		assert_int_equal(p.side[A].down, i - 1);
		assert_int_equal(p.side[B].down, i - 1);
		/* they wait for the peer */
		assert_int_equal(culvert_send(f, "to b", 4), CULVERT_EFULL);
		assert_int_equal(culvert_send(g, "to a", 4), CULVERT_EFULL);
		pair_run(&p, MS(100));
		pair_wire(&p);
		pair_settle(&p);
		assert_int_equal(p.side[A].up, i);
		assert_int_equal(p.side[B].up, i);
		assert_int_equal(p.side[A].dgrams, a + 1);
		assert_int_equal(p.side[B].dgrams, b + 1);
		assert_ptr_equal(p.side[A].from, f);
		assert_ptr_equal(p.side[B].from, g);
	}
	assert_int_equal(p.side[A].closed + p.side[B].closed, 0);
	assert_int_equal(p.side[B].asked, 1);
}

/* a second stream while the first still lives takes over */
static void test_another_stream(void **state)
{
	(void)state;
	up("");
	culvert_flow *f = pair_open(&p, "app://x");
	struct wire old = p.wire;
	p.now += 1; /* no two initiations are of the same time */
	pair_wire(&p);
	pair_settle(&p);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(culvert_link_input(old.end[i], NULL, 0, p.now),
			CULVERT_EPROTO);
		culvert_link_close(old.end[i]);
		free(old.q[i]);
	}
	unsigned had = p.side[B].dgrams;
	culvert_send(f, "x", 1);
	pair_settle(&p);
	assert_int_equal(p.side[B].dgrams, had + 1);
}

/* the far node begins anew: flows of ours are opened again */
static void test_restart(void **state)
{
	char conf[CONF];
	(void)state;
	up("");
	culvert_flow *f = pair_open(&p, "app://x");
	pair_cut(&p);
	side_end(&p.side[B]);
	side_clear(&p.side[B]);
	struct culvert_options o = side_options(&p.side[B]);
	o.flags = CULVERT_NO_LOOP;
	side_new(&p.side[B], &o, pair_conf(&p, B, "", conf));
	p.now += SEC(5);
	pair_wire(&p);
	pair_settle(&p);
	culvert_send(f, "again", 5);
	pair_settle(&p);
	assert_int_equal(p.side[B].asked, 1);
	assert_int_equal(p.side[B].dgrams, 1);
	assert_int_equal(p.side[A].opened, 2);
	assert_int_equal(p.side[A].closed, 0);
}

static void test_heartbeat(void **state)
{
	(void)state;
	up("");
	pair_run(&p, SEC(600));
	assert_int_equal(p.side[A].up, 1);
	assert_int_equal(p.side[A].down + p.side[B].down, 0);
	/* nothing comes any more: both notice, and no sooner than they must */
	p.wire.hold[A] = p.wire.hold[B] = true;
	pair_run(&p, SEC(9));
	assert_int_equal(p.side[A].down + p.side[B].down, 0);
	pair_run(&p, SEC(31));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(p.side[i].down, 1);
		assert_int_equal(
			culvert_link_input(p.wire.end[i], NULL, 0, p.now),
			CULVERT_EPROTO);
	}
}

static void test_rekey(void **state)
{
	(void)state;
	up("");
	culvert_flow *f = pair_open(&p, "app://x");
	assert_int_equal(side_count(&p.side[A], "handshakes"), 1);
	for (int i = 0; i < 130; i++) {
		unsigned had = p.side[B].dgrams;
		culvert_send(f, "x", 1);
		pair_run(&p, SEC(1));
		assert_int_equal(p.side[B].dgrams, had + 1);
	}
	assert_int_equal(side_count(&p.side[A], "handshakes"), 2);
	assert_int_equal(p.side[A].down, 0);
}

static void test_stop(void **state)
{
	culvert_flow *other;
	(void)state;
	up("");
	culvert_flow *f = pair_open(&p, "app://x");
	for (int i = 0; i < 50; i++)
		culvert_send(f, "last words", 10);
	culvert_stop(p.side[A].node);
	assert_int_equal(culvert_deadline(p.side[A].node), p.now);
	assert_int_equal(culvert_tick(p.side[A].node, p.now), 0);
	assert_int_equal(p.side[A].stopped, 0);
	/* nothing new */
	assert_int_equal(culvert_send(f, "x", 1), CULVERT_ESTATE);
	assert_int_equal(culvert_open(p.side[A].node, "b", "app://x", &other),
		CULVERT_ESTATE);
	assert_int_equal(pair_reload(&p, A, ""), CULVERT_ESTATE);
	pair_run(&p, 0);
	assert_int_equal(p.side[A].stopped, 1);
	assert_int_equal(p.side[B].dgrams, 51);
	assert_int_equal(p.side[B].down, 1);
	assert_int_equal(p.wire.err[B], CULVERT_EPROTO);
	culvert_link *link;
	assert_int_equal(culvert_link_open(p.side[A].node, "b", p.now, &link),
		CULVERT_ESTATE);
	pair_run(&p, SEC(5));
	assert_int_equal(p.side[A].stopped, 1);
}

static void test_stop_behind(void **state)
{
	(void)state;
	up("");
	culvert_flow *f = pair_open(&p, "app://x");
	culvert_send(f, "x", 1);
	p.wire.mute[A] = true;
	uint8_t byte;
	assert_int_equal(
		culvert_link_output(p.wire.end[A], &byte, 1, p.now), 1);
	culvert_stop(p.side[A].node);
	pair_run(&p, MS(990));
	assert_int_equal(p.side[A].stopped, 0);
	pair_run(&p, MS(11));
	assert_int_equal(p.side[A].stopped, 1);
}

static void test_stop_twice(void **state)
{
	(void)state;
	up("");
	p.wire.mute[A] = true;
	culvert_stop(p.side[A].node);
	culvert_stop(p.side[A].node);
	culvert_stop(p.side[A].node);
	pair_run(&p, 1);
	assert_int_equal(p.side[A].stopped, 1);
}

static void test_note(void **state)
{
	char text[120];
	int err = 0;
	(void)state;
	up("");
	struct side *s = &p.side[A];
	assert_int_equal(culvert_note(s->node, "tunnel: tun7"), 0);
	assert_true(side_shows(s, "show", "tunnel: tun7"));
	for (unsigned i = 0; !err; i++) {
		snprintf(text, sizeof text, "k%u: %0100u", i, i);
		err = culvert_note(s->node, text);
	}
	assert_int_equal(err, CULVERT_EFULL);
	assert_true(side_shows(s, "show", "tunnel: tun7"));
	assert_true(side_shows(s, "show flows", ""));
	assert_true(side_shows(s, "metrics", "culvert_"));
}

/* wherever a program's clock begins, its peers see its stamps rise */
static void test_clock(void **state)
{
	static const uint64_t begin[] = { UINT64_C(1) << 50, 0, 1234567 };
	char conf[CONF];
	(void)state;
	pair_begin(&p, "");
	for (unsigned i = 0; i < 3; i++) {
		side_end(&p.side[A]);
		struct culvert_options o = side_options(&p.side[A]);
		o.flags = CULVERT_NO_LOOP;
		side_new(&p.side[A], &o, pair_conf(&p, A, "", conf));
		culvert_link *l;
		uint8_t data[1000];
		assert_int_equal(
			culvert_link_open(p.side[A].node, "b", begin[i], &l),
			0);
		size_t n = culvert_link_output(l, data, sizeof data, begin[i]);
		culvert_link *m;
		p.now += SEC(1);
		assert_int_equal(
			culvert_link_open(p.side[B].node, NULL, p.now, &m), 0);
		assert_int_equal(culvert_link_input(m, data, n, p.now), 0);
		assert_true(culvert_link_output(m, data, sizeof data, p.now));
		culvert_link_close(m);
		assert_int_equal(side_count(&p.side[A], "up_seconds"), 0);
	}
	assert_int_equal(side_count(&p.side[B], "stale_hello"), 0);
}

/* flows begin when time does */
static void test_no_time_yet(void **state)
{
	culvert_flow *f;
	(void)state;
	pair_begin(&p, "");
	culvert *c = p.side[A].node;
	assert_int_equal(culvert_open(c, "b", "app://x", &f), CULVERT_ESTATE);
	assert_int_equal(culvert_tick(c, UINT64_C(1) << 40), 0);
	assert_int_equal(culvert_open(c, "b", "app://x", &f), 0);
	assert_int_equal(culvert_tick(c, (UINT64_C(1) << 40) + SEC(1)), 0);
	assert_int_equal(p.side[A].closed, 0);
	/* it does not go back */
	assert_int_equal(culvert_tick(c, 5), 0);
	assert_int_equal(side_count(&p.side[A], "up_seconds"), 1);
}

#define TEST(name) cmocka_unit_test_teardown(test_##name, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(handshake),
		TEST(plain),
		TEST(wrong_key),
		TEST(garbage),
		TEST(byte_by_byte),
		TEST(targets),
		TEST(refusals),
		TEST(nobody_accepts),
		TEST(sizes),
		TEST(close),
		TEST(idle),
		TEST(aged),
		TEST(late),
		TEST(behind),
		TEST(reconnect),
		TEST(another_stream),
		TEST(restart),
		TEST(heartbeat),
		TEST(rekey),
		TEST(stop),
		TEST(stop_behind),
		TEST(stop_twice),
		TEST(note),
		TEST(clock),
		TEST(no_time_yet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
