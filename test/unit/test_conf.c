/* SPDX-License-Identifier: MIT */
/* test_conf.c - sections, lines and keys: what is taken, what is refused */
#include "unit/conf_fix.h"

static int setup(void **state)
{
	(void)state;
	conf_env = mem_env(&conf_mem, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	cv_conf_clear(&conf);
	return conf_mem.blocks || conf_mem.bytes ? -1 : 0;
}

static void test_whole_file(void **state)
{
	(void)state;
	take("# a comment\n; another\n\n"
	     "  [ Node ]  \r\n\tName =  office\t\r\nPrivateKey=" KEY1 "\n"
	     "[Serve]\nListen = tcp://:1\nListen = tcp://[::1]:2\n"
	     "Allow = udp://10.0.0.0/8\nTo = udp://127.0.0.1:5\n"
	     "[Peer home]\nPublicKey = " KEY2 "\nPresharedKey = " KEY3 "\n"
	     "Endpoint = tcp://home.example:443\n"
	     "[Peer]\nPublicKey = " KEY3 "\nPresharedKeyFile = /k\n"
	     "[Forward dns]\nFrom = udp://127.0.0.1:53\n"
	     "To = udp://9.9.9.9:53\nVia = home\n"
	     "[Forward]\nFrom = udp://:54\nVia = home");
	assert_string_equal(conf.name, "office");
	assert_true(conf.keyed && !conf.plain);
	assert_int_equal(conf.listens, 2);
	assert_string_equal(conf.listen[1].text, "tcp://[::1]:2");
	assert_int_equal(conf.listen[1].line, 9);
	assert_int_equal(conf.allows, 1);
	assert_string_equal(conf.to.text, "udp://127.0.0.1:5");
	assert_int_equal(conf.peers, 2);
	assert_string_equal(conf.peer[0].name, "home");
	assert_string_equal(
		conf.peer[0].endpoint.text, "tcp://home.example:443");
	assert_int_equal(conf.peer[0].psk[31], 3);
	/* a peer without a name is called by its key */
	assert_string_equal(conf.peer[1].name, "AAAAAAAA");
	assert_string_equal(conf.peer[1].psk_file, "/k");
	assert_int_equal(conf.forwards, 2);
	assert_string_equal(conf.forward[0].name, "dns");
	assert_string_equal(conf.forward[0].to.text, "udp://9.9.9.9:53");
	assert_string_equal(conf.forward[1].to.text, "");
	assert_string_equal(conf.forward[1].via, "home");
}

static void test_defaults(void **state)
{
	(void)state;
	take(MINIMAL);
	assert_string_equal(conf.name, "");
	assert_int_equal(conf.log, CULVERT_INFO);
	assert_int_equal(conf.max_age, 50000);
	assert_int_equal(conf.idle, 180);
	assert_int_equal(conf.max_flows, CV_FLOWS_MAX);
	assert_int_equal(conf.max_source, CV_FLOWS_SOURCE);
	assert_int_equal(conf.memory, 64 << 20);
	assert_int_equal(conf.server, 0);
}

static void test_case_does_not_matter(void **state)
{
	(void)state;
	take("[nODE]\nprivatekey = " KEY1 "\n[SERVE]\nLISTEN = tcp://:1\n"
	     "[peer X]\npublickey = " KEY2);
	assert_string_equal(conf.peer[0].name, "X");
}

static void test_a_section_may_come_again(void **state)
{
	(void)state;
	take(MINIMAL "\n[Node]\nName = n\n[Serve]\nListen = tcp://:2\n");
	assert_string_equal(conf.name, "n");
	assert_int_equal(conf.listens, 2);
}

static void test_broken_lines(void **state)
{
	(void)state;
	refuse("Name = x", 1, "stands before the first section");
	refuse("[Node]\nName", 2, "expected");
	refuse("[Node]\nName =", 2, "has no value");
	refuse("[Node]\n= x", 2, "unknown key");
	refuse("[Node\nName = x", 1, "expected");
	refuse("[Nodes]", 1, "unknown section [Nodes]");
	refuse("[]", 1, "unknown section");
	refuse("[Node x]", 1, "this section takes none");
	refuse("[Peer a b]", 1, "one word");
	refuse("[Peer 0123456789012345678901234567890x]", 1, "at most 31");
	refuse("[Node]\nName = a\nName = b", 3, "already, in line 2");
}

static void test_names_that_are_near(void **state)
{
	(void)state;
	refuse("[Peer x]\nEndpont = tcp://h:1", 2,
		"unknown key \"Endpont\" in [Peer]; did you mean \"Endpoint\"");
	refuse("[Node]\nprivatkey = x", 2, "did you mean \"PrivateKey\"");
	refuse("[Node]\nListen = tcp://:1", 2,
		"\"Listen\" belongs in [Serve], not in [Node]");
	refuse("[Node]\nWhatever = x", 2, "see culvert.conf(5)");
	refuse("[Node]\n0123456789012345678901234567890123456789 = x", 2,
		"see culvert.conf(5)");
	refuse("[Node]\n\033[31mx = 1", 2, "or not text");
	refuse("[Node]\n\177x = 1", 2, "or not text");
}

static void test_long_lines(void **state)
{
	char text[3000] = "[Node]\n#";
	(void)state;
	memset(text + 8, 'x', 1022);
	strcpy(text + 8 + 1022, "\n" MINIMAL);
	take(text); /* 1,023 are fine */
	cv_conf_clear(&conf);
	text[8 + 1022] = 'x';
	strcpy(text + 8 + 1023, "\n" MINIMAL);
	refuse(text, 2, "longer than 1023 characters, or not text");
	struct culvert_diag d;
	assert_int_equal(cv_conf_parse(&conf, &conf_env, "[No\0de]", 7, &d),
		CULVERT_ESYNTAX);
	assert_int_equal(d.line, 1);
}

static void test_diag_may_be_missing(void **state)
{
	(void)state;
	assert_int_equal(
		cv_conf_parse(&conf, &conf_env, "x", 1, NULL), CULVERT_ESYNTAX);
	assert_int_equal(
		cv_conf_parse(&conf, &conf_env, "", 0, NULL), CULVERT_EINVAL);
}

static char large[1 << 20];

/* sections and lists grow, and everything stays where it was */
static void test_many(void **state)
{
	char *p = large, key[CULVERT_KEYTEXT];
	(void)state;
	p += sprintf(p, "[Node]\nPrivateKey = " KEY1 "\n[Serve]\n");
	for (int i = 1; i <= CV_CONF_LISTENS; i++)
		p += sprintf(p, "Listen = tcp://:%d\n", i);
	for (int i = 1; i <= CV_ALLOW_MAX; i++)
		p += sprintf(p, "Allow = udp://*:%d\n", i);
	for (int i = 0; i < 500; i++) {
		uint8_t pub[CV_KEY] = { (uint8_t)i, (uint8_t)(i >> 8), 1 };
		p += sprintf(p, "[Peer p%d]\nPublicKey = %s\n", i,
			cv_keytext_format(pub, key));
		p += sprintf(p, "Endpoint = tcp://h:%d\n", i + 1);
	}
	for (int i = 0; i < CV_CONF_FORWARDS; i++)
		p += sprintf(p, "[Forward]\nFrom = udp://:%d\nVia = p%d\n",
			i + 1, i % 500);
	take(large);
	assert_int_equal(conf.listens, CV_CONF_LISTENS);
	assert_int_equal(conf.allows, CV_ALLOW_MAX);
	assert_int_equal(conf.peers, 500);
	assert_int_equal(conf.forwards, CV_CONF_FORWARDS);
	for (unsigned i = 0; i < 500; i++)
		assert_int_equal(conf.peer[i].pub[0], i & 0xff);
	assert_string_equal(conf.forward[1023].via, "p23");
	assert_string_equal(conf.forward[1023].from.text, "udp://:1024");
}

static void repeat(const char *head, const char *line, int n, const char *want)
{
	char *p = large;
	p += sprintf(p, "%s", head);
	for (int i = 0; i < n; i++)
		p += sprintf(p, "%s", line);
	refuse(large, 0, want);
}

static void test_too_many_listens(void **state)
{
	(void)state;
	repeat("[Serve]\n", "Listen = tcp://:1\n", CV_CONF_LISTENS + 1,
		"too many of these");
	repeat("[Serve]\n", "Allow = udp://*\n", CV_ALLOW_MAX + 1,
		"too many of these");
}

static void test_too_many_forwards(void **state)
{
	(void)state;
	repeat("", "[Forward]\n", CV_CONF_FORWARDS + 1, "too many sections");
}

static void test_peers_file(void **state)
{
	static const char text[] =
		"# who\n\n" KEY3 " carol\n  " KEY4 "  \t dave  \r\n" KEY5;
	struct culvert_diag d;
	(void)state;
	take(MINIMAL);
	assert_int_equal(cv_conf_peers(&conf, text, sizeof text - 1, &d), 0);
	assert_int_equal(conf.peers, 4);
	assert_string_equal(conf.peer[1].name, "carol");
	assert_string_equal(conf.peer[2].name, "dave");
	assert_int_equal(conf.peer[2].pub[31], 4);
	assert_string_equal(conf.peer[3].name, "AAAAAAAA");
}

static void test_bad_peers_files(void **state)
{
	static const struct {
		const char *text, *want;
		unsigned line;
	} c[] = {
		{ "\nnot-a-key x", "is not a public key", 2 },
		{ KEY3 " two words", "one word", 1 },
		{ KEY3 " 0123456789012345678901234567890x", "one word", 1 },
		{ KEY3 " peer", "two peers are called", 1 },
		{ KEY2 " x", "the same public key", 1 },
		{ KEY3 " a\n" KEY4 " a", "two peers are called \"a\"", 2 },
	};
	struct culvert_diag d;
	(void)state;
	for (size_t i = 0; i < CV_COUNT(c); i++) {
		take(MINIMAL);
		assert_true(cv_conf_peers(&conf, c[i].text, strlen(c[i].text),
				    &d) < 0);
		said(&d, c[i].line, c[i].want);
		cv_conf_clear(&conf);
	}
}

static void test_out_of_memory_says_so(void **state)
{
	struct culvert_diag d;
	static const char text[] = "[Serve]\nListen = tcp://:1\n";
	(void)state;
	conf_mem.fail_all = true;
	assert_int_equal(
		cv_conf_parse(&conf, &conf_env, text, sizeof text - 1, &d),
		CULVERT_ENOMEM);
	said(&d, 2, "out of memory");
}

/* whatever comes: an answer, a reason, nothing left behind */
static void test_random(void **state)
{
	static const char *const piece[] = { "[Node]\n", "[Serve]\n",
		"[Peer a]\n", "[Peer b]\n", "[Forward f]\n", "[", "]", "\n",
		"=", "PrivateKey = " KEY1 "\n", "PublicKey = " KEY2 "\n",
		"Listen = tcp://:1\n", "Allow = udp://*\n", "Plain = yes\n",
		"Endpoint = tcp://h:1\n", "From = udp://:1\n", "Via = a\n",
		"To = udp://h:1?bind=:1\n", "MaxAge = 5", "s", "#", "\r",
		"Name = x\n", "Memory = 1G\n" };
	uint64_t seed = 22;
	int good = 0;
	(void)state;
	for (int i = 0; i < 100000; i++) {
		char text[1024] = "";
		struct culvert_diag d = { 0 };
		if (i % 2)
			strcpy(text, MINIMAL);
		for (uint64_t n = rnd_below(&seed, 14); n; n--)
			strcat(text, piece[rnd_below(&seed, CV_COUNT(piece))]);
		int err =
			cv_conf_parse(&conf, &conf_env, text, strlen(text), &d);
		assert_int_equal(err != 0, *d.text != 0);
		good += !err;
		cv_conf_clear(&conf);
		assert_int_equal(conf_mem.blocks, 0);
	}
	assert_true(good > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_whole_file),
		T(test_defaults),
		T(test_case_does_not_matter),
		T(test_a_section_may_come_again),
		T(test_broken_lines),
		T(test_names_that_are_near),
		T(test_long_lines),
		T(test_diag_may_be_missing),
		T(test_many),
		T(test_too_many_listens),
		T(test_peers_file),
		T(test_bad_peers_files),
		T(test_out_of_memory_says_so),
		T(test_random),
		T(test_too_many_forwards),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
