/* SPDX-License-Identifier: MIT */
/* test_credit.c - programs that do not read, and others of the same session */
#include "core/credit.h"
#include "core/transport.h"
#include "unit/check.h"
#include "unit/net.h"
#include "unit/streams.h"

enum { STUCK = 12, MANY = 30, FIRST = 1 << 20 };

static struct net *net_streams(void)
{
	struct net *n = net_new(false);
	streams_on(n->p);
	net_up(n);
	net_run(n, n->p->now + CV_SEC(1));
	n->p->side[B].edge.hoard = true;
	return n;
}

/* a stream whose far end takes nothing, and whose window is used up */
static struct cv_end *stuck(struct net *n, unsigned i)
{
	struct cv_flow *f = streams_open(n->p, i + 1);
	size_t done = 0;
	assert_non_null(f);
	for (int turn = 0; turn < 100 && done < FIRST; turn++) {
		done += streams_write(n->p, &f->end[0], FIRST - done);
		net_run(n, n->p->now + CV_MS(5));
	}
	assert_int_equal(done, FIRST);
	net_run(n, n->p->now + CV_MS(50));
	return &f->end[0];
}

static void test_others_go_on(void **state)
{
	struct net *n = net_streams();
	struct cv_transport *t = net_transport(n, B);
	(void)state;
	for (unsigned i = 0; i < STUCK; i++)
		stuck(n, i);
	assert_true(t->rx_window > STUCK * FIRST);
	assert_int_equal(cv_credit_deadline(t), CV_NEVER);
	struct cv_flow *f = streams_open(n->p, STUCK + 1);
	streams_write(n->p, &f->end[0], 5000);
	net_run(n, n->p->now + CV_MS(100));
	assert_int_equal(streams_got(n->p->side[B].edge.last), 5000);
	/* however long: there is room */
	net_run(n, n->p->now + 2 * CV_STUCK);
	assert_int_equal(n->p->side[A].edge.closes, 0);
	net_free(n);
}

/* the window is never more than a peer may be told, nor grows without memory */
static void test_offer(void **state)
{
	struct net *n = net_streams();
	struct cv_transport *t = net_transport(n, B);
	(void)state;
	stuck(n, 0);
	assert_int_equal(cv_credit_offer(t), CV_SESSION_WINDOW + FIRST);
	struct cv_pool *pool = &n->p->side[B].node.pool;
	struct cv_buf *b = cv_buf_large(pool);
	assert_non_null(b);
	pool->max = b->cap;
	assert_int_equal(cv_credit_offer(t), t->rx_window);
	cv_buf_free(pool, b);
	t->window = CV_SESSION_WINDOW_MAX;
	pool->max = CV_MEMORY;
	assert_int_equal(cv_credit_offer(t), CV_SESSION_WINDOW_MAX);
	t->window = CV_SESSION_WINDOW;
	net_free(n);
}

static void test_crowded(void **state)
{
	struct net *n = net_streams();
	struct cv_transport *t = net_transport(n, B);
	struct side *a = &n->p->side[A], *b = &n->p->side[B];
	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		stuck(n, i);
	uint64_t wait = t->rx_out - t->untold;
	assert_true(wait > CV_SESSION_CROWDED);
	assert_true(cv_credit_deadline(t) != CV_NEVER);
	net_run(n, n->p->now + CV_STUCK);
	net_run(n, n->p->now + CV_SEC(3));
	assert_non_null(strstr(b->mem.line, "cut off"));
	/* no more than are too many */
	assert_int_equal(a->edge.closes,
		(wait - CV_SESSION_CROWDED + FIRST - 1) / FIRST);
	assert_int_equal(a->edge.why, CV_RESET_TIMEOUT);
	assert_true(t->rx_out - t->untold <= CV_SESSION_CROWDED);
	assert_int_equal(cv_credit_deadline(t), CV_NEVER);
	net_free(n);
}

/* whoever takes something now and then is not stuck */
static void test_slow(void **state)
{
	struct net *n = net_streams();
	struct cv_end *far[MANY];
	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		stuck(n, i);
		far[i] = n->p->side[B].edge.last;
		for (unsigned j = 0; j < i; j++)
			streams_take(n->p, far[j], 1);
	}
	for (int turn = 0; turn < 6; turn++) {
		for (unsigned i = 0; i < MANY; i++)
			streams_take(n->p, far[i], 10);
		net_run(n, n->p->now + CV_STUCK / 2);
	}
	assert_int_equal(n->p->side[A].edge.closes, 0);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_others_go_on),
		cmocka_unit_test(test_offer),
		cmocka_unit_test(test_crowded),
		cmocka_unit_test(test_slow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
