/* SPDX-License-Identifier: MIT */
/* test_conf.c - every allocation of the parser and of the policy fails once */
#include "unit/conf_fix.h"

#include "core/policy.h"

static const char text[] =
	MINIMAL "[Serve]\nListen = tcp://:2\nListen = tcp://:3\n"
		"Listen = tcp://:4\nListen = tcp://:5\n"
		"Allow = udp://*\nAllow = udp://*\nAllow = udp://*\n"
		"Allow = udp://*\nAllow = udp://*\n"
		"[Peer b]\nPublicKey = " KEY3 "\nEndpoint = tcp://h:1\n"
		"[Peer c]\nPublicKey = " KEY4 "\n[Peer d]\nPublicKey = " KEY5
		"\n[Peer e]\nPublicKey = " KEY1 "\n"
		"[Forward]\nFrom = udp://:1\nVia = b\n"
		"[Forward]\nFrom = udp://:2\nVia = b\n"
		"[Forward]\nFrom = udp://:3\nVia = b\n"
		"[Forward]\nFrom = udp://:4\nVia = b\n"
		"[Forward]\nFrom = udp://:5\nVia = b\n";

static void test_parse(void **state)
{
	struct culvert_diag d;
	uint64_t at = 0;
	int err;
	(void)state;
	do {
		conf_env = mem_env(&conf_mem, 1);
		conf_mem.fail_at = ++at;
		memset(&d, 0, sizeof d);
		err = cv_conf_parse(
			&conf, &conf_env, text, sizeof text - 1, &d);
		if (!err)
			break;
		assert_int_equal(err, CULVERT_ENOMEM);
		said(&d, 0, "out of memory");
		assert_true(d.line > 0);
		assert_int_equal(conf_mem.blocks, 0);
	} while (at < 1000);
	assert_int_equal(err, 0);
	/* four lists, each begun and grown once */
	assert_int_equal(at - 1, 8);
	assert_int_equal(conf.forwards, 5);
	cv_conf_clear(&conf);
	assert_int_equal(conf_mem.blocks + conf_mem.bytes, 0);
}

static void test_peers_file(void **state)
{
	static const char peers[] =
		KEY3 " a\n" KEY4 " b\n" KEY5 " c\n" KEY1 " d\n";
	struct culvert_diag d;
	int err = -1;
	(void)state;
	for (uint64_t at = 1; err && at < 100; at++) {
		conf_env = mem_env(&conf_mem, 1);
		take(MINIMAL);
		conf_mem.fail_at = conf_mem.calls + at;
		err = cv_conf_peers(&conf, peers, sizeof peers - 1, &d);
		if (err) {
			assert_int_equal(err, CULVERT_ENOMEM);
			said(&d, 4, "out of memory");
		} else {
			assert_int_equal(at, 2);
			assert_int_equal(conf.peers, 5);
		}
		cv_conf_clear(&conf);
		assert_int_equal(conf_mem.blocks + conf_mem.bytes, 0);
	}
	assert_int_equal(err, 0);
}

static void test_policy(void **state)
{
	struct cv_policy p = { .env = &conf_env };
	const char *why = NULL;
	(void)state;
	conf_env = mem_env(&conf_mem, 1);
	conf_mem.fail_at = 1;
	assert_int_equal(cv_policy_add(&p, "udp://*:53", &why), CULVERT_ENOMEM);
	assert_non_null(why);
	assert_int_equal(p.rules, 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(cv_policy_add(&p, "udp://*:53", &why), 0);
	assert_int_equal(p.rules, 20);
	cv_policy_clear(&p);
	assert_int_equal(conf_mem.blocks + conf_mem.bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_peers_file),
		cmocka_unit_test(test_policy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
