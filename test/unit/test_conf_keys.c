/* SPDX-License-Identifier: MIT */
/* test_conf_keys.c - the value of every key: its range, its units, its form */
#include "unit/conf_fix.h"

#include "core/conf_keys.h"

static int setup(void **state)
{
	(void)state;
	conf_env = mem_env(&conf_mem, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return conf_mem.blocks || conf_mem.bytes ? -1 : 0;
}

/* a line of [Node] in an otherwise good file */
static bool node(const char *line)
{
	char text[2048];
	struct culvert_diag d;
	snprintf(text, sizeof text, MINIMAL "[Node]\n%s\n", line);
	cv_conf_clear(&conf);
	int err = cv_conf_parse(&conf, &conf_env, text, strlen(text), &d);
	if (err)
		assert_int_equal(d.line, 8);
	return !err;
}

/* a number's text, and what it comes to; UINT64_MAX: it is refused */
struct number {
	const char *text;
	uint64_t want;
};

#define NO UINT64_MAX

static void numbers(const char *key, const struct number *n, size_t count,
	const uint32_t *value)
{
	char line[128];
	for (size_t i = 0; i < count; i++) {
		snprintf(line, sizeof line, "%s = %s", key, n[i].text);
		bool good = node(line);
		if (good != (n[i].want != NO))
			print_error("%s\n", line);
		assert_int_equal(good, n[i].want != NO);
		if (good)
			assert_int_equal(*value, n[i].want);
		cv_conf_clear(&conf);
	}
}

static void test_max_age(void **state)
{
	static const struct number n[] = { { "1", 1000 }, { "20", 20000 },
		{ "20ms", 20000 }, { "1000us", 1000 }, { "999us", NO },
		{ "0", NO }, { "10s", 10000000 }, { "10000", 10000000 },
		{ "10001", NO }, { "11s", NO }, { "1m", NO }, { "-1", NO },
		{ "1.5", NO }, { "x", NO }, { "5 ms", NO }, { "5MS", NO },
		{ "99999999999999999999", NO }, { "+5", NO }, { "0x5", NO } };
	(void)state;
	numbers("MaxAge", n, CV_COUNT(n), &conf.max_age);
}

static void test_idle(void **state)
{
	static const struct number n[] = { { "0", 0 }, { "1", 1 },
		{ "180", 180 }, { "2m", 120 }, { "1h", 3600 },
		{ "1000h", 3600000 }, { "1001h", NO }, { "3600000", 3600000 },
		{ "3600001", NO }, { "1500ms", NO }, { "2000ms", 2 },
		{ "1us", NO }, { "42949672950h", NO } };
	(void)state;
	numbers("IdleTimeout", n, CV_COUNT(n), &conf.idle);
}

static void test_counts(void **state)
{
	static const struct number n[] = { { "1", 1 }, { "0", NO },
		{ "4194304", 4194304 }, { "4194305", NO }, { "1k", NO },
		{ "4294967297", NO } };
	(void)state;
	numbers("MaxFlows", n, CV_COUNT(n), &conf.max_flows);
	numbers("MaxFlowsPerSource", n, CV_COUNT(n), &conf.max_source);
}

static void test_memory(void **state)
{
	static const struct number n[] = { { "1", 1 << 20 }, { "64", 64 << 20 },
		{ "1M", 1 << 20 }, { "1024K", 1 << 20 }, { "1023K", NO },
		{ "2G", UINT64_C(1) << 31 }, { "2048", UINT64_C(1) << 31 },
		{ "2049", NO }, { "3G", NO }, { "0", NO }, { "1T", NO },
		{ "1m", NO } };
	(void)state;
	numbers("Memory", n, CV_COUNT(n), &conf.memory);
}

static void test_server(void **state)
{
	(void)state;
	assert_true(node("ServerNumber = 65535"));
	assert_int_equal(conf.server, 65535);
	assert_true(node("ServerNumber = 0"));
	assert_false(node("ServerNumber = 65536"));
	cv_conf_clear(&conf);
}

static void test_discovery(void **state)
{
	(void)state;
	take(MINIMAL "[Serve]\nServerId = 4294967295\n");
	assert_int_equal(conf.server_id, UINT32_MAX);
	cv_conf_clear(&conf);
	refuse(MINIMAL "[Serve]\nServerId = 0\n", 8, "from 1 to 4294967295");
	refuse(MINIMAL "[Serve]\nServerId = 4294967296\n", 8, "from 1");
	refuse(MINIMAL "[Serve]\nDiscoverable = maybe\n", 8, "yes or no");
}

static void test_words(void **state)
{
	static const char *const level[] = { "error", "warn", "info", "debug" };
	char line[64];
	(void)state;
	for (int i = 0; i < 4; i++) {
		snprintf(line, sizeof line, "LogLevel = %s", level[i]);
		assert_true(node(line));
		assert_int_equal(conf.log, i);
	}
	assert_false(node("LogLevel = loud"));
	assert_true(node("Plain = no"));
	assert_false(conf.plain);
	assert_false(node("Plain = maybe"));
	assert_false(node("Plain = Yes"));
	cv_conf_clear(&conf);
}

static void test_name(void **state)
{
	(void)state;
	assert_true(node("Name = a-B_9.x"));
	assert_string_equal(conf.name, "a-B_9.x");
	assert_true(node("Name = 0123456789012345678901234567890"));
	assert_false(node("Name = 01234567890123456789012345678901"));
	assert_false(node("Name = .hidden"));
	assert_false(node("Name = a/b"));
	assert_false(node("Name = a b"));
	cv_conf_clear(&conf);
}

static void test_keys(void **state)
{
	(void)state;
	refuse("[Node]\nPrivateKey = x", 2, "not a private key");
	refuse("[Node]\nPrivateKey = " KEY("F"), 2, "not a private key");
	refuse("[Peer]\nPublicKey = x", 2, "not a key");
	refuse("[Peer]\nPresharedKey = x", 2, "not a key");
}

/* what is wrong with a secret is said without it */
static void test_secrets(void **state)
{
	static const char *const text[] = { "[Node]\nPrivateKey = hunter2",
		"[Peer]\nPresharedKey = hunter2" };
	struct culvert_diag d;
	(void)state;
	for (size_t i = 0; i < CV_COUNT(text); i++) {
		refuse(text[i], 2, "= \"...\": not a");
		assert_true(cv_conf_parse(&conf, &conf_env, text[i],
				    strlen(text[i]), &d) < 0);
		assert_null(strstr(d.text, "hunter2"));
	}
	refuse("[Peer]\nPublicKey = hunter2", 2, "hunter2");
}

static void test_long_values(void **state)
{
	static const struct {
		const char *head;
		size_t max;
	} c[] = {
		{ "[Node]\nPrivateKeyFile = ", CV_URL_TEXT - 1 },
		{ "[Node]\nPeersFile = ", CV_URL_TEXT - 1 },
		{ "[Serve]\nListen = ", CV_URL_TEXT - 1 },
		{ "[Serve]\nAllow = ", CV_URL_TEXT - 1 },
		{ "[Serve]\nTo = ", CV_URL_TEXT - 1 },
		{ "[Peer]\nPresharedKeyFile = ", CV_PATH - 1 },
		{ "[Peer]\nEndpoint = ", CV_URL_TEXT - 1 },
		{ "[Forward]\nFrom = ", CV_URL_TEXT - 1 },
		{ "[Forward]\nTo = ", CV_TARGET_MAX },
		{ "[Forward]\nVia = ", CV_URL_TEXT - 1 },
	};
	char text[1024];
	(void)state;
	for (size_t i = 0; i < CV_COUNT(c); i++) {
		int n = snprintf(text, sizeof text, "%s", c[i].head);
		memset(text + n, 'x', c[i].max + 1);
		text[(size_t)n + c[i].max + 1] = '\0';
		refuse(text, 2, "");
		struct culvert_diag d = { 0 };
		/* one less fails for another reason, not here */
		text[(size_t)n + c[i].max] = '\0';
		cv_conf_parse(&conf, &conf_env, text, strlen(text), &d);
		assert_null(strstr(d.text, "too long"));
		assert_null(strstr(d.text, "longer"));
	}
}

static void test_table(void **state)
{
	const struct cv_conf_key *k, *j;
	size_t n = 0;
	(void)state;
	for (; (k = cv_conf_key_at(n)); n++) {
		assert_non_null(k->set);
		assert_true(k->section < CV_CONF_SECTIONS);
		for (size_t i = 0; i < n; i++) {
			j = cv_conf_key_at(i);
			assert_true(j->section != k->section ||
				    strcmp(j->name, k->name) != 0);
		}
	}
	assert_true(n < 64);
	assert_null(cv_conf_key_at(SIZE_MAX));
	assert_string_equal(cv_conf_section_name(CV_CONF_FORWARD), "Forward");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_max_age),
		T(test_idle),
		T(test_counts),
		T(test_memory),
		T(test_server),
		T(test_discovery),
		T(test_words),
		T(test_name),
		T(test_keys),
		T(test_secrets),
		T(test_long_values),
		T(test_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
