/* SPDX-License-Identifier: MIT */
/**
 * edge_suite.c - what every edge must do; see edge_suite.h
 *
 * Programs send to an edge of node A; at node B a target waits.  Both are
 * ordinary sockets of the test.  Every test begins with two fresh nodes and
 * ends by counting what is left over.
 */
#include "conform/edge_suite.h"

#include "loop/sock.h"

#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { CLIENTS = 1000, SPARE = 128 };

/** struct box - what a socket of the test received */
struct box {
	uint64_t dgrams, bytes, bad, disorder, number;
	size_t len;          /* of the last */
	struct cv_addr from; /* of the last */
};

static const struct edge_fixture *ex;
static struct node a, b;
static struct cv_session *s;
static struct cv_addr at, where; /* the edge, the target */
static char target_url[CV_URL_TEXT];
static uint64_t sent;
static uint8_t area[65536];

static uint64_t drops(const struct node *n, enum cv_drop why)
{
	return n->loop.node.stats.drop[why];
}

static size_t flows(const struct node *n)
{
	return n->loop.node.flows.count;
}

static int setup(void **state)
{
	const struct link_fixture *fx = ex->link;
	(void)state;
	sent = 0;
	rig_begin();
	node_up(&b, 2);
	node_know(&b, 1);
	fx->open(&b);
	node_up(&a, 1);
	a.kick = fx->kick;
	s = node_know(&a, 2);
	fx->dial(&a, s, NULL);
	where = rig_port(SOCK_DGRAM, NULL);
	ex->url(&where, target_url);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (node_peer(&a))
		ex->link->undial(node_peer(&a));
	ex->link->close();
	node_quiet(&a);
	node_quiet(&b);
	ex->close();
	node_down(&a);
	node_down(&b);
	return rig_end();
}

static void open_with(const struct edge_setup *set)
{
	struct edge_setup full = *set;
	if (!full.target)
		full.target = target_url;
	at = ex->open(&a, &b, &full);
	cv_session_want(s, cv_now());
	RIG_WAIT(node_is_up(&a) && node_is_up(&b));
}

static void start(void)
{
	open_with(&(struct edge_setup){ 0 });
}

static void put(int fd, size_t len)
{
	stamp(area, len, ++sent);
	assert_int_equal(send(fd, area, len, 0), len);
}

/* everything a socket has; returns how many datagrams it got by now */
static uint64_t got(int fd, struct box *x)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;
	ssize_t len;
	while ((len = recvfrom(fd, area, sizeof area, MSG_DONTWAIT,
			(struct sockaddr *)&ss, &n)) >= 0) {
		x->dgrams++;
		x->bytes += (uint64_t)len;
		x->len = (size_t)len;
		x->bad += !stamp_ok(area, x->len);
		cv_sock_from(&ss, &x->from);
		n = sizeof ss;
		if (len < RIG_STAMP)
			continue;
		x->disorder += cv_get64(area) <= x->number;
		x->number = cv_get64(area);
	}
	return x->dgrams;
}

/* likewise, and sends each back */
static uint64_t echo(int fd, struct box *x)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;
	ssize_t len;
	while ((len = recvfrom(fd, area, sizeof area, MSG_DONTWAIT,
			(struct sockaddr *)&ss, &n)) >= 0) {
		x->dgrams++;
		x->bad += !stamp_ok(area, (size_t)len);
		cv_sock_from(&ss, &x->from);
		assert_int_equal(sendto(fd, area, (size_t)len, 0,
					 (struct sockaddr *)&ss, n),
			len);
		n = sizeof ss;
	}
	return x->dgrams;
}

static void send_to(int fd, const struct cv_addr *to, size_t len)
{
	struct sockaddr_storage ss;
	socklen_t n = cv_sock_addr(to, &ss);
	stamp(area, len, ++sent);
	assert_int_equal(
		sendto(fd, area, len, 0, (struct sockaddr *)&ss, n), len);
}

/* there and back, once */
static void expect_echo(int client, int target)
{
	struct box there = { 0 }, back = { 0 };
	put(client, 300);
	RIG_WAIT((echo(target, &there), got(client, &back) == 1));
	assert_int_equal(there.bad + back.bad, 0);
	assert_int_equal(back.number, sent);
}

