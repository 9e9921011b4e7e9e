/* SPDX-License-Identifier: MIT */
/**
 * test_memory.c - every allocation behind culvert.h fails once, and then all
 * from some moment on
 *
 * The library is linked in here, its calls of the allocator wrapped.  What a
 * function says must be among what its comment says; whatever failed, the same
 * works again when there is memory; what leaks AddressSanitizer finds.
 */
#include "bytes.h"
#include "ports.h"

#include <stdio.h>
#include <sys/socket.h>

static struct {
	bool armed, all;
	long left;     /* allocations until one fails */
	unsigned hits; /* how many did */
} fault;

static bool fails(void)
{
	if (!fault.armed || fault.left < 0)
		return false;
	if (fault.left-- > 0)
		return false;
	if (fault.all)
		fault.left = 0;
	fault.hits++;
	return true;
}

#define WRAP(name, params, ...)                                                \
	void *__real_##name params;                                            \
	void *__wrap_##name params;                                            \
	void *__wrap_##name params                                             \
	{                                                                      \
		return fails() ? NULL : __real_##name(__VA_ARGS__);            \
	}

WRAP(malloc, (size_t n), n)
WRAP(calloc, (size_t n, size_t size), n, size)
WRAP(realloc, (void *p, size_t n), p, n)
WRAP(strdup, (const char *s), s)
WRAP(open_memstream, (char **text, size_t *len), text, len)

/* the library is at work: it may fail there, and nowhere else */
#define FAULTY(call) (arm(), disarm(call))

static void arm(void)
{
	fault.armed = true;
}

static int disarm(int err)
{
	fault.armed = false;
	return err;
}

static void one_of(int err, int a, int b)
{
	if (err && err != a && err != b)
		fail_msg("%s", culvert_strerror(err));
}

static void nothing(void *user, const char *piece, size_t len)
{
	(void)user;
	assert_non_null(piece);
	assert_true(len > 0);
}

static struct pair p;

static int make(int i, const char *more)
{
	char conf[CONF];
	struct culvert_options o = side_options(&p.side[i]);
	o.flags = CULVERT_NO_LOOP;
	pair_conf(&p, i, more, conf);
	int err = FAULTY(
		culvert_new(&p.side[i].node, conf, strlen(conf), &o, NULL));
	one_of(err, CULVERT_ENOMEM, 0);
	if (err)
		assert_null(p.side[i].node);
	return err;
}

/* as pair_settle(), each end failing; false if a stream is of no use */
static bool exchange(culvert_link *l[2])
{
	static uint8_t data[100000];
	bool moved = true;
	while (moved) {
		moved = false;
		for (int i = 0; i < 2; i++) {
			fault.armed = true;
			size_t n = culvert_link_output(
				l[i], data, sizeof data, p.now);
			fault.armed = false;
			int err = n ? FAULTY(culvert_link_input(
					      l[!i], data, n, p.now))
				    : 0;
			one_of(err, CULVERT_ENOMEM, CULVERT_EPROTO);
			if (err)
				return false;
			moved |= n != 0;
		}
	}
	return true;
}

static void talk(void)
{
	static const uint8_t data[3000];
	culvert_flow *f;
	culvert_link *l[2] = { NULL, NULL };
	for (int i = 0; i < 2; i++)
		one_of(FAULTY(culvert_link_open(p.side[i].node,
			       i == A ? "b" : NULL, p.now, &l[i])),
			CULVERT_ENOMEM, 0);
	if (l[A] && l[B] && exchange(l)) {
		int err = FAULTY(
			culvert_open(p.side[A].node, "b", "app://x", &f));
		one_of(err, CULVERT_ENOMEM, CULVERT_EFULL);
		for (int i = 0; !err && i < 4; i++)
			one_of(FAULTY(culvert_send(f, data, sizeof data)),
				CULVERT_EFULL, 0);
		exchange(l);
		if (p.side[B].flow && !p.side[B].closed)
			culvert_send(p.side[B].flow, data, 1);
		exchange(l);
		one_of(FAULTY(culvert_show(
			       p.side[A].node, "show", nothing, NULL)),
			CULVERT_ENOMEM, 0);
		if (!err && !p.side[A].closed)
			culvert_close(f);
		exchange(l);
	}
	for (int i = 0; i < 2; i++)
		culvert_link_close(l[i]);
}

