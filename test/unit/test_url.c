/* SPDX-License-Identifier: MIT */
/* test_url.c - URLs taken apart, and what is none */
#include "unit/check.h"

#include "core/url.h"
#include "unit/env.h"

static void parse(struct cv_url *u, const char *text)
{
	const char *why = NULL;
	int err = cv_url_parse(u, text, strlen(text), &why);
	if (err)
		print_error("%s: %s\n", text, why);
	assert_int_equal(err, 0);
}

static void same(const char *got, const char *want)
{
	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
}

struct want {
	const char *text, *scheme, *user, *pass, *host, *path;
	long port;
	bool brackets;
};

static void test_parts(void **state)
{
	static const struct want w[] = {
		{ "udp://h:1", "udp", NULL, NULL, "h", NULL, 1, false },
		{ "tcp://[::1]:65535", "tcp", NULL, NULL, "::1", NULL, 65535,
			true },
		{ "tcp://[::1]", "tcp", NULL, NULL, "::1", NULL, -1, true },
		{ "tcp://:80", "tcp", NULL, NULL, "", NULL, 80, false },
		{ "tcp://", "tcp", NULL, NULL, "", NULL, -1, false },
		{ "tcp://*:*", "tcp", NULL, NULL, "*", NULL, -1, false },
		{ "udp://h:00053", "udp", NULL, NULL, "h", NULL, 53, false },
		{ "socks5://u:p:q@h:1", "socks5", "u", "p:q", "h", NULL, 1,
			false },
		{ "socks5://u@h", "socks5", "u", NULL, "h", NULL, -1, false },
		{ "socks5://u:p@w@h", "socks5", "u", "p@w", "h", NULL, -1,
			false },
		{ "unix:///a/b", "unix", NULL, NULL, "", "a/b", -1, false },
		{ "udp://h:1/p?x=y", "udp", NULL, NULL, "h", "p", 1, false },
		{ "udp://h:1?x=a/b", "udp", NULL, NULL, "h", NULL, 1, false },
	};
	(void)state;
	for (size_t i = 0; i < CV_COUNT(w); i++) {
		struct cv_url u;
		parse(&u, w[i].text);
		same(u.scheme, w[i].scheme);
		same(u.user, w[i].user);
		same(u.pass, w[i].pass);
		same(u.host, w[i].host);
		same(u.path, w[i].path);
		assert_int_equal(u.port, w[i].port);
		assert_int_equal(u.brackets, w[i].brackets);
	}
}

static void test_options(void **state)
{
	struct cv_url u;
	(void)state;
	parse(&u, "udp://h:1?bind=127.0.0.1:5&x&y=&z=a=b");
	assert_int_equal(u.options, 4);
	assert_string_equal(cv_url_option(&u, "bind"), "127.0.0.1:5");
	assert_string_equal(cv_url_option(&u, "x"), "");
	assert_string_equal(cv_url_option(&u, "y"), "");
	assert_string_equal(cv_url_option(&u, "z"), "a=b");
	assert_null(cv_url_option(&u, "bin"));
	parse(&u, "udp://h:1?");
	assert_int_equal(u.options, 0);
	parse(&u, "udp://h:1?1&2&3&4&5&6&7&8");
	assert_int_equal(u.options, 8);
}

static void refuse(const char *text, size_t len)
{
	struct cv_url u;
	const char *why = NULL;
	if (!cv_url_parse(&u, text, len, &why))
		print_error("taken: %s\n", text);
	assert_int_equal(cv_url_parse(&u, text, len, &why), CULVERT_ESYNTAX);
	assert_non_null(why);
	assert_int_equal(cv_url_parse(&u, text, len, NULL), CULVERT_ESYNTAX);
}

static void test_refused(void **state)
{
	static const char *const bad[] = { "", "udp", "udp:", "udp:/h:1",
		"://h:1", "udp://h:65536", "udp://h:-1", "udp://h:1x",
		"udp://h:", "udp://h:999999", "udp://::1", "udp://::1:5",
		"udp://[::1", "udp://[::1]5", "udp://[::1]:", "udp://h h:1",
		"udp://h:1\n", "udp://h\t:1", "udp://\x7f:1", "udp://h:1?=a",
		"udp://h:1?a&&b", "udp://h:1?1&2&3&4&5&6&7&8&9" };
	(void)state;
	for (size_t i = 0; i < CV_COUNT(bad); i++)
		refuse(bad[i], strlen(bad[i]));
	refuse("udp://h\0:1", 10);
}