static void test_echo(void **state)
{
	(void)state;
	start();
	int target = ex->target(&where), client = ex->client(NULL, &at);
	for (int i = 0; i < 20; i++)
		expect_echo(client, target);
	assert_int_equal(flows(&a), 1);
	assert_int_equal(flows(&b), 1);
	close(client);
	close(target);
}

static void test_many_clients(void **state)
{
	static struct box back[CLIENTS];
	static uint8_t seen[65536];
	int fd[CLIENTS];
	struct box there = { 0 };
	(void)state;
	start();
	int target = ex->target(&where);
	memset(back, 0, sizeof back);
	memset(seen, 0, sizeof seen);
	for (int i = 0; i < CLIENTS; i++) {
		fd[i] = ex->client(NULL, &at);
		uint64_t before = there.dgrams;
		put(fd[i], 100);
		RIG_WAIT(echo(target, &there) == before + 1);
		assert_false(seen[there.from.port]++);
	}
	for (int i = 0; i < CLIENTS; i++) {
		RIG_WAIT(got(fd[i], &back[i]) == 1);
		assert_int_equal(back[i].number, i + 1);
		assert_int_equal(back[i].bad, 0);
	}
	assert_int_equal(flows(&a), CLIENTS);
	assert_int_equal(flows(&b), CLIENTS);
	/* and once more, all at once: the same flows, each its own answer */
	for (int i = 0; i < CLIENTS; i++)
		put(fd[i], 100);
	for (int i = 0; i < CLIENTS; i++) {
		RIG_WAIT((echo(target, &there), got(fd[i], &back[i]) == 2));
		assert_int_equal(back[i].number, CLIENTS + i + 1);
		close(fd[i]);
	}
	assert_int_equal(flows(&b), CLIENTS);
	close(target);
}

/* asks @to at the edge's port; the answer must come from there */
static void expect_answer_from(struct cv_addr to, int client, int target)
{
	struct box there = { 0 }, back = { 0 };
	to.port = at.port;
	send_to(client, &to, 50);
	RIG_WAIT((echo(target, &there), got(client, &back) == 1));
	assert_true(cv_addr_equal(&back.from, &to));
}

static void test_answer_comes_from_the_asked_address(void **state)
{
	struct cv_addr any = { .family = CV_AF_INET };
	(void)state;
	any = rig_port(SOCK_DGRAM, &any);
	open_with(&(struct edge_setup){ .at = &any });
	int target = ex->target(&where), client = ex->client(NULL, NULL);
	for (uint8_t i = 5; i < 10; i++)
		expect_answer_from(rig_address(i), client, target);
	assert_int_equal(flows(&a), 5);
	close(client);
	close(target);
}

static void test_answer_on_both_families(void **state)
{
	struct cv_addr any = { .family = CV_AF_INET6 }, one = any;
	struct cv_addr from4 = { .family = CV_AF_INET };
	(void)state;
	one.ip[15] = 1;
	any = rig_port(SOCK_DGRAM, &any);
	open_with(&(struct edge_setup){ .at = &any });
	int target = ex->target(&where);
	int six = ex->client(&one, NULL), four = ex->client(&from4, NULL);
	expect_answer_from(one, six, target);
	expect_answer_from(rig_address(5), four, target);
	expect_answer_from(rig_address(6), four, target);
	close(six);
	close(four);
	close(target);
}

static void test_sizes(void **state)
{
	static const size_t size[] = { 0, 1, 2, 12, 13, 511, 1400, 1472, 1473,
		8972, 9000, 32768, 65506, 65507, 0 };
	struct box there = { 0 }, back = { 0 };
	(void)state;
	start();
	int target = ex->target(&where), client = ex->client(NULL, &at);
	for (size_t i = 0; i < CV_COUNT(size); i++) {
		put(client, size[i]);
		RIG_WAIT((echo(target, &there), got(client, &back) == i + 1));
		assert_int_equal(back.len, size[i]);
	}
	assert_int_equal(there.bad + back.bad, 0);
	close(client);
	close(target);
}

