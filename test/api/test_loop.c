/* SPDX-License-Identifier: MIT */
/* test_loop.c - nodes on the program's loop, and on their own in threads */
#include "act.h"
#include "ports.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct ports p;

static int begin(void **state)
{
	(void)state;
	ports_begin(&p);
	return 0;
}

static int end(void **state)
{
	(void)state;
	ports_end(&p);
	return 0;
}

static void test_flow(void **state)
{
	static uint8_t data[CULVERT_DGRAM_MAX];
	(void)state;
	ports_up(&p);
	p.server.echo = true;
	culvert_flow *f = ports_open(&p);
	for (unsigned i = 0; i < 20; i++) {
		size_t len = i < 10 ? i : i * 3447 + 14; /* up to 65507 */
		unsigned had = p.client.dgrams;
		fill(data, len, i);
		assert_int_equal(culvert_send(f, data, len), 0);
		WAIT(&p, p.client.dgrams > had);
		assert_int_equal(p.client.len, len);
		assert_true(filled(p.client.data, len, i));
	}
	culvert_close(f);
	WAIT(&p, p.server.closed);
}

/* the program's own watchers go on, with nodes and without */
static void test_company(void **state)
{
	(void)state;
	ports_up(&p);
	unsigned beats = p.beats;
	WAIT(&p, p.beats > beats + 5);
	side_end(&p.server);
	WAIT(&p, p.client.down);
	beats = p.beats;
	WAIT(&p, p.beats > beats + 5);
	side_end(&p.client);
	beats = p.beats;
	WAIT(&p, p.beats > beats + 5);
}

static void test_states(void **state)
{
	(void)state;
	struct culvert_options o = side_options(&p.server);
	o.loop = p.ev;
	side_new(&p.server, &o, p.sconf);
	assert_int_equal(culvert_run(p.server.node), CULVERT_ESTATE);
	assert_int_equal(culvert_tick(p.server.node, 1), CULVERT_ESTATE);
	assert_true(culvert_deadline(p.server.node) == CULVERT_NEVER);
	culvert_link *l;
	assert_int_equal(
		culvert_link_open(p.server.node, NULL, 1, &l), CULVERT_ESTATE);
	assert_int_equal(culvert_start(p.server.node), 0);
	assert_int_equal(culvert_start(p.server.node), CULVERT_ESTATE);
	assert_int_equal(culvert_run(p.server.node), CULVERT_ESTATE);
	culvert_stop(p.server.node);
	WAIT(&p, p.server.stopped);
	assert_int_equal(culvert_start(p.server.node), CULVERT_ESTATE);
	/* asked to stop before it starts: it stops as soon as it does */
	side_end(&p.server);
	side_clear(&p.server);
	side_new(&p.server, &o, p.sconf);
	culvert_stop(p.server.node);
	ev_run(p.ev, EVRUN_NOWAIT);
	assert_int_equal(p.server.stopped, 0);
	assert_int_equal(culvert_start(p.server.node), 0);
	WAIT(&p, p.server.stopped);
}

/* an orderly stop takes no longer than what it has to say */
static void test_stop(void **state)
{
	(void)state;
	ports_up(&p);
	culvert_flow *f = ports_open(&p);
	for (int i = 0; i < 100; i++)
		culvert_send(f, "last", 4);
	double from = ev_time();
	culvert_stop(p.client.node);
	WAIT(&p, p.client.stopped && p.server.down);
	assert_true(ev_time() - from < 0.5);
	WAIT(&p, p.server.dgrams == 101);
	assert_true(strstr(p.server.said, "said goodbye") != NULL);
}

/* many nodes on one loop: each client of its own, one server for all */
static void test_many(void **state)
{
	enum { N = 8 };
	static struct side more[N];
	char conf[2 * CONF];
	(void)state;
	struct keys key[N];
	size_t n = (size_t)snprintf(conf, sizeof conf,
		"[Node]\nPrivateKey=%s\n[Serve]\nListen=tcp://127.0.0.1:%d\n",
		p.skey.priv, p.tcp);
	for (int i = 0; i < N; i++) {
		key[i] = keys_make();
		n += (size_t)snprintf(conf + n, sizeof conf - n,
			"[Peer c%d]\nPublicKey=%s\n", i, key[i].pub);
	}
	struct culvert_options o = side_options(&p.server);
	o.loop = p.ev;
	side_new(&p.server, &o, conf);
	culvert_start(p.server.node);
	p.server.echo = true;
	for (int i = 0; i < N; i++) {
		p.ckey = key[i];
		ports_conf(&p, "", "");
		more[i] = (struct side){ 0 };
		o = side_options(&more[i]);
		o.loop = p.ev;
		side_new(&more[i], &o, p.cconf);
		culvert_start(more[i].node);
		culvert_flow *f;
		assert_int_equal(
			culvert_open(more[i].node, "server", "app://x", &f), 0);
		assert_int_equal(culvert_send(f, "x", 1), CULVERT_EFULL);
	}
	for (int i = 0; i < N; i++)
		WAIT(&p, more[i].dgrams == 1);
	assert_int_equal(p.server.asked, N);
	for (int i = 0; i < N; i++)
		side_end(&more[i]);
	WAIT(&p, p.server.down == N);
}

