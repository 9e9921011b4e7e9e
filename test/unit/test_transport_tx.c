/* SPDX-License-Identifier: MIT */
/* test_transport_tx.c - packets and trains out; sealing can fail */
#include "core/transport.h"
#include "unit/check.h"
#include "unit/net.h"
#include "unit/streams.h"

int __real_cv_aead_seal(struct cv_aead *, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len);
int __wrap_cv_aead_seal(struct cv_aead *, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len);

static unsigned failures;

int __wrap_cv_aead_seal(struct cv_aead *k, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len)
{
	if (failures) {
		failures--;
		return CULVERT_ECRYPTO;
	}
	return __real_cv_aead_seal(k, nonce, ad, data, len);
}

static struct net *net_streams(void)
{
	struct net *n = net_new(false);
	streams_on(n->p);
	net_up(n);
	net_run(n, n->p->now + CV_SEC(1));
	return n;
}

static struct cv_end *open_stream(struct net *n)
{
	struct cv_flow *f = streams_open(n->p, 1);
	assert_non_null(f);
	net_run(n, n->p->now + CV_SEC(1));
	return &f->end[0];
}

/* what could not be sealed is sent again, whatever it is */
static void test_spoilt(void **state)
{
	(void)state;
	for (unsigned k = 1; k < 12; k++) {
		struct net *n = net_streams();
		failures = k;
		struct cv_end *e = open_stream(n);
		failures = k;
		streams_write(n->p, e, 20000);
		net_run(n, n->p->now + CV_SEC(1));
		failures = k;
		streams_finish(n->p, e);
		net_run(n, n->p->now + CV_SEC(1));
		assert_int_equal(failures, 0);
		assert_int_equal(n->p->side[B].edge.streamed, 20000);
		assert_int_equal(n->p->side[B].edge.fins, 1);
		net_free(n);
	}
}

static void test_spoilt_on_wire(void **state)
{
	(void)state;
	for (unsigned k = 1; k < 6; k++) {
		struct pair *p = pair_new(false);
		streams_on(p);
		pair_up(p);
		struct cv_flow *f = streams_open(p, 1);
		failures = k;
		streams_write(p, &f->end[0], 300000);
		streams_finish(p, &f->end[0]);
		for (int i = 0; i < 20; i++) {
			pair_run(p, p->now + CV_MS(10));
			cv_session_wake(p->side[A].s, p->now);
			cv_session_wake(p->side[B].s, p->now);
		}
		assert_int_equal(failures, 0);
		assert_int_equal(p->side[B].edge.streamed, 300000);
		assert_int_equal(p->side[B].edge.fins, 1);
		pair_free(p);
	}
}

/* a probe of the path's size, too */
static void test_spoilt_probe(void **state)
{
	struct net *n = net_new(false);
	(void)state;
	streams_on(n->p);
	n->said_mtu = 9000;
	net_up(n);
	failures = 3;
	net_run(n, n->p->now + CV_SEC(5));
	assert_int_equal(failures, 0);
	struct cv_end *e = open_stream(n);
	streams_write(n->p, e, 100000);
	net_run(n, n->p->now + CV_SEC(5));
	assert_int_equal(streams_got(n->p->side[B].edge.last), 100000);
	net_free(n);
}

/* streams take turns: none waits for the other's end */
static void test_turns(void **state)
{
	enum { N = 5 };
	struct net *n = net_streams();
	struct cv_end *e[N], *far[N];
	(void)state;
	for (unsigned i = 0; i < N; i++) {
		struct cv_flow *f = streams_open(n->p, i << 16);
		net_run(n, n->p->now + CV_MS(100));
		e[i] = &f->end[0];
		far[i] = n->p->side[B].edge.last;
	}
	for (int k = 0; k < 30; k++) {
		for (int i = 0; i < N; i++)
			streams_write(n->p, e[i], 100000);
		net_run(n, n->p->now + CV_MS(10));
	}
	uint64_t least = UINT64_MAX, most = 0;
	for (int i = 0; i < N; i++) {
		least = cv_earlier(least, streams_got(far[i]));
		most = streams_got(far[i]) > most ? streams_got(far[i]) : most;
	}
	assert_true(least > most / 2);
	net_free(n);
}