static void test_sizes_at_once(void **state)
{
	static const size_t size[] = { 600, 0, 600, 0, 0, 100, 1, 1, 0, 9000,
		65507, 0, 65507, 599, 601 };
	struct box there = { 0 }, back = { 0 };
	uint64_t n = 0, bytes = 0;
	(void)state;
	start();
	int target = ex->target(&where), client = ex->client(NULL, &at);
	for (int round = 0; round < 10; round++) {
		for (size_t i = 0; i < CV_COUNT(size); i++, n++) {
			put(client, size[i]);
			bytes += size[i];
		}
		RIG_WAIT((echo(target, &there), got(client, &back) == n));
	}
	assert_int_equal(back.bytes, bytes);
	assert_int_equal(there.bad + back.bad + back.disorder, 0);
	close(client);
	close(target);
}

/* larger than any IPv4 datagram: refused by name, and nobody else suffers */
static void test_too_big_over_ipv6(void **state)
{
	struct cv_addr one = { .family = CV_AF_INET6 };
	struct box there = { 0 };
	(void)state;
	one.ip[15] = 1;
	struct cv_addr six = rig_port(SOCK_DGRAM, &one);
	open_with(&(struct edge_setup){ .at = &six });
	int target = ex->target(&where);
	int big = ex->client(NULL, &at), other = ex->client(NULL, &at);
	put(big, 10);
	put(other, 100);
	RIG_WAIT(got(target, &there) == 2);
	for (int i = 0; i < 3; i++) {
		put(big, 65508 + (size_t)i * 9);
		put(other, 100);
		put(big, 65507);
	}
	RIG_WAIT(got(target, &there) == 8);
	RIG_WAIT(drops(&a, CV_DROP_TOO_BIG) + drops(&b, CV_DROP_TOO_BIG) == 3);
	assert_int_equal(drops(&b, CV_DROP_MALFORMED), 0);
	assert_int_equal(there.bad, 0);
	close(big);
	close(other);
	close(target);
}

static void test_burst_arrives_whole(void **state)
{
	struct box there = { 0 };
	(void)state;
	start();
	int target = ex->target(&where), client = ex->client(NULL, &at);
	put(client, 100);
	RIG_WAIT(got(target, &there) == 1);
	for (int i = 0; i < 1000; i++)
		put(client, 1400);
	RIG_WAIT(got(target, &there) == 1001);
	assert_int_equal(there.bad + there.disorder, 0);
	assert_int_equal(there.bytes, 100 + 1000 * 1400);
	close(client);
	close(target);
}

/* one send the kernel cuts into segments, to @to or where @fd is connected */
static void put_train(int fd, const struct cv_addr *to, uint16_t seg, size_t n)
{
	static uint8_t train[65536];
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof seg)] = { 0 };
	struct sockaddr_storage ss;
	struct iovec iov = { train, n };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof control };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);
	for (size_t off = 0; off < n; off += seg)
		stamp(train + off, n - off < seg ? n - off : seg, ++sent);
	cm->cmsg_level = IPPROTO_UDP;
	cm->cmsg_type = UDP_SEGMENT;
	cm->cmsg_len = CMSG_LEN(sizeof seg);
	memcpy(CMSG_DATA(cm), &seg, sizeof seg);
	if (to) {
		msg.msg_name = &ss;
		msg.msg_namelen = cv_sock_addr(to, &ss);
	}
	assert_int_equal(sendmsg(fd, &msg, 0), n);
}

static const struct {
	uint16_t seg;
	size_t len;
} trains[] = { { 1400, 1400 * 40 + 300 }, { 1000, 64000 }, { 100, 6400 },
	{ 1, 60 }, { 1448, 1448 * 2 }, { 1200, 1201 }, { 20, 65 } };

static void test_trains_keep_their_boundaries(void **state)
{
	struct box there = { 0 }, back = { 0 };
	uint64_t want = 0, bytes = 0;
	(void)state;
	start();
	int target = ex->target(&where), client = ex->client(NULL, &at);
	for (size_t i = 0; i < CV_COUNT(trains); i++) {
		uint16_t seg = trains[i].seg;
		size_t len = trains[i].len;
		want += (len + seg - 1) / seg;
		bytes += len;
		put_train(client, NULL, seg, len);
		RIG_WAIT(got(target, &there) == want);
		assert_int_equal(there.bytes, bytes);
		assert_int_equal(there.len, len % seg ? len % seg : seg);
		put_train(target, &there.from, seg, len);
		RIG_WAIT(got(client, &back) == want);
		assert_int_equal(back.bytes, bytes);
		assert_int_equal(back.len, len % seg ? len % seg : seg);
	}
	assert_int_equal(there.bad + back.bad, 0);
	assert_int_equal(there.disorder + back.disorder, 0);
	close(client);
	close(target);
}

