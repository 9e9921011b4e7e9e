/* SPDX-License-Identifier: MIT */
/* test_args.c - nonsense for every function, and every function at the wrong
   time */
#include "bytes.h"

#include <ev.h>
#include <unistd.h>

static struct pair p;

static int begin(void **state)
{
	(void)state;
	pair_begin(&p, "");
	pair_wire(&p);
	pair_settle(&p);
	return 0;
}

static int end(void **state)
{
	(void)state;
	pair_end(&p);
	return 0;
}

static void nothing(void *user, const char *piece, size_t len)
{
	(void)piece;
	(void)len;
	++*(int *)user;
}

static int nobody(void *user, const struct culvert_server *s)
{
	(void)user;
	(void)s;
	return 0;
}

static const char plain[] = "[Node]\nPlain = yes\n[Peer b]\n";

static int new_with(struct culvert_options *o)
{
	culvert *c = (void *)&p;
	struct culvert_diag diag = { .line = 99, .text = "stale" };
	int err = culvert_new(&c, plain, strlen(plain), o, &diag);
	assert_int_not_equal(diag.line, 99);
	if (err) {
		assert_string_not_equal(diag.text, "stale");
		assert_string_not_equal(diag.text, "");
		assert_ptr_equal(c, &p); /* untouched */
		return err;
	}
	culvert_free(c);
	return 0;
}

static void test_options(void **state)
{
	struct {
		struct culvert_options o;
		uint64_t more;
	} later = { .o = side_options(&p.side[A]) };
	const struct culvert_options good = later.o;
	struct culvert_options *o = &later.o;
	int fd = 0;
	struct ev_loop *ev = ev_loop_new(0);
	(void)state;
	assert_int_equal(new_with(o), 0);
	/* an older program's, which knows nothing of traces */
	o->size = offsetof(struct culvert_options, trace);
	assert_int_equal(new_with(o), 0);
	for (size_t size = 0; size < offsetof(struct culvert_options, trace);
		size++) {
		o->size = size;
		assert_int_equal(new_with(o), CULVERT_EINVAL);
	}
	/* a later version's: what we do not know must not matter */
	o->size = sizeof later;
	assert_int_equal(new_with(o), 0);
	later.more = 1;
	assert_int_equal(new_with(o), CULVERT_EINVAL);
	*o = good;
	for (unsigned bit = 4; bit; bit <<= 1) {
		o->flags = bit;
		assert_int_equal(new_with(o), CULVERT_EINVAL);
	}
	o->flags = CULVERT_NO_LOOP;
	assert_int_equal(new_with(o), 0);
	o->loop = ev;
	assert_int_equal(new_with(o), CULVERT_EINVAL);
	o->flags = 0;
	assert_int_equal(new_with(o), 0);
	*o = good;
	o->flags = CULVERT_NO_LOOP | CULVERT_CONTROL;
	assert_int_equal(new_with(o), CULVERT_EINVAL);
	*o = good;
	o->nfds = 1;
	assert_int_equal(new_with(o), CULVERT_EINVAL);
	o->fds = &fd; /* no socket, so of no use */
	assert_int_equal(new_with(o), 0);
	/* no callback is needed, but then there is nothing to do */
	*o = (struct culvert_options){ .size = sizeof *o };
	assert_int_equal(new_with(o), CULVERT_EINVAL);
	assert_int_equal(new_with(NULL), CULVERT_EINVAL);
	ev_loop_destroy(ev);
}

static void test_texts(void **state)
{
	static const struct {
		const char *text, *words;
		int err;
		unsigned line;
	} row[] = {
		{ "", "no private key", CULVERT_EINVAL, 0 },
		{ "\n\n[Nod]\n", "Nod", CULVERT_ESYNTAX, 3 },
		{ "[Node]\nPlan = yes\n", "Plain", CULVERT_ESYNTAX, 2 },
		{ "[Node]\nPlain = maybe\n", "yes or no", CULVERT_ESYNTAX, 2 },
		{ "[Node]\nPlain = yes\n[Serve]\nListen = tcp://*:1\n",
			"need a loop", CULVERT_EINVAL, 0 },
		{ "[Node]\nPlain = yes\n[Peer b]\nEndpoint = tcp://x:1\n",
			"need a loop", CULVERT_EINVAL, 0 },
		{ "[Node]\nPlain = yes\nPlain = yes\n", "", CULVERT_ESYNTAX,
			3 },
	};
	struct culvert_options o = side_options(&p.side[A]);
	(void)state;
	o.flags = CULVERT_NO_LOOP;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		struct culvert_diag d = { 0 };
		culvert *c = NULL;
		size_t len = strlen(row[i].text);
		assert_int_equal(
			culvert_new(&c, row[i].text, len, &o, &d), row[i].err);
		if (d.line != row[i].line || !strstr(d.text, row[i].words))
			fail_msg("%u: %s", d.line, d.text);
		assert_null(c);
		assert_int_equal(culvert_new(&c, row[i].text, len, &o, NULL),
			row[i].err);
	}
	/* a text is as long as it is said to be: bytes, not a string */
	char *exact = malloc(sizeof plain - 1);
	memcpy(exact, plain, sizeof plain - 1);
	assert_int_equal(culvert_check(exact, sizeof plain - 1, NULL), 0);
	free(exact);
	assert_int_equal(
		culvert_check("[Node]\0Plain", 12, NULL), CULVERT_ESYNTAX);
}

