/* SPDX-License-Identifier: MIT */
#include "core/proxyhdr.h"
#include "core/url.h"
#include "unit/check.h"

#define SIGNATURE "0d0a0d0a000d0a515549540a"
#define FOUR SIGNATURE "2111000cc0000201c000020204d20050"
#define SIX                                                                    \
	SIGNATURE "2121002420010db800000000000000000000000120010db8"           \
		  "000000000000000000000002ffff01bb"

static uint8_t buf[CV_PROXYHDR_MOST];
static struct cv_addr client;

static int get(const char *hex)
{
	memset(&client, 0xee, sizeof client);
	size_t n = unhex(buf, hex);
	int size = cv_proxyhdr_size(buf);
	if (size < 0)
		return size;
	assert_int_equal(size, n);
	return cv_proxyhdr_get(buf, n, &client);
}

static void is(const char *want)
{
	char text[CV_ADDRTEXT];
	assert_string_equal(cv_addr_format(&client, text), want);
}

static void test_known(void **state)
{
	(void)state;
	assert_int_equal(get(FOUR), 0);
	is("192.0.2.1:1234");
	assert_int_equal(get(SIX), 0);
	is("[2001:db8::1]:65535");
	/* what follows the addresses is not for us */
	assert_int_equal(get(SIGNATURE "21110010c0000201c000020204d20050"
				       "04000100"),
		0);
	is("192.0.2.1:1234");
	/* a mapped address is the address itself */
	assert_int_equal(get(SIGNATURE "21210024"
				       "00000000000000000000ffffc0000201"
				       "00000000000000000000ffffc0000202"
				       "04d20050"),
		0);
	is("192.0.2.1:1234");
}

static void test_no_client(void **state)
{
	static const char *const none[] = {
		SIGNATURE "20000000", /* LOCAL */
		SIGNATURE "20110000", /* LOCAL: what follows does not count */
		SIGNATURE "2011000cc0000201c000020204d20050",
		SIGNATURE "21000000", /* PROXY, of an unknown kind */
		SIGNATURE "2112000cc0000201c000020204d20050", /* UDP */
	};
	(void)state;
	for (size_t i = 0; i < CV_COUNT(none); i++) {
		assert_int_equal(get(none[i]), 0);
		assert_int_equal(client.family, CV_AF_NONE);
	}
}

static void test_broken(void **state)
{
	static const char *const bad[] = {
		"0d0a0d0a000d0a515549540b20000000", /* the signature */
		"474554202f20485454502f312e310d0a", /* GET / HTTP/1.1 */
		SIGNATURE "11000000",               /* the version */
		SIGNATURE "22000000",               /* the command */
		SIGNATURE "21110219",               /* too long */
		SIGNATURE "2111000bc0000201c000020204d200",
		SIGNATURE "2121000cc0000201c000020204d20050",
	};
	(void)state;
	for (size_t i = 0; i < CV_COUNT(bad); i++)
		assert_int_equal(get(bad[i]), CULVERT_EPROTO);
	assert_int_equal(client.family, 0xee);
	unhex(buf, SIGNATURE "21110218");
	assert_int_equal(cv_proxyhdr_size(buf), CV_PROXYHDR_MOST);
}

static void put(const char *from, const char *to, const char *want)
{
	struct cv_addr a = { 0 }, b;
	uint8_t got[CV_PROXYHDR_MAX + 1], expect[CV_PROXYHDR_MAX];
	if (*from)
		assert_int_equal(cv_hostport_parse(from, &a), 0);
	assert_int_equal(cv_hostport_parse(to, &b), 0);
	memset(got, 0xee, sizeof got);
	size_t n = cv_proxyhdr_put(got, &a, &b);
	assert_int_equal(n, unhex(expect, want));
	assert_memory_equal(got, expect, n);
	assert_int_equal(got[n], 0xee);
}

static void test_put(void **state)
{
	(void)state;
	put("192.0.2.1:1234", "192.0.2.2:80", FOUR);
	put("[2001:db8::1]:65535", "[2001:db8::2]:443", SIX);
	put("192.0.2.1:1234", "[2001:db8::2]:443",
		SIGNATURE "2121002400000000000000000000ffffc0000201"
			  "20010db800000000000000000000000204d201bb");
	put("[2001:db8::1]:65535", "192.0.2.2:80",
		SIGNATURE "2121002420010db8000000000000000000000001"
			  "00000000000000000000ffffc0000202ffff0050");
	put("", "192.0.2.2:80", SIGNATURE "20000000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_no_client),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_put),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