static void test_target_comes_up_later(void **state)
{
	struct box there = { 0 };
	(void)state;
	start();
	int client = ex->client(NULL, &at);
	for (uint64_t i = 1; i <= 5; i++) {
		put(client, 100);
		RIG_WAIT(drops(&b, CV_DROP_UNREACHABLE) == i);
	}
	int target = ex->target(&where);
	put(client, 100);
	RIG_WAIT(got(target, &there) == 1);
	uint16_t port = there.from.port;
	/* gone and back: still the same flow */
	close(target);
	put(client, 100);
	RIG_WAIT(drops(&b, CV_DROP_UNREACHABLE) == 6);
	target = ex->target(&where);
	put(client, 100);
	RIG_WAIT(got(target, &there) == 2);
	assert_int_equal(there.from.port, port);
	assert_int_equal(flows(&b), 1);
	close(client);
	close(target);
}

static void test_stranger_does_not_enter(void **state)
{
	struct box there = { 0 }, back = { 0 };
	(void)state;
	start();
	int target = ex->target(&where), client = ex->client(NULL, &at);
	put(client, 100);
	RIG_WAIT(got(target, &there) == 1);
	struct cv_addr self = rig_address(9);
	int stranger = ex->client(&self, NULL);
	for (int i = 0; i < 20; i++)
		send_to(stranger, &there.from, 666);
	/* behind it, what may come in: nothing overtakes on one socket */
	send_to(target, &there.from, 77);
	RIG_WAIT(got(client, &back) > 0);
	RIG_WHILE(got(client, &back) == 1, 0.05);
	assert_int_equal(back.len, 77);
	assert_int_equal(b.loop.node.stats.tx_dgrams, 1);
	close(stranger);
	close(client);
	close(target);
}

/* everything the clients sent was delivered or counted by name */
static bool accounted(uint64_t delivered)
{
	return delivered + node_drops(&a) + node_drops_in(&b) == sent;
}

static void test_policy_refusal_is_reported(void **state)
{
	struct box there = { 0 };
	(void)state;
	open_with(&(struct edge_setup){ .allow = "udp://10.0.0.0/8" });
	int target = ex->target(&where), client = ex->client(NULL, &at);
	for (int i = 0; i < 3; i++) {
		put(client, 100);
		RIG_WAIT(accounted(0));
	}
	RIG_WAIT(node_said(&a, "peer refused a flow"));
	assert_true(node_said(&a, "reason=not_allowed"));
	assert_true(node_said(&b, "target refused"));
	assert_true(node_said(&b, "reason=\"not allowed: no --allow"));
	RIG_WAIT(!flows(&a) && !flows(&b));
	assert_int_equal(got(target, &there), 0);
	assert_int_equal(drops(&b, CV_DROP_UNKNOWN_FLOW), 3);
	close(client);
	close(target);
}

static void test_target_of_the_far_end(void **state)
{
	(void)state;
	open_with(&(struct edge_setup){
		.target = "", .to = target_url, .allow = "udp://10.0.0.0/8" });
	int target = ex->target(&where), client = ex->client(NULL, &at);
	expect_echo(client, target);
	close(client);
	close(target);
}

static void test_bad_target_is_reported(void **state)
{
	(void)state;
	open_with(&(struct edge_setup){ .target = "" });
	int client = ex->client(NULL, &at);
	put(client, 100);
	RIG_WAIT(node_said(&a, "reason=bad_target"));
	RIG_WAIT(!flows(&a) && !flows(&b));
	RIG_WAIT(accounted(0));
	close(client);
}

static void name_target(char out[CV_URL_TEXT])
{
	snprintf(out, CV_URL_TEXT, "udp://late.example:%u", where.port);
}

