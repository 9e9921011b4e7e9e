/* SPDX-License-Identifier: MIT */
/* test_discover.c - questions and answers, as bytes */
#include "unit/check.h"

#include "core/discover.h"
#include "core/wire.h"

static uint8_t out[CV_ANSWER_MAX];

static struct cv_answer full(void)
{
	struct cv_answer a = {
		.nonce = 0x1122334455667788,
		.id = 67,
		.held = 1500,
		.round = 2,
		.keyed = true,
		.boot = 0xa0b0c0d0e0f00102,
		.uptime = 3600,
		.heard = CV_HEARD_FRAME,
		.addrs = CV_ANSWER_ADDRS,
	};
	memset(a.key, 0x5a, sizeof a.key);
	memset(a.name, 'n', sizeof a.name - 1);
	memset(a.version, 'v', sizeof a.version - 1);
	memset(a.services, 's', sizeof a.services - 1);
	memset(a.ifname, 'i', sizeof a.ifname - 1);
	for (unsigned i = 0; i < a.addrs; i++) {
		cv_addr_parse_ip(i ? "fe80::1" : "10.1.1.7", &a.addr[i].addr);
		a.addr[i].bits = i ? 64 : 24;
	}
	return a;
}

static void questions_are_read_as_written(void **state)
{
	uint32_t known[CV_KNOWN_MAX];
	struct cv_question q = { .nonce = 0x0102030405060708,
		.wanted = 0xfffffffe,
		.window = CV_WINDOW_MAX,
		.round = 3,
		.knowns = CV_KNOWN_MAX },
			   r;
	(void)state;
	for (uint32_t i = 0; i < CV_KNOWN_MAX; i++)
		known[i] = i * 7 + 1;
	cv_question_put(out, &q, known);
	assert_int_equal(out[0], CV_PACKET_QUESTION);
	assert_int_equal(cv_question_get(&r, out, CV_QUESTION), 0);
	assert_true(r.nonce == q.nonce);
	assert_int_equal(r.wanted, q.wanted);
	assert_int_equal(r.window, q.window);
	assert_int_equal(r.round, 3);
	assert_int_equal(r.knowns, CV_KNOWN_MAX);
	assert_true(cv_question_knows(&r, 1));
	assert_true(cv_question_knows(&r, known[CV_KNOWN_MAX - 1]));
	assert_false(cv_question_knows(&r, 2));
}

static void a_question_has_one_length(void **state)
{
	struct cv_question q = { .nonce = 1 }, r;
	(void)state;
	cv_question_put(out, &q, NULL);
	assert_int_equal(cv_question_get(&r, out, CV_QUESTION), 0);
	assert_int_equal(r.knowns, 0);
	assert_false(cv_question_knows(&r, 0));
	assert_int_equal(
		cv_question_get(&r, out, CV_QUESTION - 1), CULVERT_EPROTO);
	assert_int_equal(cv_question_get(&r, out, 0), CULVERT_EPROTO);
}

/* one byte or two of a good question are wrong */
static void bad_question(unsigned at, uint16_t v)
{
	struct cv_question q = { .nonce = 1 }, r = { .nonce = 99 };
	cv_question_put(out, &q, NULL);
	cv_put16(out + at, v);
	assert_int_equal(cv_question_get(&r, out, CV_QUESTION), CULVERT_EPROTO);
	assert_int_equal(r.nonce, 99);
}

static void bad_questions_are_refused(void **state)
{
	(void)state;
	bad_question(0, CV_PACKET_ANSWER << 8 | 1);
	bad_question(0, CV_PACKET_QUESTION << 8 | 2);
	bad_question(16, CV_WINDOW_MAX + 1);
	bad_question(18, CV_KNOWN_MAX + 1);
}

static void answers_are_read_as_written(void **state)
{
	struct cv_answer a = full(), b;
	(void)state;
	size_t n = cv_answer_put(out, &a);
	assert_true(n <= CV_QUESTION);
	assert_int_equal(out[0], CV_PACKET_ANSWER);
	assert_int_equal(cv_answer_get(&b, out, n), 0);
	assert_true(a.nonce == b.nonce && a.boot == b.boot);
	assert_int_equal(b.id, 67);
	assert_int_equal(b.held, 1500);
	assert_int_equal(b.round, 2);
	assert_true(b.keyed);
	assert_memory_equal(a.key, b.key, CV_KEY);
	assert_int_equal(b.uptime, 3600);
	assert_int_equal(b.heard, CV_HEARD_FRAME);
	assert_string_equal(a.name, b.name);
	assert_string_equal(a.version, b.version);
	assert_string_equal(a.services, b.services);
	assert_string_equal(a.ifname, b.ifname);
	assert_int_equal(b.addrs, CV_ANSWER_ADDRS);
	for (unsigned i = 0; i < b.addrs; i++) {
		assert_true(cv_addr_equal(&a.addr[i].addr, &b.addr[i].addr));
		assert_int_equal(a.addr[i].bits, b.addr[i].bits);
	}
}

