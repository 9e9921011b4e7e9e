/* SPDX-License-Identifier: MIT */
/* test_addr.c - addresses, against inet_pton() and inet_ntop() */
#include "unit/check.h"

#include "core/addr.h"
#include "unit/env.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static void same_as_pton(const char *text)
{
	struct cv_addr a = { .port = 77 };
	uint8_t want[16] = { 0 };
	int family = inet_pton(AF_INET, text, want) == 1 ? CV_AF_INET : 0;
	if (!family)
		family = inet_pton(AF_INET6, text, want) == 1 ? CV_AF_INET6 : 0;
	if (family == CV_AF_INET6 && IN6_IS_ADDR_V4MAPPED(want)) {
		family = CV_AF_INET;
		memmove(want, want + 12, 4);
		memset(want + 4, 0, 12);
	}
	int err = cv_addr_parse_ip(text, &a);
	if ((err == 0) != (family != 0))
		print_error("\"%s\": %d\n", text, err);
	assert_int_equal(err, family ? 0 : CULVERT_ESYNTAX);
	assert_int_equal(a.port, family ? 0 : 77);
	if (!family)
		return;
	assert_int_equal(a.family, family);
	assert_memory_equal(a.ip, want, 16);
}

static void test_parse_edges(void **state)
{
	static const char *const text[] = { "", "1", "1.2.3.4", "0.0.0.0",
		"255.255.255.255", "256.1.1.1", "1.2.3", "1.2.3.4.5",
		"1.2.3.4 ", "01.2.3.4", "1..2.3", "1.2.3.", ".1.2.3",
		"1.2.3.1000", "::", "::1", "1::", "1:2:3:4:5:6:7:8",
		"1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8",
		"1::3:4:5:6:7:8", "1:2:3:4::5:6:7:8", "::1::", ":::", "1:::2",
		":1", "1:", ":", "1:2:3:4:5:6:7:", "12345::", "fffff::1",
		"FFFF::aBcD", "g::1", "::1.2.3.4", "::ffff:1.2.3.4",
		"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:1.2.3.4",
		"1:2:3:4:5::1.2.3.4", "1:2:3:4:5:6::1.2.3.4", "::1.2.3.4:1",
		"::1.2.3", "::1.2.3.256", "1.2.3.4::", "::1%1", "[::1]",
		"0000::0001", "00000::1", "-1::", "1:2:3:4:5:6:7:1.2.3.4" };
	(void)state;
	for (size_t i = 0; i < CV_COUNT(text); i++)
		same_as_pton(text[i]);
}

/* pieces put together, so that many are nearly right */
static void test_parse_random(void **state)
{
	static const char *const piece[] = { ":", ":", "::", "1", "ab", "ffff",
		"0", "12345", "1.2.3.4", ".", "255", "256", "g" };
	uint64_t seed = 1;
	(void)state;
	for (int i = 0; i < 300000; i++) {
		char text[128] = "";
		for (uint64_t n = 1 + rnd_below(&seed, 16); n; n--)
			strcat(text, piece[rnd_below(&seed, CV_COUNT(piece))]);
		same_as_pton(text);
	}
}

static void test_format(void **state)
{
	uint64_t seed = 2;
	char got[CV_ADDRTEXT], ip[64], want[CV_ADDRTEXT];
	struct cv_addr back;
	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct cv_addr a = { .family = CV_AF_INET6 };
		a.port = (uint16_t)rnd(&seed);
		for (int g = 0; g < 16; g += 2) {
			if (rnd(&seed) & 0x10000)
				rnd_fill(&seed, a.ip + g, 2);
			if (rnd(&seed) & 0x10000)
				a.ip[g] = 0;
		}
		a.ip[0] |= 0x20; /* no mapped or compatible address */
		inet_ntop(AF_INET6, a.ip, ip, sizeof ip);
		snprintf(want, sizeof want, "[%s]:%u", ip, a.port);
		assert_string_equal(cv_addr_format(&a, got), want);
		assert_int_equal(cv_addr_parse_ip(ip, &back), 0);
		assert_true(cv_addr_same_ip(&a, &back));
	}
}