static void test_named_target_resolves_later(void **state)
{
	enum { HELD = 64 };
	char name[CV_URL_TEXT];
	struct box there = { 0 };
	(void)state;
	name_target(name);
	rig_names(NAMES_HELD);
	open_with(&(struct edge_setup){ .target = name });
	int target = ex->target(&where), client = ex->client(NULL, &at);
	for (uint64_t i = 1; i <= 100; i++) {
		put(client, 100);
		RIG_WAIT(b.loop.node.stats.rx_dgrams == i);
	}
	RIG_WAIT(drops(&b, CV_DROP_OPENING) == 100 - HELD);
	assert_int_equal(got(target, &there), 0);
	rig_names(NAMES_ALL);
	RIG_WAIT(got(target, &there) == HELD);
	assert_int_equal(there.bad + there.disorder, 0);
	assert_true(accounted(there.dgrams));
	expect_echo(client, target);
	close(client);
	close(target);
}

static void test_named_target_never_resolves(void **state)
{
	char name[CV_URL_TEXT];
	(void)state;
	name_target(name);
	open_with(&(struct edge_setup){ .target = name });
	int client = ex->client(NULL, &at);
	put(client, 100);
	RIG_WAIT(node_said(&a, "peer refused a flow"));
	RIG_WAIT(!flows(&a) && !flows(&b));
	RIG_WAIT(accounted(0));
	assert_int_equal(drops(&b, CV_DROP_OPENING), 1);
	close(client);
}

/* a client known beforehand, and a fixed address towards the target */
static struct cv_addr open_bound(struct cv_addr client, struct cv_addr local)
{
	static char bound[CV_URL_TEXT];
	char text[CV_ADDRTEXT];
	struct cv_addr third = rig_address(3);
	struct cv_addr phantom = rig_port(SOCK_DGRAM, &third);
	ex->url(&where, bound);
	strcat(bound, "?bind=");
	strcat(bound, cv_addr_format(&phantom, text));
	open_with(&(struct edge_setup){
		.at = &local, .client = &client, .target = bound });
	return phantom;
}

static void expect_target_first(const struct cv_addr *asked)
{
	struct cv_addr fourth = rig_address(4);
	struct cv_addr self = rig_port(SOCK_DGRAM, &fourth);
	struct cv_addr phantom = open_bound(self, at);
	struct box there = { 0 }, back = { 0 };
	RIG_WAIT(flows(&b) == 1);
	int target = ex->target(&where), client = ex->client(&self, NULL);
	send_to(target, &phantom, 77);
	RIG_WAIT(got(client, &back) == 1);
	assert_int_equal(back.len, 77);
	send_to(client, asked, 88);
	RIG_WAIT(got(target, &there) == 1);
	assert_true(cv_addr_equal(&there.from, &phantom));
	send_to(target, &phantom, 99);
	RIG_WAIT(got(client, &back) == 2);
	assert_int_equal(flows(&a), 1);
	assert_int_equal(flows(&b), 1);
	close(client);
	close(target);
	assert_true(cv_addr_equal(&back.from, asked));
}

static void test_bound_flow_opens_unasked(void **state)
{
	struct cv_addr third = rig_address(3);
	(void)state;
	at = rig_port(SOCK_DGRAM, &third);
	struct cv_addr asked = at;
	expect_target_first(&asked);
	a.loop.node.flows.idle = b.loop.node.flows.idle = CV_SEC(5);
	rig_skip(CV_SEC(6));
	RIG_WHILE(flows(&a) == 1 && flows(&b) == 1, 0.05);
}

static void test_bound_flow_on_every_address(void **state)
{
	struct cv_addr any = { .family = CV_AF_INET };
	(void)state;
	at = rig_port(SOCK_DGRAM, &any);
	struct cv_addr asked = rig_address(7);
	asked.port = at.port;
	expect_target_first(&asked);
}

/* idle at either end, a flow goes from both, and its socket with it */
static void expect_expiry(struct node *where_idle)
{
	start();
	int target = ex->target(&where), client = ex->client(NULL, &at);
	int fds = rig_fds();
	where_idle->loop.node.flows.idle = CV_SEC(5);
	expect_echo(client, target);
	assert_int_equal(rig_fds(), fds + 1);
	rig_skip(CV_SEC(4));
	expect_echo(client, target);
	rig_skip(CV_SEC(4));
	assert_int_equal(flows(&a), 1);
	rig_skip(CV_SEC(2));
	RIG_WAIT(!flows(&a) && !flows(&b));
	assert_int_equal(rig_fds(), fds);
	expect_echo(client, target);
	assert_int_equal(flows(&b), 1);
	close(client);
	close(target);
}

