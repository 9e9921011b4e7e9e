/* SPDX-License-Identifier: MIT */
#include "unit/check.h"

#include "core/lanurl.h"

#include <string.h>

static int parse(struct cv_lanurl *l, const char *text, const char **why)
{
	struct cv_url u;
	assert_int_equal(cv_url_parse(&u, text, strlen(text), why), 0);
	return cv_lanurl_parse(l, &u, why);
}

static struct cv_lanurl good(const char *text)
{
	struct cv_lanurl l;
	const char *why = "";
	if (parse(&l, text, &why))
		fail_msg("%s: %s", text, why);
	return l;
}

static void bad(const char *text, const char *part)
{
	struct cv_lanurl l = { .id = 4711 };
	const char *why = "";
	assert_int_equal(parse(&l, text, &why), CULVERT_ESYNTAX);
	assert_non_null(strstr(why, part));
	assert_int_equal(l.id, 4711);
}

static void test_schemes(void **state)
{
	(void)state;
	assert_true(cv_lanurl_is("lan://67@"));
	assert_false(cv_lanurl_is("iproxy+mcast://239.1.2.3"));
	assert_true(cv_lanurl_iproxy("iproxy+udp://host"));
	assert_false(cv_lanurl_iproxy("lan://iproxy+"));
	assert_false(cv_lanurl_is("land://67@"));
	assert_false(cv_lanurl_is("tcp://lan:1"));
	bad("udp://host:1", "lan://");
}

static void test_lan(void **state)
{
	struct cv_lanurl l = good("lan://67@");
	(void)state;
	assert_int_equal(l.scheme, CV_LAN_ANY);
	assert_int_equal(l.id, 67);
	assert_string_equal(l.ifname, "");
	assert_int_equal(l.port, 0);
	l = good("lan://eth0:4000");
	assert_int_equal(l.id, 0);
	assert_string_equal(l.ifname, "eth0");
	assert_int_equal(l.port, 4000);
	l = good("iproxy+bcast://4294967295@a23456789012345?ttl=3");
	assert_int_equal(l.scheme, CV_LAN_BCAST);
	assert_int_equal(l.id, 4294967295);
	assert_int_equal(l.ttl, 3);
}

static void test_groups(void **state)
{
	struct cv_lanurl l = good("mcast://67@239.255.67.86%eth0");
	struct cv_addr want;
	(void)state;
	assert_int_equal(l.scheme, CV_LAN_MCAST);
	assert_string_equal(l.ifname, "eth0");
	cv_addr_parse_ip("239.255.67.86", &want);
	assert_true(cv_addr_equal(&l.group, &want));
	l = good("mcast://[ff15::1%br0]:9?ttl=16");
	cv_addr_parse_ip("ff15::1", &want);
	assert_true(cv_addr_equal(&l.group, &want));
	assert_string_equal(l.ifname, "br0");
	assert_int_equal(l.port, 9);
	assert_int_equal(l.ttl, 16);
}

static void test_refused(void **state)
{
	(void)state;
	bad("lan://0@", "id");
	bad("lan://x@", "id");
	bad("lan://4294967296@", "id");
	bad("lan://a234567890123456", "15");
	bad("lan://67:pass@", "password");
	bad("lan://67@eth0/x", "path");
	bad("lan://67@eth0:0", "port");
	bad("mcast://67@", "group");
	bad("mcast://10.0.0.1", "group");
	bad("mcast://255.255.255.255", "group");
	bad("mcast://[fe80::1%eth0]", "group");
	bad("mcast://239.1.1.1%a234567890123456", "15");
	bad("mcast://239.1.1.1?ttl=0", "ttl");
	bad("mcast://239.1.1.1?ttl=256", "ttl");
	bad("mcast://239.1.1.1?ttl=x", "ttl");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schemes),
		cmocka_unit_test(test_lan),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