static void test_length(void **state)
{
	char text[CV_URL_TEXT + 8];
	struct cv_url u;
	(void)state;
	memset(text, 'h', sizeof text);
	memcpy(text, "udp://", 6);
	assert_int_equal(cv_url_parse(&u, text, 6 + CV_URL_HOST - 1, NULL), 0);
	assert_int_equal(strlen(u.host), CV_URL_HOST - 1);
	refuse(text, 6 + CV_URL_HOST);
	text[7] = '/';
	assert_int_equal(cv_url_parse(&u, text, CV_URL_TEXT - 1, NULL), 0);
	assert_int_equal(strlen(u.path), CV_URL_TEXT - 1 - 8);
	refuse(text, CV_URL_TEXT);
	refuse(text, sizeof text);
	/* the length counts, not a NUL */
	assert_int_equal(cv_url_parse(&u, "udp://h:12", 9, NULL), 0);
	assert_int_equal(u.port, 1);
}

static void test_addr(void **state)
{
	static const struct {
		const char *url, *addr;
	} c[] = {
		{ "udp://192.0.2.1:53", "192.0.2.1:53" },
		{ "udp://[2001:db8::1]:53", "[2001:db8::1]:53" },
		{ "udp://192.0.2.1", "192.0.2.1:0" },
		{ "udp://localhost:5", "127.0.0.1:5" },
		{ "udp://:5", "[::]:5" },
		{ "udp://*:5", "[::]:5" },
		{ "udp://name:5", NULL },
		{ "udp://1.2.3:5", NULL },
	};
	char text[CV_ADDRTEXT];
	(void)state;
	for (size_t i = 0; i < CV_COUNT(c); i++) {
		struct cv_addr a = { .port = 9 };
		struct cv_url u;
		parse(&u, c[i].url);
		int err = cv_url_addr(&u, &a);
		assert_int_equal(err, c[i].addr ? 0 : CULVERT_EINVAL);
		if (c[i].addr)
			assert_string_equal(
				cv_addr_format(&a, text), c[i].addr);
		else
			assert_int_equal(a.port, 9);
	}
}

static void test_url_in_url(void **state)
{
	static const char text[] =
		"tcp://h:1?mark=1&via=socks5://a=b:c/d@[::1]:1080&cc=bbr";
	struct cv_url u;
	(void)state;
	assert_int_equal(cv_url_parse(&u, text, sizeof text - 1, NULL), 0);
	assert_string_equal(u.host, "h");
	assert_null(u.user);
	assert_null(u.path);
	assert_string_equal(
		cv_url_option(&u, "via"), "socks5://a=b:c/d@[::1]:1080");
	assert_string_equal(cv_url_option(&u, "cc"), "bbr");
}

static void test_shown(void **state)
{
	(void)state;
	assert_int_equal(cv_url_shown(""), 0);
	assert_int_equal(cv_url_shown("tcp://u@h:1?a=1"), 15);
	assert_int_equal(cv_url_shown("tcp://h:1?via=http://u:p@h:2"), 9);
}

static void test_decode(void **state)
{
	static const char *const bad[] = { "%", "a%4", "%4g", "%g4", "%%41",
		"%00", "%0a", "%7F", "123456789", "%41%41%41%41%41%41%41%41" };
	char out[8] = "x";
	(void)state;
	assert_int_equal(cv_url_decode("", out, sizeof out), 0);
	assert_string_equal(out, "");
	assert_int_equal(cv_url_decode("a%40%3A%2f%c3%A9", out, sizeof out), 0);
	assert_string_equal(out, "a@:/\xc3\xa9");
	assert_int_equal(cv_url_decode("1234567", out, sizeof out), 0);
	assert_string_equal(out, "1234567");
	assert_int_equal(
		cv_url_decode("12345678", out, sizeof out), CULVERT_ESYNTAX);
	for (size_t i = 0; i < CV_COUNT(bad); i++)
		assert_int_equal(cv_url_decode(bad[i], out, sizeof out),
			CULVERT_ESYNTAX);
}

