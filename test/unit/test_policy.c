/* SPDX-License-Identifier: MIT */
/* test_policy.c - what peers may reach, and above all what not */
#include "unit/check.h"

#include "core/policy.h"
#include "unit/env.h"

static struct mem mem;
static struct cv_env env;
static struct cv_policy policy;

static int setup(void **state)
{
	(void)state;
	env = mem_env(&mem, 1);
	policy = (struct cv_policy){ .env = &env };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cv_policy_clear(&policy);
	assert_int_equal(policy.rules, 0);
	return mem.blocks || mem.bytes ? -1 : 0;
}

static void allow(const char *rule)
{
	const char *why = NULL;
	assert_int_equal(cv_policy_add(&policy, rule, &why), 0);
}

/* @url has a number as its host, or @ip is what its name resolved to */
static bool may(const char *url, const char *ip, const char *bind)
{
	struct cv_url u;
	struct cv_addr a, b;
	const char *why;
	assert_int_equal(cv_url_parse(&u, url, strlen(url), &why), 0);
	if (ip) {
		assert_int_equal(cv_addr_parse_ip(ip, &a), 0);
		a.port = (uint16_t)u.port;
	} else {
		assert_int_equal(cv_url_addr(&u, &a), 0);
	}
	if (bind)
		assert_int_equal(cv_hostport_parse(bind, &b), 0);
	return cv_policy_allows(&policy, &u, &a, bind ? &b : NULL);
}

static void test_loopback_by_default(void **state)
{
	(void)state;
	assert_true(may("udp://127.0.0.1:1", NULL, NULL));
	assert_true(may("udp://127.9.9.9:65535", NULL, NULL));
	assert_true(may("udp://[::1]:53", NULL, NULL));
	assert_true(may("udp://name:53", "127.0.0.1", NULL));
	assert_false(may("udp://name:53", "10.0.0.1", NULL));
	assert_false(may("udp://localhost:53", "192.0.2.1", NULL));
	assert_false(may("udp://0.0.0.0:53", NULL, NULL));
	assert_false(may("udp://[::]:53", NULL, NULL));
	assert_false(may("udp://10.0.0.1:53", NULL, NULL));
	assert_false(may("udp://[::ffff:10.0.0.1]:53", NULL, NULL));
	assert_true(may("udp://127.0.0.1:1", NULL, "127.0.0.1:1024"));
	assert_true(may("udp://127.0.0.1:1", NULL, "127.0.0.1:0"));
	assert_false(may("udp://127.0.0.1:1", NULL, "127.0.0.1:1023"));
}

static void test_prefix_and_ports(void **state)
{
	(void)state;
	allow("udp://10.0.0.0/8:1000-2000");
	allow("udp://[fd00::]/8:53");
	assert_true(may("udp://10.255.0.1:1000", NULL, NULL));
	assert_true(may("udp://10.0.0.0:2000", NULL, NULL));
	assert_false(may("udp://10.0.0.0:999", NULL, NULL));
	assert_false(may("udp://10.0.0.0:2001", NULL, NULL));
	assert_false(may("udp://11.0.0.0:1500", NULL, NULL));
	assert_true(may("udp://[fdff::1]:53", NULL, NULL));
	assert_false(may("udp://[fe00::1]:53", NULL, NULL));
	assert_false(may("udp://[fd00::1]:54", NULL, NULL));
	/* the default is gone */
	assert_false(may("udp://127.0.0.1:1500", NULL, NULL));
	/* the same bits of another family */
	assert_false(may("udp://[a00::]:1500", NULL, NULL));
	/* whatever scheme */
	assert_false(may("tcp://10.0.0.1:1500", NULL, NULL));
}

static void test_single_address(void **state)
{
	(void)state;
	allow("udp://192.0.2.7:53");
	allow("udp://[2001:db8::7]");
	allow("udp://192.0.2.9:*");
	assert_true(may("udp://192.0.2.7:53", NULL, NULL));
	assert_false(may("udp://192.0.2.6:53", NULL, NULL));
	assert_false(may("udp://192.0.2.7:54", NULL, NULL));
	assert_true(may("udp://[2001:db8::7]:1", NULL, NULL));
	assert_false(may("udp://[2001:db8::6]:1", NULL, NULL));
	assert_true(may("udp://192.0.2.9:65535", NULL, NULL));
}

static void test_name(void **state)
{
	(void)state;
	allow("udp://dns.example:53");
	assert_true(may("udp://dns.example:53", "192.0.2.1", NULL));
	assert_false(may("udp://dns.example:54", "192.0.2.1", NULL));
	assert_false(may("udp://192.0.2.1:53", NULL, NULL));
	assert_false(may("udp://x.dns.example:53", "192.0.2.1", NULL));
}