static void test_idle_flow_expires_here(void **state)
{
	(void)state;
	expect_expiry(&a);
}

static void test_idle_flow_expires_there(void **state)
{
	(void)state;
	expect_expiry(&b);
}

/* four flows of which the first is idle longest, and a limit of four */
static int fill(int fd[5], const struct cv_addr *from)
{
	int target = ex->target(&where);
	for (int i = 0; i < 5; i++)
		fd[i] = ex->client(from, &at);
	for (int i = 0; i < 4; i++)
		expect_echo(fd[i], target);
	return target;
}

static void empty(int fd[5], int target)
{
	for (int i = 0; i < 5; i++)
		close(fd[i]);
	close(target);
}

static void test_oldest_idle_flow_gives_way(void **state)
{
	int fd[5];
	(void)state;
	start();
	a.loop.node.flows.max = 4;
	int target = fill(fd, NULL);
	put(fd[4], 100);
	RIG_WAIT(drops(&a, CV_DROP_FLOW_LIMIT) == 1);
	rig_skip(CV_SEC(11));
	for (int i = 1; i < 4; i++)
		expect_echo(fd[i], target);
	expect_echo(fd[4], target);
	assert_int_equal(flows(&a), 4);
	RIG_WAIT(flows(&b) == 4);
	put(fd[0], 100);
	RIG_WAIT(drops(&a, CV_DROP_FLOW_LIMIT) == 2);
	empty(fd, target);
}

static void test_limit_of_one_source(void **state)
{
	struct cv_addr self = rig_address(8), other = rig_address(9);
	int fd[5];
	(void)state;
	start();
	a.loop.node.flows.max_source = 4;
	int target = fill(fd, &self);
	put(fd[4], 100);
	RIG_WAIT(drops(&a, CV_DROP_FLOW_LIMIT) == 1);
	int elsewhere = ex->client(&other, &at);
	expect_echo(elsewhere, target);
	rig_skip(CV_SEC(11));
	expect_echo(fd[4], target);
	assert_int_equal(flows(&a), 5);
	close(elsewhere);
	empty(fd, target);
}

static void test_limit_of_the_far_end(void **state)
{
	int fd[5];
	(void)state;
	start();
	b.loop.node.flows.max = 4;
	int target = fill(fd, NULL);
	put(fd[4], 100);
	RIG_WAIT(node_said(&a, "reason=flow_limit"));
	RIG_WAIT(flows(&a) == 4 && flows(&b) == 4);
	for (int i = 0; i < 4; i++)
		expect_echo(fd[i], target);
	empty(fd, target);
}

/* no descriptor is left below a limit of SPARE; returns how many it took */
static int exhaust(int spare[SPARE], struct rlimit *old)
{
	int n = 0;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, old), 0);
	struct rlimit tight = { SPARE, old->rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	while (n < SPARE && (spare[n] = dup(0)) >= 0)
		n++;
	return n;
}

static void test_out_of_descriptors(void **state)
{
	struct rlimit old;
	int spare[SPARE];
	(void)state;
	start();
	int target = ex->target(&where), client = ex->client(NULL, &at);
	int late = ex->client(NULL, &at);
	expect_echo(client, target);
	int n = exhaust(spare, &old);
	put(late, 100);
	double end = rig_clock() + RIG_PATIENCE;
	while (!node_said(&a, "reason=flow_limit") && rig_clock() < end)
		rig_turn();
	bool refused = node_said(&a, "reason=flow_limit");
	expect_echo(client, target);
	setrlimit(RLIMIT_NOFILE, &old);
	while (n)
		close(spare[--n]);
	assert_true(refused);
	expect_echo(late, target);
	expect_echo(client, target);
	close(late);
	close(client);
	close(target);
}

