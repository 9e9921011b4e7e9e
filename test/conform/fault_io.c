/* SPDX-License-Identifier: MIT */
/**
 * fault_io.c - every system call of links and edges fails, at every place
 *
 * DOC: The linker puts a wrapper around each call.  Inside the product, and
 * only there, the k-th invocation of one call fails with one error, or does
 * only a little of its work; then the next run fails at k + 1, until a run
 * makes no k-th call.  Whatever failed: afterwards datagrams go there and
 * back again, and no descriptor or memory is left over.
 */
#include "conform/edge_suite.h"

#include "loop/sock.h"

#include <errno.h>
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

enum call {
	SENDMSG,
	RECV,
	SENDMMSG,
	RECVMMSG,
	ACCEPT4,
	CONNECT,
	SOCKET,
	SETSOCKOPT,
	CALLS,
};

enum {
	SHORT = -1, /* no error: one byte, or one message */
	DEEP = 50,  /* invocations that fail, at most */
	ALL = 10,   /* of errors that cost a link, each up to here */
};

static struct {
	enum call call;
	int error;
	unsigned at; /* invocation; 0: none, UINT32_MAX: each */
	unsigned count[CALLS];
	uint32_t storm; /* state of the generator, 0: calm */
	bool fired;
} fault;

static const int errors[CALLS][5] = {
	[SENDMSG] = { SHORT, EAGAIN, EINTR, ENOBUFS, EPIPE },
	[RECV] = { SHORT, EAGAIN, EINTR, ENOMEM, ECONNRESET },
	[SENDMMSG] = { SHORT, EAGAIN, EINTR, ENOBUFS, ECONNREFUSED },
	[RECVMMSG] = { SHORT, EAGAIN, EINTR, ENOMEM, ECONNREFUSED },
	[ACCEPT4] = { EAGAIN, EINTR, ECONNABORTED, EMFILE, ENOBUFS },
	[CONNECT] = { EINTR, ECONNREFUSED, ENETUNREACH, ENOBUFS, EAGAIN },
	[SOCKET] = { EMFILE, ENFILE, ENOBUFS, EACCES, ENOMEM },
	[SETSOCKOPT] = { ENOPROTOOPT, EINVAL, EPERM, ENOMEM, ENOBUFS },
};

/* what this invocation does: 0 as usual, SHORT, or an errno */
static int fate(enum call call)
{
	if (!rig_inside)
		return 0;
	fault.count[call]++;
	if (fault.storm) {
		fault.storm = fault.storm * 1664525u + 1013904223u;
		uint32_t r = fault.storm >> 8;
		return r % 6 ? 0 : errors[call][r / 6 % 5];
	}
	if (call != fault.call ||
		(fault.at != UINT32_MAX && fault.at != fault.count[call]))
		return 0;
	fault.fired = true;
	return fault.error;
}

static int refuse(int error)
{
	errno = error;
	return -1;
}

#define REAL(type, name, ...)                                                  \
	type __real_##name(__VA_ARGS__);                                       \
	type __wrap_##name(__VA_ARGS__);                                       \
	type __wrap_##name(__VA_ARGS__)

static bool streams(int fd)
{
	int type = 0;
	socklen_t len = sizeof type;
	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) &&
	       type == SOCK_STREAM;
}

REAL(ssize_t, sendmsg, int fd, const struct msghdr *m, int flags)
{
	int e = fate(SENDMSG);
	if (e > 0)
		return refuse(e);
	if (!e || !streams(fd))
		return __real_sendmsg(fd, m, flags);
	struct iovec one = { m->msg_iov->iov_base, 1 };
	struct msghdr h = { .msg_iov = &one, .msg_iovlen = 1 };
	return __real_sendmsg(fd, &h, flags);
}

REAL(ssize_t, recv, int fd, void *p, size_t len, int flags)
{
	int e = fate(RECV);
	return e > 0 ? refuse(e) : __real_recv(fd, p, e ? 1 : len, flags);
}

REAL(int, sendmmsg, int fd, struct mmsghdr *m, unsigned n, int flags)
{
	int e = fate(SENDMMSG);
	return e > 0 ? refuse(e) : __real_sendmmsg(fd, m, e ? 1 : n, flags);
}