/* what culvert_new() says of keys, culvert_check() says too */
static void test_check(void **state)
{
	char conf[CONF];
	struct culvert_diag diag = { .text = "stale" };
	(void)state;
	pair_conf(&p, A, "", conf);
	assert_int_equal(culvert_check(conf, strlen(conf), &diag), 0);
	assert_string_equal(diag.text, "");
	snprintf(conf, sizeof conf,
		"[Node]\nPrivateKey = %s\n[Peer own]\nPublicKey = %s\n",
		p.keys[A].priv, p.keys[A].pub);
	assert_int_equal(
		culvert_check(conf, strlen(conf), &diag), CULVERT_EINVAL);
	assert_non_null(strstr(diag.text, "our own public key"));
	assert_int_equal(diag.line, 3);
}

static void test_null(void **state)
{
	culvert *c = p.side[A].node;
	culvert_flow *f;
	culvert_link *l;
	uint8_t data[CULVERT_KEYTEXT];
	int calls = 0;
	(void)state;
	const struct culvert_search search = { .size = sizeof search,
		.found = nobody };
	const struct culvert_search watch = {
		.size = sizeof watch, .flags = CULVERT_WATCH, .found = nobody
	};
	const struct {
		int is, wants;
	} row[] = {
		{ culvert_new(NULL, plain, 1, NULL, NULL), CULVERT_EINVAL },
		{ culvert_new(&c, NULL, 1, NULL, NULL), CULVERT_EINVAL },
		{ culvert_check(NULL, 1, NULL), CULVERT_EINVAL },
		{ culvert_reload(NULL, plain, 1, NULL), CULVERT_EINVAL },
		{ culvert_reload(c, NULL, 1, NULL), CULVERT_EINVAL },
		{ culvert_start(NULL), CULVERT_EINVAL },
		{ culvert_run(NULL), CULVERT_EINVAL },
		{ culvert_open(NULL, "b", "", &f), CULVERT_EINVAL },
		{ culvert_open(c, NULL, "", &f), CULVERT_EINVAL },
		{ culvert_open(c, "b", NULL, &f), CULVERT_EINVAL },
		{ culvert_open(c, "b", "", NULL), CULVERT_EINVAL },
		{ culvert_send(NULL, data, 1), CULVERT_EINVAL },
		{ culvert_link_open(NULL, "b", 1, &l), CULVERT_EINVAL },
		{ culvert_link_open(c, "b", 1, NULL), CULVERT_EINVAL },
		{ culvert_link_input(NULL, data, 1, 1), CULVERT_EINVAL },
		{ culvert_link_input(p.wire.end[A], NULL, 1, 1),
			CULVERT_EINVAL },
		{ culvert_tick(NULL, 1), CULVERT_EINVAL },
		{ culvert_show(NULL, "show", nothing, &calls), CULVERT_EINVAL },
		{ culvert_show(c, NULL, nothing, &calls), CULVERT_EINVAL },
		{ culvert_show(c, "show", NULL, &calls), CULVERT_EINVAL },
		{ culvert_socket(NULL) != NULL, 0 },
		{ culvert_note(NULL, "a: b"), CULVERT_EINVAL },
		{ culvert_note(c, NULL), CULVERT_EINVAL },
		{ culvert_ask("no-such-node", NULL, nothing, &calls),
			CULVERT_EINVAL },
		{ culvert_ask("no-such-node", "show", NULL, &calls),
			CULVERT_EINVAL },
		{ culvert_discover(NULL, &search, NULL), CULVERT_EINVAL },
		{ culvert_discover("lan://", NULL, NULL), CULVERT_EINVAL },
		{ culvert_discover(
			  "lan://", &(struct culvert_search){ 0 }, NULL),
			CULVERT_EINVAL },
		{ culvert_discover("tcp://a:1", &search, NULL),
			CULVERT_EINVAL },
		{ culvert_discover("lan://0@", &search, NULL),
			CULVERT_ESYNTAX },
		{ culvert_discover("iproxy+tcp://a:1", &search, NULL),
			CULVERT_ESYNTAX },
		{ culvert_discover("iproxy+udp://", &search, NULL),
			CULVERT_ESYNTAX },
		{ culvert_discover("iproxy+mcast://10.0.0.1", &search, NULL),
			CULVERT_ESYNTAX },
		{ culvert_discover("iproxy+lan://", &watch, NULL),
			CULVERT_EINVAL },
		{ culvert_genkey(NULL, 0), CULVERT_EINVAL },
		{ culvert_pubkey(NULL, p.keys[A].priv), CULVERT_EINVAL },
		{ culvert_pubkey((char *)data, NULL), CULVERT_EINVAL },
	};
	for (size_t i = 0; i < sizeof row / sizeof *row; i++)
		if (row[i].is != row[i].wants)
			fail_msg("row %zu: %d", i, row[i].is);
	culvert_stop(NULL);
	culvert_wake(NULL);
	culvert_free(NULL);
	culvert_close(NULL);
	culvert_flow_set(NULL, data);
	culvert_link_close(NULL);
	assert_null(culvert_flow_get(NULL));
	assert_int_equal(culvert_link_output(NULL, data, 1, 1), 0);
	assert_int_equal(culvert_link_output(p.wire.end[A], NULL, 1, 1), 0);
	assert_true(culvert_deadline(NULL) == CULVERT_NEVER);
	assert_int_equal(calls, 0);
}

