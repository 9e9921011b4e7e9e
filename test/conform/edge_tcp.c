/* SPDX-License-Identifier: MIT */
/**
 * edge_tcp.c - TCP ports and TCP targets, joined
 *
 * DOC: Clients connect to a port of node A; behind it lies a target, a
 * listening socket of the test.  Both are ordinary sockets.  Between them is a
 * session over the TCP link to node B.
 */
#include "conform/link_suite.h"

#include "edge/edge_tcp.h"
#include "edge/edge_tcp_out.h"
#include "edge/tcp_end.h"
#include "loop/sock.h"

#include <errno.h>
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 500, BULK = 24 << 20 };

static const struct link_fixture *fx = &link_tcp_fixture;
static struct node a, b;
static struct cv_tcp_port *port;
static struct cv_tcp_out *out;
static struct cv_policy policy;
static struct cv_addr at, where; /* the port, the target */
static struct cv_tcp_route route;
static int listener = -1, client = -1, target = -1;
static uint8_t area[1 << 18];

static size_t flows(void)
{
	return a.loop.node.flows.count + b.loop.node.flows.count;
}

static int listen_at(const struct cv_addr *addr)
{
	struct sockaddr_storage ss;
	socklen_t len = cv_sock_addr(addr, &ss);
	int fd = cv_sock_new(addr, SOCK_STREAM);
	cv_sock_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(fd, 4096), 0);
	return fd;
}

static void url_of(const struct cv_addr *addr, char text[CV_URL_TEXT])
{
	char s[CV_ADDRTEXT];
	snprintf(text, CV_URL_TEXT, "tcp://%s", cv_addr_format(addr, s));
}

static void go_to(const char *to)
{
	assert_true(strlen(to) < sizeof route.target);
	strcpy(route.target, to);
	cv_tcp_port_route(port, &route);
}

static void allow(const char *rule)
{
	const char *why;
	if (policy.env)
		cv_policy_clear(&policy);
	policy.env = &b.env;
	if (rule)
		assert_int_equal(cv_policy_add(&policy, rule, &why), 0);
	cv_tcp_out_allow(out, "");
}

static void join(void)
{
	node_know(&b, 1);
	fx->open(&b);
	a.kick = fx->kick;
	struct cv_session *s = node_know(&a, 2);
	fx->dial(&a, s, NULL);
	cv_session_want(s, cv_now());
	RIG_WAIT(node_is_up(&a) && node_is_up(&b));
	route.via = s;
}