REAL(int, recvmmsg, int fd, struct mmsghdr *m, unsigned n, int flags,
	struct timespec *t)
{
	int e = fate(RECVMMSG);
	return e > 0 ? refuse(e) : __real_recvmmsg(fd, m, e ? 1 : n, flags, t);
}

REAL(int, accept4, int fd, struct sockaddr *a, socklen_t *len, int flags)
{
	int e = fate(ACCEPT4);
	return e > 0 ? refuse(e) : __real_accept4(fd, a, len, flags);
}

REAL(int, connect, int fd, const struct sockaddr *a, socklen_t len)
{
	int e = fate(CONNECT);
	return e > 0 ? refuse(e) : __real_connect(fd, a, len);
}

REAL(int, socket, int family, int type, int protocol)
{
	int e = fate(SOCKET);
	return e > 0 ? refuse(e) : __real_socket(family, type, protocol);
}

REAL(int, setsockopt, int fd, int level, int name, const void *value,
	socklen_t len)
{
	int e = fate(SETSOCKOPT);
	return e > 0 ? refuse(e)
		     : __real_setsockopt(fd, level, name, value, len);
}

static const struct link_fixture *fx;
static const struct edge_fixture *ex;
static struct node a, b;
static int client = -1, target = -1;
static uint64_t sent, back;

static void build(void)
{
	char url[CV_URL_TEXT];
	rig_begin();
	node_up(&b, 2);
	node_know(&b, 1);
	fx->open(&b);
	node_up(&a, 1);
	a.kick = fx->kick;
	fx->dial(&a, node_know(&a, 2), NULL);
	struct cv_addr at = rig_port(SOCK_DGRAM, NULL);
	ex->url(&at, url);
	target = ex->target(&at);
	at = ex->open(&a, &b, &(struct edge_setup){ .target = url });
	client = ex->client(NULL, &at);
	sent = back = 0;
}

static int teardown(void **state)
{
	(void)state;
	memset(&fault, 0, sizeof fault);
	if (!b.up)
		return 0;
	if (client >= 0)
		close(client);
	if (target >= 0)
		close(target);
	client = target = -1;
	if (a.up && node_peer(&a))
		fx->undial(node_peer(&a));
	fx->close();
	node_quiet(&a);
	node_quiet(&b);
	ex->close();
	node_down(&a);
	node_down(&b);
	return rig_end();
}

/* what came to the target is sent back, what came back is noted */
static void turn(void)
{
	static uint8_t p[65536];
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;
	ssize_t len;
	rig_turn();
	while ((len = recvfrom(target, p, sizeof p, MSG_DONTWAIT,
			(struct sockaddr *)&ss, &n)) >= 0) {
		assert_true(stamp_ok(p, (size_t)len));
		sendto(target, p, (size_t)len, 0, (struct sockaddr *)&ss, n);
		n = sizeof ss;
	}
	while ((len = recvfrom(
			client, p, sizeof p, MSG_DONTWAIT, NULL, NULL)) >= 0) {
		assert_true(stamp_ok(p, (size_t)len));
		assert_true(cv_get64(p) > back);
		back = cv_get64(p);
	}
}

/* one more datagram out, and a turn */
static void step(void)
{
	uint8_t p[500];
	stamp(p, sizeof p, ++sent);
	send(client, p, sizeof p, 0);
	turn();
}

/* what is sent from now on comes back */
static void expect_recovery(void)
{
	uint64_t now = sent;
	double end = rig_clock() + RIG_PATIENCE;
	while (back <= now) {
		if (rig_clock() > end) {
			rig_report();
			fail_msg("dead after error %d of call %d, "
				 "invocation %u, storm %u",
				fault.error, (int)fault.call, fault.at,
				fault.storm);
		}
		step();
	}
}

/* a short life with one fault in it; false if it was never reached */
static bool live(enum call call, int error, unsigned at)
{
	build();
	fault.call = call;
	fault.error = error;
	fault.at = at;
	memset(fault.count, 0, sizeof fault.count);
	fault.fired = false;
	cv_session_want(node_peer(&a), cv_now());
	/* as far as the fault, or well past the first answer */
	double end = rig_clock() + RIG_PATIENCE;
	for (int i = 0; i < 80 && fault.count[call] <= at; i += back > 0) {
		assert_true(rig_clock() < end);
		step();
	}
	bool fired = fault.fired;
	fault.at = 0;
	expect_recovery();
	assert_int_equal(teardown(NULL), 0);
	return fired;
}

