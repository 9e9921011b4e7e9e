/* SPDX-License-Identifier: MIT */
/* test_trace.c - the transport's events as JSON lines */
#include "core/trace.h"
#include "core/transport.h"
#include "unit/check.h"
#include "unit/net.h"

static unsigned lines;
static char last[CV_TRACE_LINE];

static void take(void *user, const char *line)
{
	(void)user;
	lines++;
	snprintf(last, sizeof last, "%s", line);
}

static struct net *net_traced(void)
{
	struct net *n = net_new(false);
	net_up(n);
	n->p->side[A].node.env.trace = take;
	lines = 0;
	return n;
}

static void test_event(void **state)
{
	struct net *n = net_traced();
	(void)state;
	cv_trace(net_transport(n, A), 1234, "lost", "\"bytes\":%u", 5u);
	assert_int_equal(lines, 1);
	assert_string_equal(last,
		"{\"t\":1234,\"ev\":\"lost\",\"peer\":\"b\",\"bytes\":5}");
	net_free(n);
}

/* half a line would be no JSON */
static void test_too_long(void **state)
{
	struct net *n = net_traced();
	(void)state;
	static const char head[] = "{\"t\":1,\"ev\":\"x\",\"peer\":\"b\",";
	int most = CV_TRACE_LINE - 3 - (int)sizeof head;
	for (int len = most - 3; len < most + 200; len++) {
		lines = 0;
		cv_trace(net_transport(n, A), 1, "x", "\"%0*u\"", len, 0u);
		if (lines) {
			assert_int_equal(last[strlen(last) - 1], '}');
			assert_int_equal(
				strlen(last), sizeof head + (size_t)len + 2);
		}
		assert_int_equal(lines, len < most);
	}
	net_free(n);
}

static void test_path(void **state)
{
	struct net *n = net_traced();
	struct cv_transport *t = net_transport(n, A);
	(void)state;
	cv_time now = n->p->now + CV_SEC(1);
	cv_trace_path(t, now);
	assert_int_equal(lines, 1);
	assert_non_null(strstr(last, "\"ev\":\"path\""));
	assert_non_null(strstr(last, "\"state\":\"start-up\""));
	cv_trace_path(t, now + CV_TRACE_EVERY - 1);
	assert_int_equal(lines, 1);
	cv_trace_path(t, now + CV_TRACE_EVERY);
	assert_int_equal(lines, 2);
	net_free(n);
}

static void test_nobody_listens(void **state)
{
	struct net *n = net_traced();
	struct cv_transport *t = net_transport(n, A);
	(void)state;
	n->p->side[A].node.env.trace = NULL;
	cv_trace(t, 1, "x", "\"a\":1");
	cv_trace_path(t, n->p->now + CV_SEC(1));
	assert_int_equal(lines, 0);
	net_free(n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_event),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_nobody_listens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
