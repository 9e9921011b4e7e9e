/* SPDX-License-Identifier: MIT */
/* test_http_connect.c - requests by their bytes, responses cut anywhere */
#include "unit/check.h"

#include "core/http_connect.h"
#include "unit/env.h"

static struct cv_http_connect h;

static void begin(const char *proxy, const char *to)
{
	struct cv_via via;
	struct cv_url target;
	const char *why;
	assert_int_equal(cv_via_parse(&via, proxy, &why), 0);
	assert_int_equal(cv_url_parse(&target, to, strlen(to), &why), 0);
	cv_http_connect_start(&h, &target, &via);
}

static void says(const char *want)
{
	assert_int_equal(h.talk.len, strlen(want));
	assert_memory_equal(h.talk.out, want, h.talk.len);
}

static int hears(const char *text)
{
	return cv_http_connect_input(&h, (const uint8_t *)text, strlen(text));
}

static void refused(const char *text, const char *why)
{
	begin("http://p:1", "tcp://h:1");
	assert_true(hears(text) < 0);
	assert_false(h.talk.done);
	if (!strstr(h.talk.why, why))
		fail_msg("%s: %s", text, h.talk.why);
}

/* the examples of RFC 9110, section 9.3.6, and RFC 7617, sections 2 and 2.1 */
static void test_requests(void **state)
{
	(void)state;
	begin("http://p:1", "tcp://server.example.com:80");
	says("CONNECT server.example.com:80 HTTP/1.1\r\n"
	     "Host: server.example.com:80\r\n\r\n");
	begin("http://hello:world@p:1", "tcp://server.example.com:80");
	says("CONNECT server.example.com:80 HTTP/1.1\r\n"
	     "Host: server.example.com:80\r\n"
	     "Proxy-Authorization: Basic aGVsbG86d29ybGQ=\r\n\r\n");
	begin("http://Aladdin:open%20sesame@p:1", "tcp://[2001:db8::1]:3456");
	says("CONNECT [2001:db8::1]:3456 HTTP/1.1\r\n"
	     "Host: [2001:db8::1]:3456\r\n"
	     "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
	begin("http://test:123%C2%A3@p:1", "tcp://h:1");
	says("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n"
	     "Proxy-Authorization: Basic dGVzdDoxMjPCow==\r\n\r\n");
	begin("http://user@p:1", "tcp://h:1");
	says("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n"
	     "Proxy-Authorization: Basic dXNlcjo=\r\n\r\n");
}

static void test_longest_request(void **state)
{
	char proxy[CV_URL_TEXT], to[CV_URL_TEXT];
	(void)state;
	memset(proxy, 'x', sizeof proxy);
	memcpy(proxy, "http://", 7);
	proxy[7 + 240] = ':';
	strcpy(proxy + 7 + 241 + 255, "@p:1");
	memset(to, 'y', sizeof to);
	memcpy(to, "tcp://", 6);
	strcpy(to + 6 + 255, ":65535");
	begin(proxy, to);
	assert_int_equal(
		h.talk.len, strlen("CONNECT :65535 HTTP/1.1\r\nHost: :65535\r\n"
				   "Proxy-Authorization: Basic \r\n\r\n") +
				    2 * 255 + (240 + 1 + 255 + 2) / 3 * 4);
	assert_memory_equal(h.talk.out + h.talk.len - 4, "\r\n\r\n", 4);
}

static void test_taken(void **state)
{
	static const char *const good[] = {
		"HTTP/1.1 200 Connection established\r\n\r\n",
		"HTTP/1.0 200 OK\r\nServer: x\r\nVia: y\r\n\r\n",
		"HTTP/1.1 200\r\n\r\n",
		"HTTP/1.1 299 \r\n\r\n",
		/* bare LF: RFC 9112, section 2.2 */
		"HTTP/1.1 200 OK\nA: b\n\n",
		/* of a CONNECT these mean nothing: RFC 9110, section 9.3.6 */
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
		"Transfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 x\r\na: b\r\n\r\n"
		"HTTP/1.1 200 OK\r\n\r\n",
	};
	(void)state;
	for (size_t i = 0; i < CV_COUNT(good); i++) {
		const uint8_t *data = (const uint8_t *)good[i];
		int len = (int)strlen(good[i]);
		char all[300];
		for (int cut = 0; cut <= len; cut++) {
			begin("http://p:1", "tcp://h:1");
			assert_int_equal(
				cv_http_connect_input(&h, data, (size_t)cut),
				cut);
			assert_int_equal(h.talk.done, cut == len);
			assert_int_equal(cv_http_connect_input(&h, data + cut,
						 (size_t)(len - cut)),
				len - cut);
			assert_true(h.talk.done);
		}
		begin("http://p:1", "tcp://h:1");
		for (int n = 0; n < len; n++) {
			assert_false(h.talk.done);
			assert_int_equal(
				cv_http_connect_input(&h, data + n, 1), 1);
		}
		assert_true(h.talk.done);
		/* what the target says at once stays where it is */
		snprintf(all, sizeof all, "%s\r\nSSH-2.0", good[i]);
		begin("http://p:1", "tcp://h:1");
		assert_int_equal(hears(all), len);
		assert_true(h.talk.done);
		assert_int_equal(hears("more"), 0);
	}
}

static void test_refused(void **state)
{
	(void)state;
	refused("HTTP/1.1 403 Filtered\r\n\r\n", "it says 403 Filtered");
	refused("HTTP/1.1 502\r\n\r\n", "it says 502");
	refused("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "it says 302");
	refused("HTTP/1.1 500 \"\\\x1b[31m\xff\t\r\n\r\n",
		"it says 500 ???[31m??");
	refused("HTTP/1.1 407 Proxy Authentication Required\r\n"
		"Proxy-Authenticate: Basic realm=\"x\"\r\n\r\n",
		"it wants a user and a password");
	begin("http://u:p@p:1", "tcp://h:1");
	assert_int_equal(hears("HTTP/1.0 407 no\r\n\r\n"), CULVERT_EREFUSED);
	assert_string_equal(h.talk.why, "it refuses the user or the password");
	begin("http://u:p@p:1", "tcp://h:1");
	assert_int_equal(hears("HTTP/1.0 401 no\r\n\r\n"), CULVERT_EREFUSED);
	assert_string_equal(h.talk.why, "it refuses the user or the password");
}

static void test_hostile(void **state)
{
	static const char *const other[] = { "SSH-2.0-x", "\x05", "HTTP/2 200",
		"HTTP/2", "HTTPS", "ICY 200 OK\r\n", "\r\n", "\n",
		"HTTP/1.1\r\n", "HTTP/1.1 \r\n", "HTTP/1.1 20\r\n",
		"HTTP/1.1 2000\r\n", "HTTP/1.1 2x0\r\n", "HTTP/1.1 -20\r\n",
		"HTTP/1.1 020 x\r\n", "HTTP/1.x 200 OK\r\n",
		"HTTP/1.1  200 OK\r\n", "HTTP/1.1\t200 OK\r\n",
		"HTTP/1.1 100 x\r\n\r\nHTTX" };
	(void)state;
	for (size_t i = 0; i < CV_COUNT(other); i++)
		refused(other[i], "it does not speak HTTP");
}

/* a head of 8 KiB is taken, one byte more is not, however it is made up */
static void test_longest_head(void **state)
{
	static const char first[] = "HTTP/1.1 200 OK\r\n";
	char text[CV_HTTP_HEAD + 8];
	(void)state;
	for (int lines = 0; lines < 2; lines++) {
		memset(text, 'x', sizeof text);
		for (size_t i = 40; lines && i < sizeof text; i += 40)
			text[i] = '\n';
		memcpy(text, first, sizeof first - 1);
		memcpy(text + CV_HTTP_HEAD - 4, "\r\n\r\n", 5);
		begin("http://p:1", "tcp://h:1");
		assert_int_equal(hears(text), CV_HTTP_HEAD);
		assert_true(h.talk.done);
		memcpy(text + CV_HTTP_HEAD - 4, "x\r\n\r\n", 6);
		refused(text, "its answer does not end");
	}
	/* a status line of that length, and interim ones without end */
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	memcpy(text, first, sizeof first - 3);
	refused(text, "its answer does not end");
	begin("http://p:1", "tcp://h:1");
	int err = 0;
	for (int i = 0; i < 1000 && err >= 0; i++)
		err = hears("HTTP/1.1 100 x\r\n\r\n");
	assert_int_equal(err, CULVERT_EPROTO);
}

static void test_random(void **state)
{
	static const char *const piece[] = { "HTTP/1.1 ", "200", "100", "407",
		"500", " ", "\r\n", "\n", "\r", "x", "A: b", "\r\n\r\n" };
	uint64_t seed = 9110;
	unsigned done = 0, failures = 0;
	(void)state;
	for (int i = 0; i < 100000; i++) {
		bool over = false;
		begin("http://p:1", "tcp://h:1");
		hears("HTTP/1.1 ");
		for (int k = 0; k < 16 && !over; k++) {
			const char *p =
				piece[rnd_below(&seed, CV_COUNT(piece))];
			int used = hears(p);
			failures += used < 0;
			over = used < 0 || h.talk.done;
			assert_true(over || used == (int)strlen(p));
			assert_true(h.kept < sizeof h.status);
		}
		done += h.talk.done;
	}
	assert_true(done > 100 && failures > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_longest_request),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_longest_head),
		cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
