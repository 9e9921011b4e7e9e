/* SPDX-License-Identifier: MIT */
/* test_socks5.c - RFC 1928 and 1929 by their bytes, and proxies that mean harm
 */
#include "unit/check.h"

#include "core/socks5.h"
#include "unit/env.h"

static struct cv_socks5 s;
static struct cv_via via;
static struct cv_url target;

static void begin(const char *proxy, const char *to)
{
	const char *why;
	assert_int_equal(cv_via_parse(&via, proxy, &why), 0);
	assert_int_equal(cv_url_parse(&target, to, strlen(to), &why), 0);
	cv_socks5_start(&s, &target, &via);
}

/* the machine says exactly this, and nothing is left to be said */
static void says(const char *hex)
{
	uint8_t want[CV_VIA_OUT];
	size_t len = unhex(want, hex);
	assert_int_equal(s.talk.len, len);
	assert_memory_equal(s.talk.out, want, len);
	s.talk.len = 0;
}

static int hears(const char *hex)
{
	uint8_t data[600];
	return cv_socks5_input(&s, data, unhex(data, hex));
}

static void refused(const char *hex, const char *why)
{
	assert_true(hears(hex) < 0);
	assert_false(s.talk.done);
	if (!strstr(s.talk.why, why))
		fail_msg("%s: %s", hex, s.talk.why);
}

static void test_name(void **state)
{
	(void)state;
	begin("socks5://p:1080", "tcp://ab.test:3456");
	says("050100");
	assert_int_equal(hears("0500"), 2);
	says("05010003"
	     "07"
	     "61622e74657374"
	     "0d80");
	assert_int_equal(hears("05000001"
			       "0a000001"
			       "0438"),
		10);
	assert_true(s.talk.done);
	assert_int_equal(s.talk.len, 0);
}

static void test_numbers(void **state)
{
	(void)state;
	begin("socks5://p:1080", "tcp://192.0.2.7:65535");
	says("050100");
	hears("0500");
	says("05010001"
	     "c0000207"
	     "ffff");
	begin("socks5://p:1080", "tcp://[2001:db8::7]:1");
	says("050100");
	hears("0500");
	says("05010004"
	     "20010db8000000000000000000000007"
	     "0001");
}

static void test_password(void **state)
{
	(void)state;
	begin("socks5://me:a%40b@p:1080", "tcp://192.0.2.7:1");
	says("05020002");
	assert_int_equal(hears("0502"), 2);
	says("01"
	     "026d65"
	     "03614062");
	assert_int_equal(hears("0100"), 2);
	says("05010001"
	     "c0000207"
	     "0001");
	/* a proxy need not ask for it */
	begin("socks5://me:pw@p:1080", "tcp://192.0.2.7:1");
	says("05020002");
	hears("0500");
	says("05010001"
	     "c0000207"
	     "0001");
	/* nor tell versions apart */
	begin("socks5://me:pw@p:1080", "tcp://192.0.2.7:1");
	hears("0502");
	assert_int_equal(hears("0500"), 2);
}

/* everything as long as it can be, and answered before it is sent */
static void test_longest(void **state)
{
	char proxy[CV_URL_TEXT], to[CV_URL_TEXT];
	(void)state;
	memset(proxy, 'x', sizeof proxy);
	memcpy(proxy, "socks5://", 9);
	proxy[9 + 200] = ':';
	strcpy(proxy + 9 + 201 + 255, "@p:1");
	memset(to, 'y', sizeof to);
	memcpy(to, "tcp://", 6);
	strcpy(to + 6 + 255, ":1");
	begin(proxy, to);
	assert_int_equal(hears("0502"
			       "0100"
			       "0500"),
		6);
	assert_int_equal(s.talk.len, 4 + 2 + 200 + 1 + 255 + 5 + 255 + 2);
}

static void test_every_kind_of_bound_address(void **state)
{
	static const char *const reply[] = {
		"05000001"
		"00000000"
		"0000",
		"05000004"
		"00000000000000000000000000000000"
		"0000",
		"05000003"
		"00"
		"0000",
		"05000003"
		"0161"
		"0000",
		"05ff03" /* replaced below: a name of 255 bytes */
	};
	(void)state;
	for (size_t i = 0; i < CV_COUNT(reply); i++) {
		uint8_t data[5 + 255 + 2 + 1] = { 5, 0, 0, 3, 255 };
		size_t len = i + 1 < CV_COUNT(reply) ? unhex(data, reply[i])
						     : sizeof data - 1;
		begin("socks5://p:1", "tcp://h:1");
		hears("0500");
		/* one byte of the tunnel comes along, and stays */
		data[len] = 5;
		assert_int_equal(cv_socks5_input(&s, data, len + 1), (int)len);
		assert_true(s.talk.done);
		assert_int_equal(cv_socks5_input(&s, data, 1), 0);
	}
}