/* a UDP target behind the server, asked for by the program; and refused */
static void test_targets(void **state)
{
	char target[64];
	culvert_flow *f;
	(void)state;
	int far = udp(0, 0);
	struct sockaddr_in a;
	socklen_t len = sizeof a;
	getsockname(far, (struct sockaddr *)&a, &len);
	snprintf(target, sizeof target, "To = udp://127.0.0.1:%d\n",
		ntohs(a.sin_port));
	ports_conf(&p, target, "");
	ports_up(&p);
	snprintf(
		target, sizeof target, "udp://127.0.0.1:%d", ntohs(a.sin_port));
	const char *const ask[] = { target, "" };
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			culvert_open(p.client.node, "server", ask[i], &f), 0);
		culvert_send(f, "ping", 4);
		assert_true(arrives(&p, far, "ping"));
		culvert_close(f);
	}
	assert_int_equal(
		culvert_open(p.client.node, "server", "udp://192.0.2.1:9", &f),
		0);
	culvert_send(f, "x", 1);
	WAIT(&p, p.client.closed);
	assert_int_equal(p.client.why, CULVERT_EREFUSED);
	assert_int_equal(p.server.asked, 0);
	close(far);
}

static struct deed deed;
static struct side *doer;

static void within(struct side *s, enum call call, culvert_flow *flow)
{
	if (s == doer)
		act(&deed, s, call, flow);
}

static void life(void)
{
	culvert_flow *f;
	for (int i = 0; i < 2 && p.client.node && p.server.node; i++) {
		if (culvert_open(p.client.node, "server", "app://x", &f))
			break;
		culvert_send(f, "x", 1);
		WAIT(&p, p.server.asked > 1 || p.client.dgrams || deed.done);
		if (p.server.node)
			culvert_wake(p.server.node);
		if (p.client.node)
			culvert_wake(p.client.node);
		ev_run(p.ev, EVRUN_NOWAIT);
		p.server.answer = CULVERT_EREFUSED;
	}
	WAIT(&p, !p.client.node || !p.server.node || p.client.closed ||
			 deed.done);
	culvert_stop(p.client.node);
	culvert_stop(p.server.node);
	unsigned beats = p.beats;
	WAIT(&p, deed.done && p.beats > beats + 2);
}

static void run(struct side *side, enum call call, enum act what)
{
	char same[CONF];
	ports_begin(&p);
	bool server = side == &p.server;
	strcpy(same, server ? p.sconf : p.cconf);
	struct culvert_options s = side_options(&p.server),
			       c = side_options(&p.client);
	s.loop = c.loop = p.ev;
	side_new(&p.server, &s, p.sconf);
	side_new(&p.client, &c, p.cconf);
	p.server.within = p.client.within = within;
	p.server.echo = true;
	doer = side;
	ports_conf(&p, "Allow = udp://127.0.0.1:1\n",
		"[Peer more]\nPublicKey = "
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA=\n");
	deed = (struct deed){
		.call = call,
		.act = what,
		.same = same,
		.other = server ? p.sconf : p.cconf,
		.peer = server ? "client" : "server",
	};
	culvert_start(p.server.node);
	culvert_start(p.client.node);
	life();
	ports_end(&p);
}

static void test_every(void **state)
{
	static const enum call client[] = { ON_STATE, ON_OPENED, ON_DGRAM,
		ON_CLOSED, ON_STOPPED, ON_WOKEN },
			       server[] = { ON_STATE, ON_ACCEPT, ON_DGRAM,
				       ON_STOPPED, ON_WOKEN };
	(void)state;
	for (int a = 0; a < ACTS; a++) {
		for (size_t i = 0; i < sizeof client / sizeof *client; i++)
			run(&p.client, client[i], (enum act)a);
		for (size_t i = 0; i < sizeof server / sizeof *server; i++)
			run(&p.server, server[i], (enum act)a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_flow, begin, end),
		cmocka_unit_test_setup_teardown(test_company, begin, end),
		cmocka_unit_test_setup_teardown(test_states, begin, end),
		cmocka_unit_test_setup_teardown(test_stop, begin, end),
		cmocka_unit_test_setup_teardown(test_many, begin, end),
		cmocka_unit_test_setup_teardown(test_targets, begin, end),
		cmocka_unit_test(test_every),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