static int setup(void **state)
{
	struct cv_addr third = rig_address(3);
	char text[CV_URL_TEXT], why[CV_SOCK_WHY];
	struct cv_url u;
	(void)state;
	rig_begin();
	node_up(&b, 2);
	node_up(&a, 1);
	memset(&route, 0, sizeof route);
	out = cv_tcp_out_new(&b.loop, &policy);
	allow(NULL);
	join();
	b.loop.node.out[0] = cv_tcp_out_edge(out);
	at = rig_port(SOCK_STREAM, &third);
	url_of(&at, text);
	assert_int_equal(cv_url_parse(&u, text, strlen(text), NULL), 0);
	port = cv_tcp_port_listen(&a.loop, &u, why);
	assert_non_null(port);
	where = rig_port(SOCK_STREAM, NULL);
	listener = listen_at(&where);
	url_of(&where, text);
	go_to(text);
	return 0;
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static int teardown(void **state)
{
	(void)state;
	shut(&client);
	shut(&target);
	shut(&listener);
	fx->undial(node_peer(&a));
	fx->close();
	cv_tcp_port_close(port);
	node_quiet(&a);
	node_quiet(&b);
	cv_node_reap(&a.loop.node, SIZE_MAX, cv_now());
	cv_node_reap(&b.loop.node, SIZE_MAX, cv_now());
	cv_tcp_out_free(out);
	cv_policy_clear(&policy);
	policy.env = NULL;
	node_down(&a);
	node_down(&b);
	return rig_end();
}

static int dial(void)
{
	struct sockaddr_storage ss;
	socklen_t len = cv_sock_addr(&at, &ss);
	int fd = cv_sock_new(&at, SOCK_STREAM);
	int r = connect(fd, (struct sockaddr *)&ss, len);
	assert_true(!r || errno == EINPROGRESS);
	return fd;
}

static bool took_in(int *fd)
{
	*fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	return *fd >= 0;
}

static void meet(void)
{
	client = dial();
	RIG_WAIT(took_in(&target));
}

static void say(int fd, const char *text)
{
	assert_int_equal(
		send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* exactly @text comes next */
static void hears(int fd, const char *text)
{
	char got[100] = "";
	size_t n = 0, len = strlen(text);
	ssize_t r;
	RIG_WAIT((r = recv(fd, got + n, len - n, 0), n += r > 0 ? (size_t)r : 0,
		n == len));
	assert_memory_equal(got, text, len);
}

static bool ended(int fd)
{
	char c;
	ssize_t r = recv(fd, &c, 1, 0);
	assert_true(r <= 0);
	assert_true(!r || errno == EAGAIN);
	return !r;
}

static bool was_reset(int fd)
{
	char c[4096];
	ssize_t r = recv(fd, c, sizeof c, 0);
	assert_true(r != 0);
	return r < 0 && (errno == ECONNRESET || errno == EPIPE);
}

static void test_there_and_back(void **state)
{
	(void)state;
	meet();
	assert_int_equal(flows(), 2);
	for (int i = 0; i < 20; i++) {
		say(client, "question");
		hears(target, "question");
		say(target, "answer");
		hears(client, "answer");
	}
}

/* the server speaks first */
static void test_greeting(void **state)
{
	(void)state;
	meet();
	say(target, "220 ready");
	hears(client, "220 ready");
}

static void test_half_close_by_the_client(void **state)
{
	(void)state;
	meet();
	say(client, "all of it");
	shutdown(client, SHUT_WR);
	hears(target, "all of it");
	RIG_WAIT(ended(target));
	say(target, "thank you");
	hears(client, "thank you");
	assert_int_equal(flows(), 2);
	shut(&target);
	RIG_WAIT(ended(client));
	RIG_WAIT(!flows());
}

static void test_half_close_by_the_target(void **state)
{
	(void)state;
	meet();
	shutdown(target, SHUT_WR);
	RIG_WAIT(ended(client));
	say(client, "still here");
	hears(target, "still here");
	shut(&client);
	RIG_WAIT(ended(target));
	RIG_WAIT(!flows());
}

/* connected, said and closed at once: all of it arrives */
static void test_said_and_gone(void **state)
{
	(void)state;
	client = dial();
	say(client, "hello and goodbye");
	shut(&client);
	RIG_WAIT(took_in(&target));
	hears(target, "hello and goodbye");
	RIG_WAIT(ended(target));
	shut(&target);
	RIG_WAIT(!flows());
}

static void break_off(int *fd)
{
	cv_tcp_reset(*fd);
	*fd = -1;
}

static void test_reset_by_the_client(void **state)
{
	(void)state;
	meet();
	say(client, "well");
	hears(target, "well");
	break_off(&client);
	RIG_WAIT(was_reset(target));
	RIG_WAIT(!flows());
}

static void test_reset_by_the_target(void **state)
{
	(void)state;
	meet();
	say(client, "well");
	hears(target, "well");
	break_off(&target);
	RIG_WAIT(was_reset(client));
	RIG_WAIT(!flows());
}

/* in the middle of much that nobody reads */
static void test_reset_while_full(void **state)
{
	(void)state;
	meet();
	RIG_WHILE(send(client, area, sizeof area, MSG_NOSIGNAL) != 0, 0.3);
	break_off(&client);
	RIG_WHILE(recv(target, area, 10, 0) != 0, 0.1);
	RIG_WAIT(was_reset(target));
	RIG_WAIT(!flows());
}

static void test_nobody_there(void **state)
{
	(void)state;
	shut(&listener);
	client = dial();
	RIG_WAIT(was_reset(client));
	RIG_WAIT(!flows());
	assert_true(node_said(&b, "target refused"));
	assert_true(node_said(&b, "Connection refused"));
	assert_true(node_said(&a, "connection_refused"));
}

static void test_not_allowed(void **state)
{
	(void)state;
	allow("tcp://192.0.2.1:*");
	client = dial();
	RIG_WAIT(was_reset(client));
	RIG_WAIT(!flows());
	assert_true(node_said(&b, "no --allow covers it"));
	int fd = -1;
	RIG_WHILE(!took_in(&fd), 0.05);
}

/* without any rule only loopback is */
static void test_only_loopback(void **state)
{
	(void)state;
	go_to("tcp://192.0.2.1:80");
	client = dial();
	RIG_WAIT(was_reset(client));
	assert_true(node_said(&b, "no --allow covers it"));
}

static void test_not_allowed_any_more(void **state)
{
	(void)state;
	meet();
	say(client, "well");
	hears(target, "well");
	allow("tcp://192.0.2.1:*");
	RIG_WAIT(was_reset(target));
	RIG_WAIT(was_reset(client));
	RIG_WAIT(!flows());
}

static void test_bad_targets(void **state)
{
	static const char *const bad[] = { "tcp://", "udp://127.0.0.1:1",
		"tcp://127.0.0.1", "tcp://127.0.0.1:0", "" };
	(void)state;
	for (size_t i = 0; i < CV_COUNT(bad); i++) {
		go_to(bad[i]);
		client = dial();
		RIG_WAIT(was_reset(client));
		RIG_WAIT(!flows());
		shut(&client);
	}
}

/* options of sockets are the operator's: a proxy would be anybody's choice */
static void test_options_of_a_target(void **state)
{
	char to[CV_URL_TEXT];
	(void)state;
	url_of(&where, to);
	strcat(to, "?via=socks5://192.0.2.7:1080");
	go_to(to);
	meet();
	say(client, "past it");
	hears(target, "past it");
}

static void test_named_target(void **state)
{
	char to[CV_URL_TEXT];
	(void)state;
	struct cv_addr one = rig_address(1);
	where = rig_port(SOCK_STREAM, &one);
	shut(&listener);
	listener = listen_at(&where);
	snprintf(to, sizeof to, "tcp://app.example:%u", where.port);
	rig_names(NAMES_ALL);
	go_to(to);
	meet();
	say(client, "by name");
	hears(target, "by name");
	allow("tcp://app.example:*");
	say(client, "again");
	hears(target, "again");
	allow("tcp://other.example:*");
	RIG_WAIT(was_reset(client));
}

static void test_closed_while_its_target_is_looked_up(void **state)
{
	(void)state;
	rig_names(NAMES_HELD);
	go_to("tcp://slow.example:80");
	client = dial();
	say(client, "early words");
	RIG_WAIT(rig_names_asked() > 0);
	break_off(&client);
	rig_names(NAMES_NONE);
	RIG_WAIT(!flows());
}

/* the same bytes as in stamp(), without end */
static void fill(uint8_t *p, size_t n, uint64_t from)
{
	for (size_t i = 0; i < n; i++, from++)
		p[i] = (uint8_t)(from * 31 + (from >> 8) * 7 + (from >> 16));
}

static uint64_t push(int fd, uint64_t done, uint64_t all)
{
	size_t n =
		all - done < sizeof area ? (size_t)(all - done) : sizeof area;
	fill(area, n, done);
	ssize_t r = n ? send(fd, area, n, MSG_NOSIGNAL) : 0;
	assert_true(r >= 0 || errno == EAGAIN);
	return done + (r > 0 ? (uint64_t)r : 0);
}

static uint64_t pull(int fd, uint64_t done, size_t most)
{
	static uint8_t got[1 << 18], want[1 << 18];
	ssize_t r = recv(fd, got, most < sizeof got ? most : sizeof got, 0);
	assert_true(r >= 0 || errno == EAGAIN);
	if (r <= 0)
		return done;
	fill(want, (size_t)r, done);
	assert_memory_equal(got, want, (size_t)r);
	return done + (uint64_t)r;
}

static void test_bulk(void **state)
{
	uint64_t up[2] = { 0 }, down[2] = { 0 };
	(void)state;
	meet();
	RIG_WAIT((up[0] = push(client, up[0], BULK),
		up[1] = pull(target, up[1], sizeof area),
		down[0] = push(target, down[0], BULK),
		down[1] = pull(client, down[1], sizeof area),
		up[1] == BULK && down[1] == BULK));
	shutdown(client, SHUT_WR);
	shutdown(target, SHUT_WR);
	RIG_WAIT(ended(target));
	RIG_WAIT(ended(client));
	RIG_WAIT(!flows());
}

/* a reader that takes little at a time stops the writer, and loses nothing */
static void test_slow_reader(void **state)
{
	enum { LITTLE = 3000, ROOM = 64 << 10 };
	uint64_t put = 0, got = 0, before;
	(void)state;
	meet();
	cv_sock_int(target, SOL_SOCKET, SO_RCVBUF, ROOM);
	RIG_WHILE((put = push(client, put, 256 << 20)) != 0, 1.);
	before = put;
	assert_true(before < 64 << 20);
	RIG_WHILE((put = push(client, put, 256 << 20)) == before, 0.1);
	for (int i = 0; i < 100; i++) {
		got = pull(target, got, LITTLE);
		rig_turn();
	}
	shutdown(client, SHUT_WR);
	RIG_WAIT((got = pull(target, got, sizeof area), got == put));
	RIG_WAIT(ended(target));
	/* the answer is not in the way of anything */
	say(target, "done");
	hears(client, "done");
	shut(&target);
	RIG_WAIT(ended(client));
	RIG_WAIT(!flows());
}

/* the client has all it sent acknowledged, and the target still reads */
static void test_slow_end(void **state)
{
	uint64_t put = 0, got = 0;
	(void)state;
	meet();
	shutdown(target, SHUT_WR);
	RIG_WHILE((put = push(client, put, 256 << 20)) != 0, 0.3);
	shut(&client);
	RIG_WHILE(true, 0.2);
	RIG_WAIT((got = pull(target, got, 100000), got == put));
	RIG_WAIT(ended(target));
	shut(&target);
	RIG_WAIT(!flows());
	assert_int_equal(a.loop.node.backlog + b.loop.node.backlog, 0);
}

static void test_many(void **state)
{
	static int fd[CLIENTS], to[CLIENTS];
	char name[20];
	(void)state;
	for (int i = 0; i < CLIENTS; i++) {
		fd[i] = dial();
		RIG_WAIT(took_in(&to[i]));
	}
	assert_int_equal(flows(), 2 * CLIENTS);
	for (int i = 0; i < CLIENTS; i++) {
		snprintf(name, sizeof name, "this is %d", i);
		say(fd[i], name);
	}
	for (int i = 0; i < CLIENTS; i++) {
		snprintf(name, sizeof name, "this is %d", i);
		hears(to[i], name);
	}
	for (int i = 0; i < CLIENTS; i++) {
		close(fd[i]);
		RIG_WAIT(ended(to[i]));
		close(to[i]);
	}
	RIG_WAIT(!flows());
}

/* what an idle connection costs us, beside the kernel's part */
static void test_little_memory(void **state)
{
	static int fd[CLIENTS], to[CLIENTS];
	(void)state;
	meet();
	size_t before = mallinfo2().uordblks;
	for (int i = 0; i < CLIENTS; i++) {
		fd[i] = dial();
		RIG_WAIT(took_in(&to[i]));
		say(fd[i], "hello");
		hears(to[i], "hello");
	}
	size_t each = (mallinfo2().uordblks - before) / CLIENTS;
	printf("# %zu bytes for each connection, both ends\n", each);
	for (int i = 0; i < CLIENTS; i++) {
		close(fd[i]);
		close(to[i]);
	}
	RIG_WAIT(flows() == 2);
	assert_true(each <= 4096);
}

static void test_flow_limit(void **state)
{
	struct node *n = &a;
	(void)state;
	meet();
	n->loop.node.flows.max = 1;
	int fd = dial();
	RIG_WAIT(was_reset(fd));
	assert_int_equal(n->loop.node.stats.drop[CV_DROP_FLOW_LIMIT], 1);
	close(fd);
	say(client, "well");
	hears(target, "well");
}

static void test_port_goes(void **state)
{
	struct cv_url u;
	char text[CV_URL_TEXT], why[CV_SOCK_WHY];
	(void)state;
	meet();
	url_of(&at, text);
	cv_url_parse(&u, text, strlen(text), NULL);
	cv_tcp_port_close(port);
	RIG_WAIT(was_reset(client));
	RIG_WAIT(was_reset(target));
	port = cv_tcp_port_listen(&a.loop, &u, why);
	assert_non_null(port);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_there_and_back),
		TEST(test_greeting),
		TEST(test_half_close_by_the_client),
		TEST(test_half_close_by_the_target),
		TEST(test_said_and_gone),
		TEST(test_reset_by_the_client),
		TEST(test_reset_by_the_target),
		TEST(test_reset_while_full),
		TEST(test_nobody_there),
		TEST(test_not_allowed),
		TEST(test_only_loopback),
		TEST(test_not_allowed_any_more),
		TEST(test_bad_targets),
		TEST(test_options_of_a_target),
		TEST(test_named_target),
		TEST(test_closed_while_its_target_is_looked_up),
		TEST(test_bulk),
		TEST(test_slow_reader),
		TEST(test_slow_end),
		TEST(test_many),
		TEST(test_little_memory),
		TEST(test_flow_limit),
		TEST(test_port_goes),
	};
	(void)argc;
	rig_start(argv);
	cmocka_set_test_filter(getenv("RIG_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