static void test_number(void **state)
{
	static const struct {
		const char *text;
		uint32_t want;
	} good[] = { { "0", 0 }, { "7", 7 }, { "0x7", 7 }, { "0XaF", 0xaf },
		{ "007", 7 }, { "4294967295", UINT32_MAX },
		{ "0xffffffff", UINT32_MAX } };
	static const char *const bad[] = { "", "0x", "x", "-1", "+1", " 1",
		"1 ", "1x", "a", "0xg", "4294967296", "0x100000000",
		"99999999999999999999" };
	uint32_t n;
	(void)state;
	for (size_t i = 0; i < CV_COUNT(good); i++) {
		assert_int_equal(cv_url_number(good[i].text, &n), 0);
		assert_int_equal(n, good[i].want);
	}
	n = 5;
	for (size_t i = 0; i < CV_COUNT(bad); i++)
		assert_int_equal(cv_url_number(bad[i], &n), CULVERT_ESYNTAX);
	assert_int_equal(n, 5);
}

/* a copy stands on its own feet */
static void test_copy(void **state)
{
	static const char text[] = "tcp://me:pw@[::1]:3456/p?a=1&b&c=";
	struct cv_url u, v;
	(void)state;
	assert_int_equal(cv_url_parse(&u, text, sizeof text - 1, NULL), 0);
	cv_url_copy(&v, &u);
	memset(&u, 'x', sizeof u);
	assert_string_equal(v.scheme, "tcp");
	assert_string_equal(v.user, "me");
	assert_string_equal(v.pass, "pw");
	assert_string_equal(v.host, "::1");
	assert_string_equal(v.path, "p");
	assert_int_equal(v.port, 3456);
	assert_true(v.brackets);
	assert_string_equal(cv_url_option(&v, "a"), "1");
	assert_string_equal(cv_url_option(&v, "b"), "");
	assert_string_equal(cv_url_option(&v, "c"), "");
	assert_int_equal(cv_url_parse(&u, "tcp://h:1", 9, NULL), 0);
	cv_url_copy(&v, &u);
	assert_null(v.user);
	assert_null(v.pass);
	assert_null(v.path);
	assert_int_equal(v.options, 0);
}

static void test_hostport(void **state)
{
	static const char *const bad[] = { "1.2.3.4:65536", "1.2.3.4:x", "::1",
		"[::1", "1.2.3.4:", "[::1]x" };
	struct cv_addr a;
	char text[CV_URL_TEXT + 8];
	(void)state;
	assert_int_equal(cv_hostport_parse("192.0.2.1:53", &a), 0);
	assert_string_equal(cv_addr_format(&a, text), "192.0.2.1:53");
	assert_int_equal(cv_hostport_parse("[::1]:53", &a), 0);
	assert_string_equal(cv_addr_format(&a, text), "[::1]:53");
	assert_int_equal(cv_hostport_parse(":53", &a), 0);
	assert_string_equal(cv_addr_format(&a, text), "[::]:53");
	assert_int_equal(cv_hostport_parse("name:53", &a), CULVERT_EINVAL);
	for (size_t i = 0; i < CV_COUNT(bad); i++)
		assert_int_equal(
			cv_hostport_parse(bad[i], &a), CULVERT_ESYNTAX);
	memset(text, '1', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	assert_int_equal(cv_hostport_parse(text, &a), CULVERT_ESYNTAX);
}

/* whatever comes, every part lies inside the copy */
static void test_random(void **state)
{
	static const char *const piece[] = { "udp", "://", ":", "/", "@", "[",
		"]", "?", "&", "=", "1", "65535", "h", "::1", "*", ".",
		"localhost" };
	uint64_t seed = 19;
	unsigned taken = 0;
	(void)state;
	for (int i = 0; i < 200000; i++) {
		char text[256] = "";
		struct cv_url u;
		struct cv_addr a;
		for (uint64_t n = rnd_below(&seed, 14); n; n--)
			strcat(text, piece[rnd_below(&seed, CV_COUNT(piece))]);
		if (cv_url_parse(&u, text, strlen(text), NULL))
			continue;
		taken++;
		assert_true(u.port >= -1 && u.port < 65536);
		const char *part[] = { u.scheme, u.host, u.user, u.pass,
			u.path };
		for (size_t k = 0; k < CV_COUNT(part); k++)
			assert_true((k > 1 && !part[k]) ||
				    (part[k] >= u.text &&
					    part[k] + strlen(part[k]) <
						    u.text + sizeof u.text));
		(void)cv_url_addr(&u, &a);
	}
	assert_true(taken > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_addr),
		cmocka_unit_test(test_url_in_url),
		cmocka_unit_test(test_shown),
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_hostport),
		cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