/* what pads a packet is not taken for the stream's last bytes */
static void test_padding(void **state)
{
	struct net *n = net_streams();
	struct cv_end *e = open_stream(n);
	uint64_t sum = 0;
	(void)state;
	for (size_t len = 1100; len < 1300; len++) {
		sum += streams_write(n->p, e, len);
		net_transport(n, A)->pmtud.mtu = CV_MTU_BASE;
		cv_transport_ping(net_transport(n, A), true, n->p->now);
		net_run(n, n->p->now + CV_MS(100));
		assert_int_equal(streams_got(n->p->side[B].edge.last), sum);
	}
	net_free(n);
}

/* datagrams do not wait behind a stream that fills the path */
static void test_datagrams_first(void **state)
{
	struct net *n = net_streams();
	struct cv_end *e = open_stream(n);
	(void)state;
	struct cv_flow *f = pair_open(n->p, 5 << 16, "udp://127.0.0.1:5");
	for (int k = 0; k < 50; k++) {
		streams_write(n->p, e, 100000);
		pair_say(n->p, f, 100);
		net_run(n, n->p->now + CV_MS(10));
	}
	net_run(n, n->p->now + CV_MS(100));
	assert_int_equal(n->p->side[B].edge.dgrams, 50);
	assert_true(n->p->side[B].edge.streamed > 100000);
	net_free(n);
}

/* as many datagrams as fit share a packet; one link's flood is no other's */
static void test_datagram_train(void **state)
{
	static uint8_t data[60000];
	struct net *n = net_streams();
	(void)state;
	struct cv_flow *f = pair_open(n->p, 5, "udp://127.0.0.1:5");
	pair_say(n->p, f, 10);
	net_run(n, n->p->now + CV_SEC(1));
	uint64_t sent = n->sent;
	pair_send(n->p, &f->end[0], data, 10000, 100);
	net_run(n, n->p->now + n->delay - 1);
	assert_in_range(n->sent - sent, 7, 9);
	net_run(n, n->p->now + CV_SEC(1));
	assert_int_equal(n->p->side[B].edge.dgrams, 101);
	net_free(n);
}

/* the session goes on over a byte stream when the datagrams' path is gone */
static void test_from_datagrams_to_wire(void **state)
{
	struct net *n = net_streams();
	struct cv_end *e = open_stream(n);
	(void)state;
	streams_write(n->p, e, 50000);
	net_run(n, n->p->now + CV_MS(5));
	net_hang_up(n, A);
	net_hang_up(n, B);
	streams_write(n->p, e, 50000);
	pair_up(n->p);
	pair_run(n->p, n->p->now + CV_SEC(1));
	streams_finish(n->p, e);
	pair_run(n->p, n->p->now + CV_SEC(1));
	assert_int_equal(n->p->side[B].edge.streamed, 100000);
	assert_int_equal(n->p->side[B].edge.fins, 1);
	net_free(n);
}

/* more packets than the ring has room for, none acknowledged */
static void test_full_ring(void **state)
{
	struct net *n = net_streams();
	struct cv_end *e = open_stream(n);
	struct cv_transport *t = net_transport(n, A);
	(void)state;
	streams_write(n->p, e, 100);
	net_settle(n);
	t->session->number += CV_SENT_MAX + 5;
	streams_write(n->p, e, 5000);
	net_run(n, n->p->now + CV_SEC(3));
	assert_int_equal(streams_got(n->p->side[B].edge.last), 5100);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spoilt),
		cmocka_unit_test(test_spoilt_on_wire),
		cmocka_unit_test(test_spoilt_probe),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_datagrams_first),
		cmocka_unit_test(test_datagram_train),
		cmocka_unit_test(test_from_datagrams_to_wire),
		cmocka_unit_test(test_full_ring),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