static void test_nonsense(void **state)
{
	culvert *c = p.side[A].node;
	culvert_flow *f = (void *)&p;
	culvert_link *l = (void *)&p;
	char target[500], key[CULVERT_KEYTEXT] = "as it was";
	int calls = 0;
	(void)state;
	static const char *const bad[] = { "x", "udp:/", "udp://",
		"udp://h:99999", "://", "udp://[::1:5", " ", "app" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (culvert_open(c, "b", bad[i], &f) != CULVERT_EINVAL)
			fail_msg("%s", bad[i]);
	memset(target, 'a', sizeof target);
	memcpy(target, "app://", 6);
	target[401] = '\0';
	assert_int_equal(culvert_open(c, "b", target, &f), CULVERT_EINVAL);
	assert_int_equal(culvert_open(c, "nobody", "", &f), CULVERT_EINVAL);
	assert_int_equal(culvert_open(c, "", "", &f), CULVERT_EINVAL);
	assert_int_equal(
		culvert_link_open(c, "nobody", p.now, &l), CULVERT_EINVAL);
	assert_ptr_equal(f, &p);
	assert_ptr_equal(l, &p);
	static const char *const notes[] = { "", "a", ": b", "a:b",
		"a: b\nc: d" };
	for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
		assert_int_equal(culvert_note(c, notes[i]), CULVERT_EINVAL);
	assert_int_equal(
		culvert_show(c, "dance", nothing, &calls), CULVERT_EINVAL);
	assert_int_equal(culvert_ask("no-such-node", "show", nothing, &calls),
		CULVERT_ENODAEMON);
	assert_int_equal(culvert_ask("../../etc", "show", nothing, &calls),
		CULVERT_ENODAEMON);
	assert_int_equal(calls, 0);
	static const char *const keys[] = { "", "x",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"aaaaaaaaaaaaaaaaaaaaa*aaaaaaaaaaaaaaaaaaaaA=" };
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		assert_true(culvert_pubkey(key, keys[i]) < 0);
		assert_string_equal(key, "as it was");
	}
}

/* without a loop it is neither started nor run */
static void test_states(void **state)
{
	culvert *c = p.side[A].node;
	(void)state;
	assert_int_equal(culvert_start(c), CULVERT_ESTATE);
	assert_int_equal(culvert_run(c), CULVERT_ESTATE);
	assert_int_equal(culvert_tick(c, p.now), 0);
}

/* the longest target there is */
static void test_long_target(void **state)
{
	char target[401];
	(void)state;
	memset(target, 'a', sizeof target);
	memcpy(target, "app://h/", 8);
	target[400] = '\0';
	pair_open(&p, target);
	assert_string_equal(p.side[B].target, target);
}

static void test_words(void **state)
{
	char a[CULVERT_KEYTEXT], b[CULVERT_KEYTEXT];
	(void)state;
	for (int err = 0; err >= CULVERT_ESTATE; err--) {
		assert_string_not_equal(culvert_strerror(err), "unknown error");
		for (int other = 0; other > err; other--)
			assert_string_not_equal(
				culvert_strerror(err), culvert_strerror(other));
	}
	assert_string_equal(
		culvert_strerror(CULVERT_ESTATE - 1), "unknown error");
	assert_string_equal(culvert_strerror(1), "unknown error");
	assert_int_equal(strspn(culvert_version(), "0123456789."),
		strlen(culvert_version()));
	for (int psk = 0; psk < 2; psk++) {
		assert_int_equal(culvert_genkey(a, psk), 0);
		assert_int_equal(culvert_genkey(b, psk), 0);
		assert_int_equal(strlen(a), 44);
		assert_string_not_equal(a, b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_options, begin, end),
		cmocka_unit_test_setup_teardown(test_texts, begin, end),
		cmocka_unit_test_setup_teardown(test_check, begin, end),
		cmocka_unit_test_setup_teardown(test_null, begin, end),
		cmocka_unit_test_setup_teardown(test_nonsense, begin, end),
		cmocka_unit_test_setup_teardown(test_states, begin, end),
		cmocka_unit_test_setup_teardown(test_long_target, begin, end),
		cmocka_unit_test_setup_teardown(test_words, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