static void test_link_lost_keeps_the_far_port(void **state)
{
	struct box there = { 0 };
	(void)state;
	start();
	int target = ex->target(&where), client = ex->client(NULL, &at);
	put(client, 100);
	RIG_WAIT(got(target, &there) == 1);
	uint16_t port = there.from.port;
	for (uint64_t i = 2; i < 6; i++) {
		ex->link->reset();
		RIG_WAIT(!s->path->link);
		put(client, 100);
		RIG_WAIT(got(target, &there) == i);
		assert_int_equal(there.from.port, port);
	}
	close(client);
	close(target);
}

static uint64_t got_all(const int fd[8], struct box back[8])
{
	uint64_t sum = 0;
	for (int i = 0; i < 8; i++)
		sum += got(fd[i], &back[i]);
	return sum;
}

static void test_everything_is_accounted_for(void **state)
{
	int fd[8];
	struct box there = { 0 }, back[8] = { 0 };
	uint32_t r = 7;
	(void)state;
	start();
	int target = ex->target(&where);
	for (int i = 0; i < 8; i++)
		fd[i] = ex->client(NULL, &at);
	expect_echo(fd[0], target);
	a.loop.node.max_age = CV_MAX_AGE;
	sent = 0;
	uint64_t first = b.loop.node.stats.tx_dgrams;
	for (int i = 0; i < 4000; i++) {
		r = r * 1664525u + 1013904223u;
		put(fd[r >> 29], (r >> 8) % 1500);
		/* in the middle of it the network does not move for a while */
		if (i % 1000 == 500)
			ex->link->net(NET_STALLED);
		if (i % 1000 == 900) {
			rig_skip(CV_MS(60));
			ex->link->net(NET_OPEN);
		}
		if (i % 8 == 0)
			rig_turn();
		echo(target, &there);
	}
	RIG_WAIT(accounted(echo(target, &there)));
	assert_int_equal(there.bad, 0);
	assert_true(drops(&a, CV_DROP_AGED) > 0);
	/* and of what came back */
	RIG_WAIT(b.loop.node.stats.tx_dgrams - first == there.dgrams);
	RIG_WAIT(got_all(fd, back) + node_drops(&b) + node_drops_in(&a) ==
		 there.dgrams);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(back[i].bad + back[i].disorder, 0);
		close(fd[i]);
	}
	close(target);
}

static void test_flood_into_a_stalled_link(void **state)
{
	struct box there = { 0 };
	(void)state;
	start();
	int target = ex->target(&where), client = ex->client(NULL, &at);
	expect_echo(client, target);
	a.loop.node.max_age = CV_MAX_AGE;
	ex->link->net(NET_STALLED);
	for (double end = rig_clock() + 0.5; rig_clock() < end; rig_turn()) {
		for (int i = 0; i < 20; i++)
			put_train(client, NULL, 1400, 1400 * 40);
	}
	assert_true(
		drops(&a, CV_DROP_AGED) + drops(&a, CV_DROP_QUEUE_FULL) > 0);
	assert_true(a.loop.node.pool.bytes <= CV_MEMORY);
	assert_true(s->txq.q.bytes <= CV_TXQ_BYTES);
	ex->link->net(NET_OPEN);
	/* what comes out behind it is not old */
	uint64_t number = ++sent;
	RIG_WAIT((stamp(area, 200, ++sent), send(client, area, 200, 0),
		rig_turn(), got(target, &there), there.number > number));
	assert_int_equal(there.bad, 0);
	close(client);
	close(target);
}

static void test_far_end_goes_under_traffic(void **state)
{
	(void)state;
	start();
	int target = ex->target(&where), client = ex->client(NULL, &at);
	struct box there = { 0 };
	for (int i = 0; i < 100; i++) {
		put_train(client, NULL, 1400, 1400 * 10);
		if (i == 50)
			node_quiet(&b);
		rig_turn();
		echo(target, &there);
	}
	assert_true(there.dgrams > 0);
	assert_int_equal(flows(&b), 0);
	RIG_WHILE(!node_is_up(&a), 0.05);
	/* and this end goes with datagrams in every queue */
	put_train(client, NULL, 1400, 1400 * 10);
	close(client);
	close(target);
}