static void test_any(void **state)
{
	(void)state;
	allow("udp://*:53");
	assert_true(may("udp://192.0.2.1:53", NULL, NULL));
	assert_true(may("udp://x:53", "2001:db8::1", NULL));
	assert_false(may("udp://192.0.2.1:5353", NULL, NULL));
	allow("udp://:5353");
	assert_true(may("udp://192.0.2.1:5353", NULL, NULL));
}

/* what is allowed of one kind is not of the other */
static void test_schemes(void **state)
{
	(void)state;
	assert_true(may("tcp://127.0.0.1:1", NULL, NULL));
	assert_false(may("tcp://10.0.0.1:80", NULL, NULL));
	allow("tcp://10.0.0.0/8:80");
	assert_true(may("tcp://10.0.0.1:80", NULL, NULL));
	assert_false(may("udp://10.0.0.1:80", NULL, NULL));
	assert_false(may("tcp://127.0.0.1:1", NULL, NULL));
}

static bool told_of_clients(const char *url)
{
	struct cv_url u;
	struct cv_addr a;
	assert_int_equal(cv_url_parse(&u, url, strlen(url), NULL), 0);
	assert_int_equal(cv_url_addr(&u, &a), 0);
	return cv_policy_proxy(&policy, &u, &a);
}

static void test_proxy(void **state)
{
	(void)state;
	assert_false(told_of_clients("tcp://127.0.0.1:80"));
	allow("tcp://10.0.0.0/8:*");
	allow("tcp://10.0.0.1:80?proxy=v2");
	assert_true(may("tcp://10.0.0.1:80", NULL, NULL));
	assert_true(told_of_clients("tcp://10.0.0.1:80"));
	assert_false(told_of_clients("tcp://10.0.0.1:81"));
	assert_false(told_of_clients("tcp://10.0.0.2:80"));
}

/* below 1024 only the very address a rule names */
static void test_bind(void **state)
{
	(void)state;
	allow("udp://10.1.1.2:5001?bind=10.1.1.1:53");
	assert_true(may("udp://10.1.1.2:5001", NULL, NULL));
	assert_true(may("udp://10.1.1.2:5001", NULL, "10.1.1.1:53"));
	assert_false(may("udp://10.1.1.2:5001", NULL, "10.1.1.1:54"));
	assert_false(may("udp://10.1.1.2:5001", NULL, "10.1.1.3:53"));
	assert_true(may("udp://10.1.1.2:5001", NULL, "10.1.1.3:1024"));
	assert_false(may("udp://10.1.1.2:5002", NULL, "10.1.1.1:53"));
}

static void test_refused_rules(void **state)
{
	static const char *const bad[] = { "", "10.0.0.1", "udp:/10.0.0.1",
		"tun://10.0.0.1:1", "verylong://h:1", "udp://10.0.0.0/33",
		"udp://[fd00::]/129", "udp://10.0.0.0/", "udp://10.0.0.0/x",
		"udp://10.0.0.0/8x", "udp://[fd00::", "udp://h:65536",
		"udp://h:", "udp://h:5-4", "udp://h:5-", "udp://h:-5",
		"udp://h:1-65536", "udp://h:1x", "udp://h:1?x=1",
		"udp://h:1?bind=name:1", "udp://[::1]x",
		"tcp://h:1?bind=1.2.3.4:1", "tcp://h:x", "tcp://h:1?proxy=v1",
		"udp://h:1?proxy=v2" };
	struct cv_allow a;
	char text[CV_URL_TEXT + 4];
	const char *why;
	(void)state;
	for (size_t i = 0; i < CV_COUNT(bad); i++) {
		why = NULL;
		if (!cv_policy_add(&policy, bad[i], &why))
			print_error("taken: %s\n", bad[i]);
		assert_int_equal(
			cv_allow_parse(&a, bad[i], &why), CULVERT_ESYNTAX);
		assert_non_null(why);
	}
	assert_int_equal(policy.rules, 0);
	memset(text, 'h', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	memcpy(text, "udp://", 6);
	assert_int_equal(cv_allow_parse(&a, text, &why), CULVERT_ESYNTAX);
}

static void test_limits(void **state)
{
	const char *why = NULL;
	(void)state;
	mem.fail_all = true;
	assert_int_equal(
		cv_policy_add(&policy, "udp://h:1", &why), CULVERT_ENOMEM);
	assert_false(may("udp://10.0.0.1:1", NULL, NULL));
	mem.fail_all = false;
	for (int i = 0; i < CV_ALLOW_MAX; i++)
		allow("udp://h:1");
	assert_int_equal(
		cv_policy_add(&policy, "udp://h:1", &why), CULVERT_ENOMEM);
	assert_int_equal(policy.rules, CV_ALLOW_MAX);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_loopback_by_default),
		T(test_prefix_and_ports),
		T(test_single_address),
		T(test_name),
		T(test_any),
		T(test_schemes),
		T(test_proxy),
		T(test_bind),
		T(test_refused_rules),
		T(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