static unsigned sweep(enum call call, int error)
{
	bool costly = error > 0 && error != EAGAIN && error != EINTR &&
		      call != SETSOCKOPT;
	unsigned k = 1, n = 0;
	while (k <= DEEP && live(call, error, k)) {
		k += costly && k >= ALL ? 10 : 1;
		n++;
	}
	return n;
}

static void each(enum call call, unsigned least)
{
	size_t before = 0;
	live(call, 0, 0);
	for (int i = 0; i < 5; i++) {
		assert_true(sweep(call, errors[call][i]) >= least);
		if (!i)
			before = mallinfo2().uordblks;
	}
	assert_int_equal(mallinfo2().uordblks, before);
}

static void test_sendmsg(void **state)
{
	(void)state;
	each(SENDMSG, 12);
}

static void test_recv(void **state)
{
	(void)state;
	each(RECV, 12);
}

static void test_sendmmsg(void **state)
{
	(void)state;
	each(SENDMMSG, 12);
}

static void test_recvmmsg(void **state)
{
	(void)state;
	each(RECVMMSG, 12);
}

static void test_accept4(void **state)
{
	(void)state;
	each(ACCEPT4, 1);
}

static void test_connect(void **state)
{
	(void)state;
	each(CONNECT, 2);
}

static void test_socket(void **state)
{
	(void)state;
	each(SOCKET, 2);
}

static void test_setsockopt(void **state)
{
	(void)state;
	each(SETSOCKOPT, 12);
}

/* every read and write does the least it can, from the first on */
static void test_always_short(void **state)
{
	static const enum call call[] = { SENDMSG, RECV, SENDMMSG, RECVMMSG };
	(void)state;
	for (size_t i = 0; i < CV_COUNT(call); i++) {
		build();
		fault.call = call[i];
		fault.error = SHORT;
		fault.at = UINT32_MAX;
		cv_session_want(node_peer(&a), cv_now());
		RIG_WAIT(node_is_up(&a) && node_is_up(&b));
		for (uint64_t k = 1; k <= 3; k++) {
			step();
			RIG_WAIT((turn(), back == k));
		}
		assert_int_equal(teardown(NULL), 0);
	}
}

/* everything fails now and then */
static void test_storms(void **state)
{
	enum { SEEDS = 15 };
	size_t before = 0;
	(void)state;
	for (uint32_t seed = 1; seed <= SEEDS; seed++) {
		build();
		cv_session_want(node_peer(&a), cv_now());
		fault.storm = seed;
		for (int i = 0; i < 300; i++)
			step();
		fault.storm = 0;
		fault.at = 0;
		expect_recovery();
		assert_int_equal(teardown(NULL), 0);
		if (seed == 5)
			before = mallinfo2().uordblks;
	}
	assert_int_equal(mallinfo2().uordblks, before);
}

#define TEST(f) cmocka_unit_test_teardown(f, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_recv),
		TEST(test_accept4),
		/* from here on those of UDP as well */
		TEST(test_sendmsg),
		TEST(test_sendmmsg),
		TEST(test_recvmmsg),
		TEST(test_connect),
		TEST(test_socket),
		TEST(test_setsockopt),
		TEST(test_always_short),
		TEST(test_storms),
	};
	/* the build makes three programs of this file */
	bool udp = strstr(argv[0], "dgram") != NULL;
	ex = strstr(argv[0], "frames") ? &edge_frames_fixture
				       : &edge_udp_fixture;
	fx = udp ? &link_udp_fixture : &link_tcp_fixture;
	(void)argc;
	rig_start(argv);
	cmocka_set_test_filter(getenv("RIG_ONLY"));
	return _cmocka_run_group_tests("fault_io", tests + (udp ? 2 : 0),
		CV_COUNT(tests) - (udp ? 2 : 0), NULL, NULL);
}