static void cycle(bool by_name)
{
	char name[CV_URL_TEXT];
	struct edge_setup set = { 0 };
	assert_int_equal(setup(NULL), 0);
	name_target(name);
	rig_names(NAMES_HELD);
	if (by_name)
		set.target = name;
	open_with(&set);
	int target = ex->target(&where), client = ex->client(NULL, &at);
	if (by_name) {
		put(client, 100);
		RIG_WAIT(rig_names_asked() > 0);
	} else {
		expect_echo(client, target);
		put_train(client, NULL, 1400, 1400 * 10);
		rig_turn();
	}
	close(client);
	close(target);
	assert_int_equal(teardown(NULL), 0);
}

static void expect_no_leak(bool by_name)
{
	size_t before = 0;
	for (int i = 0; i < 12; i++) {
		if (i == 4)
			before = mallinfo2().uordblks;
		cycle(by_name);
	}
	assert_int_equal(mallinfo2().uordblks, before);
}

static void test_nothing_is_left_over(void **state)
{
	(void)state;
	expect_no_leak(false);
}

static void test_nothing_is_left_of_a_name(void **state)
{
	(void)state;
	expect_no_leak(true);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static const struct {
	struct CMUnitTest test;
	unsigned needs;
} all[] = {
	{ TEST(test_echo), 0 },
	{ TEST(test_many_clients), 0 },
	{ TEST(test_answer_comes_from_the_asked_address), EDGE_ANY },
	{ TEST(test_answer_on_both_families), EDGE_ANY },
	{ TEST(test_sizes), EDGE_DATAGRAMS },
	{ TEST(test_sizes_at_once), EDGE_DATAGRAMS },
	{ TEST(test_too_big_over_ipv6), EDGE_DATAGRAMS },
	{ TEST(test_burst_arrives_whole), EDGE_DATAGRAMS },
	{ TEST(test_trains_keep_their_boundaries), EDGE_DATAGRAMS },
	{ TEST(test_target_comes_up_later), EDGE_DATAGRAMS | EDGE_TARGETS },
	{ TEST(test_stranger_does_not_enter), EDGE_DATAGRAMS | EDGE_TARGETS },
	{ TEST(test_policy_refusal_is_reported), EDGE_TARGETS },
	{ TEST(test_target_of_the_far_end), EDGE_TARGETS },
	{ TEST(test_bad_target_is_reported), EDGE_TARGETS },
	{ TEST(test_named_target_resolves_later), EDGE_TARGETS },
	{ TEST(test_named_target_never_resolves), EDGE_TARGETS },
	{ TEST(test_bound_flow_opens_unasked), EDGE_BIND },
	{ TEST(test_bound_flow_on_every_address), EDGE_BIND | EDGE_ANY },
	{ TEST(test_idle_flow_expires_here), EDGE_LINK },
	{ TEST(test_idle_flow_expires_there), EDGE_LINK },
	{ TEST(test_oldest_idle_flow_gives_way), 0 },
	{ TEST(test_limit_of_one_source), 0 },
	{ TEST(test_limit_of_the_far_end), EDGE_TARGETS },
	{ TEST(test_out_of_descriptors), EDGE_TARGETS },
	{ TEST(test_link_lost_keeps_the_far_port), EDGE_LINK },
	{ TEST(test_everything_is_accounted_for), EDGE_DATAGRAMS | EDGE_LINK },
	{ TEST(test_flood_into_a_stalled_link), EDGE_DATAGRAMS | EDGE_LINK },
	{ TEST(test_far_end_goes_under_traffic), EDGE_DATAGRAMS | EDGE_LINK },
	{ cmocka_unit_test(test_nothing_is_left_over), EDGE_DATAGRAMS },
	{ cmocka_unit_test(test_nothing_is_left_of_a_name),
		EDGE_DATAGRAMS | EDGE_TARGETS },
};

int edge_suite(const struct edge_fixture *fixture)
{
	struct CMUnitTest tests[CV_COUNT(all)];
	size_t n = 0;
	ex = fixture;
	cmocka_set_test_filter(getenv("RIG_ONLY"));
	/* what a kind of edge cannot have is no part of its suite */
	for (size_t i = 0; i < CV_COUNT(all); i++) {
		if ((all[i].needs & ex->flags) == all[i].needs)
			tests[n++] = all[i].test;
	}
	return _cmocka_run_group_tests(ex->name, tests, n, NULL, NULL);
}