/* cut at every place, into two and into single bytes */
static void test_splits(void **state)
{
	uint8_t all[64];
	size_t len = unhex(all, "0502"
				"0100"
				"05000003"
				"03616263"
				"1234");
	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		begin("socks5://me:pw@p:1", "tcp://h:1");
		assert_int_equal(cv_socks5_input(&s, all, cut), (int)cut);
		assert_int_equal(s.talk.done, cut == len);
		assert_int_equal(cv_socks5_input(&s, all + cut, len - cut),
			(int)(len - cut));
		assert_true(s.talk.done);
	}
	begin("socks5://me:pw@p:1", "tcp://h:1");
	for (size_t i = 0; i < len; i++) {
		assert_false(s.talk.done);
		assert_int_equal(cv_socks5_input(&s, all + i, 1), 1);
	}
	assert_true(s.talk.done);
}

static void test_every_reply(void **state)
{
	static const char *const want[] = { NULL, "does not name",
		"rules do not allow", "network is unreachable",
		"target is unreachable", "refuses the connection", "too long",
		"does not open connections", "kind of address" };
	(void)state;
	for (unsigned code = 1; code < 256; code++) {
		char hex[8];
		snprintf(hex, sizeof hex, "05%02x", code);
		begin("socks5://p:1", "tcp://h:1");
		hears("0500");
		/* of a refusal no more than this need ever come */
		refused(hex, code < CV_COUNT(want) ? want[code]
						   : "SOCKS5 does not know");
	}
}

static void test_hostile(void **state)
{
	(void)state;
	begin("socks5://p:1", "tcp://h:1");
	refused("05ff", "it wants a user and a password");
	begin("socks5://p:1", "tcp://h:1");
	refused("0502", "not offered");
	begin("socks5://p:1", "tcp://h:1");
	refused("0501", "not offered");
	begin("socks5://p:1", "tcp://h:1");
	refused("4854", "does not speak SOCKS5"); /* HT of HTTP */
	begin("socks5://p:1", "tcp://h:1");
	refused("0400", "does not speak SOCKS5");
	begin("socks5://me:pw@p:1", "tcp://h:1");
	refused("05ff", "neither user and password");
	begin("socks5://me:pw@p:1", "tcp://h:1");
	hears("0502");
	refused("0101", "refuses the user or the password");
	begin("socks5://p:1", "tcp://h:1");
	hears("0500");
	refused("0400", "its reply is not SOCKS5");
	begin("socks5://p:1", "tcp://h:1");
	hears("0500");
	refused("0500000205", "its reply is not SOCKS5");
	begin("socks5://p:1", "tcp://h:1");
	assert_int_equal(hears("05"), 1);
	assert_false(s.talk.done);
}

/* whatever comes in whatever pieces: it ends, within bounds */
static void test_random(void **state)
{
	uint64_t seed = 1928;
	unsigned done = 0, failures = 0;
	(void)state;
	for (int i = 0; i < 100000; i++) {
		bool over = false;
		begin(i % 2 ? "socks5://p:1" : "socks5://me:pw@p:1",
			"tcp://h:1");
		for (int k = 0; k < 12 && !over; k++) {
			uint8_t data[40];
			size_t len = rnd_below(&seed, sizeof data);
			for (size_t n = 0; n < len; n++)
				data[n] = (uint8_t)(rnd_below(&seed, 3)
							    ? 5 * (n % 2 == 0)
							    : rnd_below(&seed,
								      6));
			int used = cv_socks5_input(&s, data, len);
			failures += used < 0;
			over = used < 0 || s.talk.done;
			assert_true(used <= (int)len);
			assert_true(over || used == (int)len);
			assert_true(s.talk.len < sizeof s.talk.out);
		}
		done += s.talk.done;
	}
	assert_true(done > 100 && failures > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_password),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_every_kind_of_bound_address),
		cmocka_unit_test(test_splits),
		cmocka_unit_test(test_every_reply),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