static void test_format_others(void **state)
{
	char got[CV_ADDRTEXT];
	struct cv_addr a = {
		.ip = { 192, 0, 2, 255 }, .port = 65535, .family = CV_AF_INET
	};
	(void)state;
	assert_string_equal(cv_addr_format(&a, got), "192.0.2.255:65535");
	a = (struct cv_addr){ .ip = { 0xfe, 0x80, [15] = 1 },
		.family = CV_AF_INET6,
		.scope = UINT32_MAX,
		.port = 1 };
	assert_string_equal(cv_addr_format(&a, got), "[fe80::1%4294967295]:1");
	memset(a.ip, 0xff, 16);
	a.port = 65535;
	assert_string_equal(cv_addr_format(&a, got),
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
	a.family = CV_AF_NONE;
	assert_string_equal(cv_addr_format(&a, got), "none");
}

static void test_compare(void **state)
{
	struct cv_addr a, b;
	(void)state;
	assert_int_equal(cv_addr_parse_ip("192.0.2.1", &a), 0);
	b = a;
	assert_true(cv_addr_equal(&a, &b) && cv_addr_same_ip(&a, &b));
	b.port = 1;
	assert_true(!cv_addr_equal(&a, &b) && cv_addr_same_ip(&a, &b));
	b = a;
	b.scope = 1;
	assert_true(!cv_addr_equal(&a, &b) && !cv_addr_same_ip(&a, &b));
	b = a;
	b.family = CV_AF_INET6;
	assert_true(!cv_addr_equal(&a, &b) && !cv_addr_same_ip(&a, &b));
	b = a;
	b.ip[15] = 1;
	assert_true(!cv_addr_equal(&a, &b) && !cv_addr_same_ip(&a, &b));
}

static void test_loopback_and_any(void **state)
{
	static const struct {
		const char *text;
		bool loopback, any;
	} c[] = {
		{ "127.0.0.1", true, false },
		{ "127.255.255.255", true, false },
		{ "128.0.0.1", false, false },
		{ "126.255.255.255", false, false },
		{ "::1", true, false },
		{ "::2", false, false },
		{ "1::1", false, false },
		{ "::ffff:127.3.2.1", true, false },
		{ "::ffff:128.0.0.1", false, false },
		{ "::127.0.0.1", false, false },
		{ "0.0.0.0", false, true },
		{ "::", false, true },
		{ "::ffff:0.0.0.0", false, true },
		{ "::ffff:0:7f00:1", false, false },
	};
	struct cv_addr a = { 0 };
	(void)state;
	assert_false(cv_addr_loopback(&a));
	for (size_t i = 0; i < CV_COUNT(c); i++) {
		assert_int_equal(cv_addr_parse_ip(c[i].text, &a), 0);
		assert_int_equal(cv_addr_loopback(&a), c[i].loopback);
		assert_int_equal(cv_addr_any(&a), c[i].any);
	}
}

/* one address has one form, or a policy could be passed by */
static void test_unmap(void **state)
{
	struct cv_addr a = { .ip = { [10] = 0xff, 0xff, 10, 1, 2, 3 },
		.scope = 5,
		.port = 7,
		.family = CV_AF_INET6 };
	struct cv_addr b, want = {
		.ip = { 10, 1, 2, 3 }, .port = 7, .family = CV_AF_INET
	};
	(void)state;
	for (size_t i = 0; i < 12; i++) {
		b = a;
		b.ip[i] ^= 1;
		struct cv_addr was = b;
		cv_addr_unmap(&b);
		assert_true(cv_addr_equal(&b, &was));
	}
	cv_addr_unmap(&a);
	assert_true(cv_addr_equal(&a, &want));
	cv_addr_unmap(&a);
	assert_true(cv_addr_equal(&a, &want));
}

static bool bit(const struct cv_addr *a, unsigned i)
{
	return a->ip[i / 8] >> (7 - i % 8) & 1;
}

static void test_prefix(void **state)
{
	uint64_t seed = 3;
	struct cv_addr a, net;
	(void)state;
	for (int i = 0; i < 20000; i++) {
		unsigned max = i & 1 ? 32 : 128, same = 0;
		a = (struct cv_addr){ .family = i & 1 ? CV_AF_INET
						      : CV_AF_INET6 };
		rnd_fill(&seed, a.ip, max / 8);
		net = a;
		net.port = 5;
		/* alike up to some bit */
		unsigned at = (unsigned)rnd_below(&seed, max);
		net.ip[at / 8] ^= (uint8_t)(0x80 >> at % 8);
		while (same < max && bit(&a, same) == bit(&net, same))
			same++;
		for (unsigned bits = 0; bits <= max; bits++)
			assert_int_equal(cv_addr_in_prefix(&a, &net, bits),
				bits <= same);
		assert_true(cv_addr_in_prefix(&a, &a, max));
	}
	net = a;
	net.family = CV_AF_INET6 + CV_AF_INET - net.family;
	assert_false(cv_addr_in_prefix(&a, &net, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_edges),
		cmocka_unit_test(test_parse_random),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_format_others),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_loopback_and_any),
		cmocka_unit_test(test_unmap),
		cmocka_unit_test(test_prefix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