static void what_is_not_said_is_empty(void **state)
{
	struct cv_answer a = { .id = 1, .boot = 5 }, b;
	(void)state;
	memset(&b, 0xff, sizeof b);
	assert_int_equal(cv_answer_get(&b, out, cv_answer_put(out, &a)), 0);
	assert_false(b.keyed);
	assert_string_equal(b.name, "");
	assert_string_equal(b.services, "");
	assert_int_equal(b.addrs, 0);
	assert_int_equal(cv_answer_tag(&b), 5);
}

/* a good answer with one item more */
static int with_item(const char *hex, struct cv_answer *b)
{
	struct cv_answer a = { .id = 1, .boot = 5 };
	size_t n = cv_answer_put(out, &a);
	return cv_answer_get(b, out, n + unhex(out + n, hex));
}

static void strangers_write_nothing_on_a_terminal(void **state)
{
	struct cv_answer b;
	(void)state;
	assert_int_equal(with_item("020006611b5bc37f62", &b), 0);
	assert_string_equal(b.name, "a?[??b");
}

static void unknown_items_are_skipped(void **state)
{
	struct cv_answer b;
	(void)state;
	assert_int_equal(with_item("ff0003010203"
				   "00000101"
				   "020001"
				   "78",
				 &b),
		0);
	assert_string_equal(b.name, "x");
	assert_int_equal(with_item("09000163", &b), 0);
	assert_int_equal(b.heard, CV_HEARD_UNKNOWN);
}

static void bad_items_are_refused(void **state)
{
	static const char *const bad[] = {
		"02",               /* cut */
		"0200",             /* cut */
		"02000261",         /* longer than what is left */
		"01000100",         /* a key of one byte */
		"050003000000",     /* uptime */
		"0600020000",       /* boot id */
		"0900020101",       /* heard */
		"080004180a0101",   /* an address of three bytes */
		"080005210a010101", /* 10.1.1.1/33 */
		/* fe80::/129 */
		"08001181fe800000000000000000000000000000",
		/* a name of 16 for an interface */
		"07001061616161616161616161616161616161",
	};
	struct cv_answer b = { .id = 1234 };
	(void)state;
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(with_item(bad[i], &b), CULVERT_EPROTO);
		assert_int_equal(b.id, 1234);
	}
}

static void more_addresses_than_fit_are_left_out(void **state)
{
	struct cv_answer a = full(), b;
	(void)state;
	size_t n = cv_answer_put(out, &a);
	n += unhex(out + n, "080005180a010109");
	assert_int_equal(cv_answer_get(&b, out, n), 0);
	assert_int_equal(b.addrs, CV_ANSWER_ADDRS);
}

static void bad_heads_are_refused(void **state)
{
	struct cv_answer a = full(), b;
	(void)state;
	size_t n = cv_answer_put(out, &a);
	assert_int_equal(cv_answer_get(&b, out, 19), CULVERT_EPROTO);
	assert_int_equal(
		cv_answer_get(&b, out, CV_ANSWER_MAX + 1), CULVERT_EPROTO);
	/* no boot id */
	assert_int_equal(cv_answer_get(&b, out, 20), CULVERT_EPROTO);
	out[1] = 2;
	assert_int_equal(cv_answer_get(&b, out, n), CULVERT_EPROTO);
	out[1] = 1;
	out[0] = CV_PACKET_DATA;
	assert_int_equal(cv_answer_get(&b, out, n), CULVERT_EPROTO);
	a.id = 0;
	n = cv_answer_put(out, &a);
	assert_int_equal(cv_answer_get(&b, out, n), CULVERT_EPROTO);
}

static void a_server_is_its_id_and_key(void **state)
{
	struct cv_answer a = full(), b = full();
	(void)state;
	b.boot++; /* restarted */
	assert_true(cv_answer_same(&a, &b));
	assert_int_equal(cv_answer_tag(&a), 0x5a5a5a5a);
	b.key[31]++;
	assert_false(cv_answer_same(&a, &b));
	b = full();
	b.id = 68;
	assert_false(cv_answer_same(&a, &b));
	b = full();
	b.keyed = false;
	assert_false(cv_answer_same(&a, &b));
	a.keyed = false;
	assert_true(cv_answer_same(&a, &b));
	b.boot++;
	assert_false(cv_answer_same(&a, &b));
	assert_int_equal(cv_answer_tag(&a), 0xe0f00102);
}

static void ways_have_names(void **state)
{
	(void)state;
	assert_string_equal(cv_heard_name(CV_HEARD_FRAME), "frame");
	assert_string_equal(cv_heard_name(CV_HEARD_CAST4), "broadcast");
	assert_string_equal(cv_heard_name(77), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions_are_read_as_written),
		cmocka_unit_test(a_question_has_one_length),
		cmocka_unit_test(bad_questions_are_refused),
		cmocka_unit_test(answers_are_read_as_written),
		cmocka_unit_test(what_is_not_said_is_empty),
		cmocka_unit_test(strangers_write_nothing_on_a_terminal),
		cmocka_unit_test(unknown_items_are_skipped),
		cmocka_unit_test(bad_items_are_refused),
		cmocka_unit_test(more_addresses_than_fit_are_left_out),
		cmocka_unit_test(bad_heads_are_refused),
		cmocka_unit_test(a_server_is_its_id_and_key),
		cmocka_unit_test(ways_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