/* when there is memory again */
static void check_well(void)
{
	p.now += SEC(10);
	for (int i = 0; i < 2; i++)
		culvert_tick(p.side[i].node, p.now);
	side_clear(&p.side[A]);
	side_clear(&p.side[B]);
	memset(&p.wire, 0, sizeof p.wire);
	pair_wire(&p);
	pair_settle(&p);
	culvert_flow *f = pair_open(&p, "app://y");
	unsigned had = p.side[B].dgrams;
	culvert_send(f, "x", 1);
	pair_settle(&p);
	assert_int_equal(p.side[B].dgrams, had + 1);
}

/* true while there was something left to fail */
static bool life(const char *more, long at, bool all)
{
	memset(&p, 0, sizeof p);
	p.now = BEGIN;
	p.seed = 1234567;
	p.piece = 100000;
	for (int i = 0; i < 2; i++)
		p.keys[i] = keys_make();
	memset(&fault, 0, sizeof fault);
	fault.left = at;
	fault.all = all;
	int err = make(A, more);
	if (!err)
		err = make(B, more);
	if (!err)
		talk();
	bool hit = fault.hits != 0;
	fault.left = -1;
	if (!err)
		check_well();
	pair_end(&p);
	return hit;
}

static void sweep(
	bool (*run)(const char *, long, bool), const char *more, long least)
{
	for (int all = 0; all < 2; all++) {
		long at = 0;
		while (run(more, at, all))
			at++;
		assert_true(at >= least); /* it was a life */
	}
}

static void test_sealed(void **state)
{
	(void)state;
	sweep(life, "", 31);
}

static void test_plain(void **state)
{
	(void)state;
	sweep(life, "Plain = yes\n", 31);
}

static struct ports q;

/* a text with everything that a reload can make */
static void rich(char *out, const char *conf, const int at[3])
{
	struct keys k = keys_make();
	snprintf(out, 2 * CONF,
		"%s[Peer more]\nPublicKey = %s\nEndpoint = tcp://127.0.0.1:1\n"
		"[Serve]\nListen = tcp://127.0.0.1:%d\nAllow = udp://*:*\n"
		"[Forward a]\nFrom = udp://127.0.0.1:%d\nVia = more\n"
		"[Forward b]\nFrom = udp://127.0.0.1:%d\nVia = server\n",
		conf, k.pub, at[0], at[1], at[2]);
}

static bool reloading(const char *more, long at, bool all)
{
	char text[2 * CONF];
	int ports[3] = { port(SOCK_STREAM), port(SOCK_DGRAM),
		port(SOCK_DGRAM) };
	(void)more;
	memset(&fault, 0, sizeof fault);
	fault.left = -1;
	ports_begin(&q);
	rich(text, q.cconf, ports);
	ports_up(&q);
	culvert_flow *f = ports_open(&q);
	int fds = descriptors();
	fault.left = at;
	fault.all = all;
	int err =
		FAULTY(culvert_reload(q.client.node, text, strlen(text), NULL));
	bool hit = fault.hits != 0;
	fault.left = -1;
	/* a port may be what there was no memory for */
	one_of(err, CULVERT_ENOMEM, CULVERT_ESYS);
	if (err)
		assert_int_equal(descriptors(), fds);
	assert_int_equal(!err, !hit);
	unsigned had = q.server.dgrams;
	assert_int_equal(culvert_send(f, "x", 1), 0);
	WAIT(&q, q.server.dgrams > had);
	assert_int_equal(
		culvert_reload(q.client.node, text, strlen(text), NULL), 0);
	assert_int_equal(q.client.down + q.client.closed, 0);
	ports_end(&q);
	return hit;
}

static void test_reload(void **state)
{
	(void)state;
	sweep(reloading, "", 10);
}

static bool making(const char *more, long at, bool all)
{
	char text[2 * CONF];
	int ports[3] = { port(SOCK_STREAM), port(SOCK_DGRAM),
		port(SOCK_DGRAM) };
	struct side *s = &q.client;
	(void)more;
	ports_begin(&q);
	rich(text, q.cconf, ports);
	struct culvert_options o = side_options(s);
	o.loop = q.ev;
	/* the loop keeps a descriptor once it was woken from outside */
	side_new(s, &o, q.cconf);
	side_end(s);
	int fds = descriptors();
	memset(&fault, 0, sizeof fault);
	fault.left = at;
	fault.all = all;
	int err = FAULTY(culvert_new(&s->node, text, strlen(text), &o, NULL));
	bool hit = fault.hits != 0;
	fault.left = -1;
	one_of(err, CULVERT_ENOMEM, CULVERT_ESYS);
	assert_int_equal(!err, !hit);
	if (err)
		assert_int_equal(descriptors(), fds);
	ports_end(&q);
	return hit;
}

static void test_new(void **state)
{
	(void)state;
	sweep(making, "", 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_plain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
