/* SPDX-License-Identifier: MIT */
/* test_via.c - URLs of proxies */
#include "unit/check.h"

#include "core/via.h"

static void take(struct cv_via *v, const char *text)
{
	const char *why = NULL;
	if (cv_via_parse(v, text, &why))
		fail_msg("%s: %s", text, why);
}

static void refuse(const char *text, const char *want)
{
	struct cv_via v;
	const char *why = "";
	assert_int_equal(cv_via_parse(&v, text, &why), CULVERT_ESYNTAX);
	if (!strstr(why, want))
		fail_msg("%s: %s", text, why);
}

static void test_taken(void **state)
{
	struct cv_via v;
	(void)state;
	take(&v, "socks5://p:1080");
	assert_true(v.socks);
	assert_false(v.auth);
	assert_string_equal(v.url.host, "p");
	assert_int_equal(v.url.port, 1080);
	take(&v, "http://[2001:db8::1]:3128/");
	assert_false(v.socks);
	assert_string_equal(v.url.host, "2001:db8::1");
	take(&v, "socks5://us%3Aer:p%40ss%26@p:1");
	assert_true(v.auth);
	assert_string_equal(v.user, "us:er");
	assert_string_equal(v.pass, "p@ss&");
	take(&v, "http://user@p:1");
	assert_true(v.auth);
	assert_string_equal(v.user, "user");
	assert_string_equal(v.pass, "");
	take(&v, "http://user:a:b@p:1");
	assert_string_equal(v.pass, "a:b");
}

static void test_refused(void **state)
{
	(void)state;
	refuse("", "no scheme");
	refuse("p:1080", "no scheme");
	refuse("socks4://p:1080", "socks5:// or http://");
	refuse("https://p:443", "socks5:// or http://");
	refuse("socks5://p:1/x", "socks5:// or http://");
	refuse("socks5://p:1?x=1", "socks5:// or http://");
	refuse("socks5://:1", "host is missing");
	refuse("socks5://*:1", "host is missing");
	refuse("socks5://p", "port (1 to 65535) is missing");
	refuse("socks5://p:0", "port (1 to 65535) is missing");
	refuse("socks5://u@p:1", "both user and password");
	refuse("socks5://:w@p:1", "both user and password");
	refuse("http://a%3ab:w@p:1", "no colon");
	refuse("http://a%0d%0ax:w@p:1", "up to 255 characters");
	refuse("socks5://u:%@p:1", "up to 255 characters");
	refuse("socks5://u:%6@p:1", "up to 255 characters");
}

/* 255 characters are what RFC 1929 has room for */
static void test_length(void **state)
{
	char text[CV_URL_TEXT];
	struct cv_via v;
	(void)state;
	memset(text, 'u', sizeof text);
	memcpy(text, "socks5://", 9);
	strcpy(text + 9 + 255, ":p@p:1");
	take(&v, text);
	assert_int_equal(strlen(v.user), 255);
	strcpy(text + 9 + 255, "u:p@p:1");
	memset(text + 9 + 255, 'u', 1);
	refuse(text, "up to 255 characters");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
