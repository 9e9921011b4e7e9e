/* SPDX-License-Identifier: MIT */
/**
 * link_udp.c - ports and their links, against a system that refuses things
 *
 * DOC: The node's side is played by the test: what links are to send comes
 * from a list of trains here, and what a port reads is noted here, both by
 * wrappers that the linker puts around the node's functions.  The system is
 * real, but for the calls that are told to fail.
 */
#include "conform/rig.h"

#include "core/wire.h"
#include "link/link_udp.h"
#include "loop/udp_io.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum { TRAINS = 16, PACKETS = 4096, TOP = 60000 };

/* a train that a link is to send */
struct load {
	uint32_t seg, len;
	uint8_t first; /* byte of each packet */
};

static struct {
	struct load load[TRAINS];
	unsigned loads, next;
	uint32_t number; /* of the next packet */
	size_t too_big;  /* what cv_node_too_big() was told; 0: nothing */
	unsigned seen[PACKETS];
	unsigned packets, disorder;
	uint32_t last;
	struct cv_addr from, to;
	bool echo, adopts;
	struct cv_link *adopted;
	struct cv_port *leaves; /* while the next packet is worked off */
} core;

/* what the system does to datagrams */
static struct {
	int error;      /* of sendmsg() of a train, or of any with @all */
	bool all;       /* ... and of sendmmsg() ... */
	int each;       /* ... with this instead, if not 0 */
	unsigned times; /* that it happens */
	bool few;       /* sendmmsg() takes three, and then EAGAIN */
	bool starved;
	bool no_gso, no_v6;
	unsigned trains, singles; /* calls that were made, and passed */
} sys;

static struct node a, b;
static struct cv_udp_io *io[2];
static struct cv_port *dialled, *listens;
static struct cv_link *way;

#define REAL(type, name, ...)                                                  \
	type __real_##name(__VA_ARGS__);                                       \
	type __wrap_##name(__VA_ARGS__);                                       \
	type __wrap_##name(__VA_ARGS__)

bool __wrap_cv_node_output_train(
	struct cv_node *, struct cv_link *, struct cv_train *, cv_time);
bool __wrap_cv_node_output_train(
	struct cv_node *n, struct cv_link *l, struct cv_train *t, cv_time now)
{
	(void)now;
	if (core.next == core.loads)
		return false;
	const struct load *w = &core.load[core.next++];
	*t = (struct cv_train){ .buf = cv_buf_large(&n->pool),
		.seg = w->seg,
		.to = l->remote,
		.from = l->local };
	assert_non_null(t->buf);
	for (uint32_t off = 0; off < w->len; off += w->seg) {
		uint8_t *p = cv_buf_end(t->buf);
		uint32_t left = w->len - off;
		p[0] = w->first;
		memcpy(p + 1, &core.number, 4);
		core.number++;
		t->buf->len += left < w->seg ? left : w->seg;
	}
	return true;
}

void __wrap_cv_node_too_big(
	struct cv_node *, struct cv_link *, size_t, cv_time);
void __wrap_cv_node_too_big(
	struct cv_node *n, struct cv_link *l, size_t size, cv_time now)
{
	(void)n;
	(void)now;
	assert_ptr_equal(l, way);
	core.too_big = size;
}

void __wrap_cv_node_moved(struct cv_node *, cv_time);
void __wrap_cv_node_moved(struct cv_node *n, cv_time now)
{
	(void)n;
	(void)now;
}

static void reply(struct cv_node *n, struct cv_link *l, const uint8_t *p)
{
	struct cv_buf *reply = cv_buf_small(&n->pool);
	assert_non_null(reply);
	memcpy(cv_buf_end(reply), p, 5);
	reply->len = 5;
	cv_bufq_push(&l->replies, reply);
}

int __wrap_cv_node_input(
	struct cv_node *, struct cv_link *, uint8_t *, size_t, cv_time);
int __wrap_cv_node_input(
	struct cv_node *n, struct cv_link *l, uint8_t *p, size_t len, cv_time t)
{
	uint32_t number;
	(void)t;
	assert_true(len >= 5);
	assert_true(l->ops->flags & CV_LINK_PORT);
	memcpy(&number, p + 1, 4);
	assert_true(number < PACKETS);
	core.seen[number]++;
	core.disorder += core.packets && number < core.last;
	core.last = number;
	core.packets++;
	core.from = l->remote;
	core.to = l->local;
	if (core.echo)
		reply(n, l, p);
	if (core.adopts && !core.adopted)
		core.adopted = l->ops->adopt(l);
	if (core.leaves)
		cv_port_unlisten(core.leaves);
	core.leaves = NULL;
	return 0;
}

static int refuse(int error)
{
	errno = error;
	return -1;
}

static bool cuts(const struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c;
		c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)m, c)) {
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_SEGMENT)
			return true;
	}
	return false;
}

REAL(ssize_t, sendmsg, int fd, const struct msghdr *m, int flags)
{
	if (rig_inside && sys.times && (sys.all || cuts(m))) {
		sys.times--;
		return refuse(sys.error);
	}
	sys.trains += cuts(m);
	return __real_sendmsg(fd, m, flags);
}

REAL(int, sendmmsg, int fd, struct mmsghdr *m, unsigned n, int flags)
{
	if (rig_inside && sys.times && sys.all) {
		sys.times--;
		return refuse(sys.each ? sys.each : sys.error);
	}
	if (rig_inside && sys.few) {
		sys.starved = !sys.starved;
		if (!sys.starved)
			return refuse(EAGAIN);
		n = n < 3 ? n : 3;
	}
	sys.singles += n;
	return __real_sendmmsg(fd, m, n, flags);
}

REAL(int, setsockopt, int fd, int level, int name, const void *value,
	socklen_t len)
{
	if (sys.no_gso && level == IPPROTO_UDP && name == UDP_SEGMENT)
		return refuse(ENOPROTOOPT);
	return __real_setsockopt(fd, level, name, value, len);
}

REAL(int, socket, int family, int type, int protocol)
{
	if (sys.no_v6 && family == AF_INET6)
		return refuse(EAFNOSUPPORT);
	return __real_socket(family, type, protocol);
}

static const struct cv_url plain = { 0 };

static struct cv_link *newest(struct node *n)
{
	return CV_CONTAINER(n->loop.node.links.prev, struct cv_link, all);
}

static struct cv_addr listen_at(struct cv_addr at)
{
	char why[CV_SOCK_WHY];
	listens = cv_port_listen(&b.loop, &at, &plain, why);
	assert_non_null(listens);
	return at;
}

static void dial(const struct cv_addr *to, unsigned n)
{
	char why[CV_SOCK_WHY];
	dialled = cv_port_new(&a.loop, &plain, why);
	assert_non_null(dialled);
	assert_int_equal(cv_port_dial(dialled, NULL, to, n), 0);
	way = newest(&a);
}

static void start(void)
{
	struct cv_addr at = listen_at(rig_port(SOCK_DGRAM, NULL));
	dial(&at, 1);
}

static int setup(void **state)
{
	(void)state;
	memset(&core, 0, sizeof core);
	memset(&sys, 0, sizeof sys);
	rig_begin();
	node_up(&a, 1);
	node_up(&b, 2);
	io[0] = cv_udp_io_new(&a.loop);
	io[1] = cv_udp_io_new(&b.loop);
	dialled = listens = NULL;
	way = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	memset(&sys, 0, sizeof sys);
	if (dialled)
		cv_port_leave(dialled);
	if (listens)
		cv_port_unlisten(listens);
	node_quiet(&a);
	node_quiet(&b);
	cv_udp_io_free(io[0]);
	cv_udp_io_free(io[1]);
	node_down(&a);
	node_down(&b);
	return rig_end();
}

static void load(uint32_t seg, uint32_t len, uint8_t first)
{
	assert_true(core.loads < TRAINS);
	core.load[core.loads++] = (struct load){ seg, len, first };
	cv_node_dirty(&a.loop.node, way);
}

/* every packet that was made came once, in order */
static void expect_all(void)
{
	RIG_WAIT(core.next == core.loads && core.packets == core.number);
	RIG_WHILE(core.packets == core.number, 0.01);
	for (uint32_t i = 0; i < core.number; i++)
		assert_int_equal(core.seen[i], 1);
	assert_int_equal(core.disorder, 0);
	assert_false(way->blocked);
}

static void test_trains(void **state)
{
	(void)state;
	start();
	load(1200, TOP, CV_PACKET_DATA);
	load(1200, 1200, CV_PACKET_DATA);
	load(1200, 1300, CV_PACKET_DATA);
	load(100, 6400, CV_PACKET_DATA);
	load(100, 10000, CV_PACKET_DATA); /* more than the kernel cuts */
	load(9000, TOP, CV_PACKET_DATA);
	expect_all();
	assert_int_equal(core.number, 50 + 1 + 2 + 64 + 100 + 7);
	assert_int_equal(sys.trains, 6);
	assert_true(cv_addr_equal(&core.to, &way->remote));
	char said[128];
	unsigned rx = 0, tx = 0;
	assert_true(way->ops->describe(way, said, sizeof said) > 0);
	assert_int_equal(sscanf(said, "%*[^0-9]%u%*[^0-9]%u", &rx, &tx), 2);
	assert_true(rx > 0 && tx > 0);
	assert_ptr_equal(cv_port_of(way), dialled);
	assert_string_equal(way->ops->name, "udp");
}

static void test_cutting_refused(void **state)
{
	static const int error[] = { EIO, EINVAL, EOPNOTSUPP };
	(void)state;
	for (size_t i = 0; i < CV_COUNT(error); i++) {
		if (i)
			setup(NULL);
		start();
		sys.error = error[i];
		sys.times = 1;
		load(1200, TOP, CV_PACKET_DATA);
		load(1200, 7000, CV_PACKET_DATA);
		expect_all();
		assert_int_equal(sys.trains, 0);
		assert_int_equal(sys.singles, 56);
		assert_true(node_said(&a, "does not segment"));
		if (i + 1 < CV_COUNT(error))
			assert_int_equal(teardown(NULL), 0);
	}
}

static void test_no_cutting(void **state)
{
	(void)state;
	sys.no_gso = true;
	start();
	load(1200, TOP, CV_PACKET_DATA);
	load(100, 6400 + 50, CV_PACKET_DATA);
	expect_all();
	assert_int_equal(sys.trains, 0);
	assert_int_equal(sys.singles, 50 + 64);
}

static void test_full_socket(void **state)
{
	(void)state;
	start();
	sys.error = EAGAIN;
	sys.times = 5;
	load(1200, TOP, CV_PACKET_DATA);
	load(1200, TOP, CV_PACKET_DATA);
	RIG_WAIT(sys.times < 5);
	expect_all();
	assert_int_equal(sys.times, 0);
	assert_int_equal(sys.trains, 2);
}

static void test_full_socket_in_a_train(void **state)
{
	(void)state;
	sys.no_gso = true;
	start();
	sys.few = true;
	load(1200, TOP, CV_PACKET_DATA);
	load(1200, TOP, CV_PACKET_DATA);
	expect_all();
}

static void test_closed_while_full(void **state)
{
	(void)state;
	start();
	sys.error = EAGAIN;
	sys.all = true;
	sys.times = 1;
	load(1200, TOP, CV_PACKET_DATA);
	rig_inside = true;
	way->ops->flush(way, cv_now());
	rig_inside = false;
	assert_true(way->blocked);
	way->ops->close(way, "enough");
	assert_int_equal(core.packets, 0);
}

static void test_interrupted(void **state)
{
	(void)state;
	start();
	sys.error = EINTR;
	sys.all = true;
	sys.times = 3;
	load(1200, TOP, CV_PACKET_DATA);
	expect_all();
	assert_int_equal(sys.times, 0);
}

static void test_too_big(void **state)
{
	(void)state;
	start();
	sys.error = EMSGSIZE;
	sys.all = true;
	sys.times = 1;
	load(1400, 1400, CV_PACKET_DATA);
	RIG_WAIT(core.too_big == 1400);
	sys.times = 1;
	load(1300, 13000, CV_PACKET_DATA);
	RIG_WAIT(core.too_big == 1300);
	assert_false(node_said(&a, "does not segment"));
	memset(core.seen, 0, sizeof core.seen);
	core.packets = core.number = 0;
	load(1200, TOP, CV_PACKET_DATA);
	expect_all();
	assert_int_equal(sys.trains, 1);
}

/* the kernel's word for packets that would not fit is the same as for a device
   that cannot cut */
static void test_too_big_to_cut(void **state)
{
	(void)state;
	start();
	sys.error = EINVAL;
	sys.each = EMSGSIZE;
	sys.times = 2;
	sys.all = true;
	load(1400, 14000, CV_PACKET_DATA);
	RIG_WAIT(core.too_big == 1400);
	assert_int_equal(sys.times, 0);
	assert_false(node_said(&a, "does not segment"));
	core.number = 0;
	load(1200, TOP, CV_PACKET_DATA);
	expect_all();
	assert_int_equal(sys.trains, 1);
}

static void test_unreachable(void **state)
{
	static const int error[] = { ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL,
		ECONNREFUSED };
	uint64_t *drop = a.loop.node.stats.drop;
	(void)state;
	start();
	for (size_t i = 0; i < CV_COUNT(error); i++) {
		sys.error = error[i];
		sys.all = true;
		sys.times = 1;
		load(1200, 12000, CV_PACKET_DATA);
		RIG_WAIT(drop[CV_DROP_UNREACHABLE] == 10 * (i + 1));
	}
	assert_true(node_said(&a, "cannot send"));
	sys.error = ENOBUFS;
	sys.times = 1;
	load(1200, 1000, CV_PACKET_DATA);
	RIG_WAIT(drop[CV_DROP_SOCKET_FULL] == 1);
	sys.error = EPERM;
	sys.times = 1;
	load(1200, 1000, CV_PACKET_DATA);
	RIG_WAIT(drop[CV_DROP_SOCKET] == 1);
	assert_int_equal(core.packets, 0);
	core.number = 0;
	load(1200, TOP, CV_PACKET_DATA);
	expect_all();
}

static void test_lost_source(void **state)
{
	static const struct cv_addr gone = { .family = CV_AF_INET,
		.ip = { 192, 0, 2, 1 } };
	(void)state;
	start();
	way->local = gone;
	load(1200, TOP, CV_PACKET_DATA);
	load(1200, 100, CV_PACKET_DATA);
	expect_all();
	assert_int_equal(core.from.ip[0], 127);
	assert_false(node_said(&a, "does not segment"));
}

/* a port on all addresses answers from the one that was asked */
static void test_answers(void **state)
{
	struct cv_addr any = { .family = CV_AF_INET }, at, from;
	struct sockaddr_storage ss;
	socklen_t len;
	uint8_t p[5] = { CV_PACKET_INIT };
	(void)state;
	any.port = rig_port(SOCK_DGRAM, &any).port;
	listen_at(any);
	core.echo = true;
	at = rig_address(7);
	at.port = any.port;
	int fd = cv_sock_new(&at, SOCK_DGRAM);
	len = cv_sock_addr(&at, &ss);
	assert_int_equal(sendto(fd, p, 5, 0, (struct sockaddr *)&ss, len), 5);
	RIG_WAIT(recvfrom(fd, p, 5, MSG_DONTWAIT, (struct sockaddr *)&ss,
			 &len) == 5);
	cv_sock_from(&ss, &from);
	assert_true(cv_addr_equal(&from, &at));
	assert_true(cv_addr_equal(&core.to, &at));
	assert_int_equal(p[0], CV_PACKET_INIT);
	/* a paused port hears nobody new */
	cv_port_pause(listens);
	len = cv_sock_addr(&at, &ss);
	sendto(fd, p, 5, 0, (struct sockaddr *)&ss, len);
	RIG_WHILE(core.packets == 1, 0.05);
	p[0] = CV_PACKET_DATA;
	sendto(fd, p, 5, 0, (struct sockaddr *)&ss, len);
	RIG_WAIT(core.packets == 2);
	close(fd);
}

static void test_adopts(void **state)
{
	(void)state;
	start();
	core.adopts = true;
	load(100, 100, CV_PACKET_INIT);
	RIG_WAIT(core.adopted);
	assert_ptr_equal(newest(&b), core.adopted);
	assert_ptr_equal(cv_port_of(core.adopted), listens);
	assert_non_null(core.adopted->port);
	assert_true(core.adopted->port->ops->flags & CV_LINK_PORT);
	assert_null(cv_port_of(core.adopted->port));
	assert_int_equal(core.adopted->mtu, 9216);
	assert_true(cv_addr_equal(&core.adopted->remote, &core.from));
	assert_true(cv_addr_equal(&core.adopted->local, &core.to));
	assert_false(core.adopted->dialled);
	core.adopted->ops->close(core.adopted, "enough");
	assert_true(node_said(&b, "enough"));
	assert_true(cv_list_empty(&b.loop.node.links));
	core.adopted = NULL;
	load(100, 100, CV_PACKET_INIT);
	RIG_WAIT(core.adopted);
	/* with its port goes every link */
	cv_port_unlisten(listens);
	listens = NULL;
	assert_true(cv_list_empty(&b.loop.node.links));
	/* and a dialler's port with its last */
	cv_port_leave(dialled);
	dialled = NULL;
	load(100, 100, CV_PACKET_INIT);
	RIG_WAIT(core.next == core.loads);
	way->ops->close(way, "enough");
}

/* the port goes while a packet of its own is worked off */
static void test_port_goes_while_it_reads(void **state)
{
	(void)state;
	start();
	core.adopts = true;
	core.leaves = listens;
	listens = NULL;
	load(100, 5000, CV_PACKET_INIT);
	RIG_WAIT(core.packets);
	RIG_WHILE(true, 0.01);
	assert_true(cv_list_empty(&b.loop.node.links));
}

static void test_several_addresses(void **state)
{
	struct cv_addr to[3];
	(void)state;
	for (uint8_t i = 0; i < 3; i++) {
		to[i] = rig_address((uint8_t)(20 + i));
		to[i].port = 9;
	}
	struct cv_addr at = rig_address(22);
	to[2] = listen_at(rig_port(SOCK_DGRAM, &at));
	dial(to, 3);
	for (unsigned i = 0; i < 7; i++) {
		load(100, 100, i % 2 ? CV_PACKET_PLAIN_INIT : CV_PACKET_INIT);
		RIG_WAIT(core.next == core.loads);
		assert_true(cv_addr_equal(&way->remote, &to[i % 3]));
		/* nothing else makes it look elsewhere */
		load(100, 100, CV_PACKET_DATA);
		RIG_WAIT(core.next == core.loads);
		assert_true(cv_addr_equal(&way->remote, &to[i % 3]));
	}
	RIG_WAIT(core.packets == 4);
	way->trusted = true;
	load(100, 100, CV_PACKET_INIT);
	RIG_WAIT(core.next == core.loads);
	assert_true(cv_addr_equal(&way->remote, &to[0]));
}

static void test_both_families(void **state)
{
	struct cv_addr to[2] = { { .family = CV_AF_INET6, .ip = { [15] = 1 } },
		rig_port(SOCK_DGRAM, NULL) };
	(void)state;
	to[0] = rig_port(SOCK_DGRAM, &to[0]);
	struct cv_port *four = (listen_at(to[1]), listens);
	listen_at(to[0]);
	dial(to, 2);
	load(1200, 1200, CV_PACKET_INIT);
	load(1200, TOP, CV_PACKET_DATA);
	RIG_WAIT(core.packets == 51);
	assert_int_equal(core.from.family, CV_AF_INET6);
	load(1200, 1200, CV_PACKET_INIT);
	load(1200, TOP, CV_PACKET_DATA);
	RIG_WAIT(core.packets == 102);
	assert_int_equal(core.from.family, CV_AF_INET);
	assert_int_equal(sys.trains, 2);
	cv_port_moved(dialled);
	assert_int_equal(way->mtu, 9216);
	cv_port_unlisten(four);
}

static void test_no_v6(void **state)
{
	(void)state;
	sys.no_v6 = true;
	start();
	load(1200, TOP, CV_PACKET_DATA);
	expect_all();
}

static void test_refused(void **state)
{
	char why[CV_SOCK_WHY] = "";
	struct cv_url u;
	const char *text = "udp://h:1?interface=nosuchthing";
	(void)state;
	struct cv_addr at = listen_at(rig_port(SOCK_DGRAM, NULL));
	assert_null(cv_port_listen(&b.loop, &at, &plain, why));
	assert_string_equal(why, "");
	assert_int_equal(errno, EADDRINUSE);
	assert_int_equal(cv_url_parse(&u, text, strlen(text), NULL), 0);
	assert_null(cv_port_new(&a.loop, &u, why));
	assert_non_null(strstr(why, "interface"));
	/* no reader: no port */
	struct cv_udp_io *is = a.loop.udp;
	a.loop.udp = NULL;
	assert_null(cv_port_new(&a.loop, &plain, why));
	assert_string_equal(why, "Cannot allocate memory");
	a.loop.udp = is;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_trains),
		TEST(test_cutting_refused),
		TEST(test_no_cutting),
		TEST(test_full_socket),
		TEST(test_full_socket_in_a_train),
		TEST(test_closed_while_full),
		TEST(test_interrupted),
		TEST(test_too_big),
		TEST(test_too_big_to_cut),
		TEST(test_unreachable),
		TEST(test_lost_source),
		TEST(test_answers),
		TEST(test_adopts),
		TEST(test_port_goes_while_it_reads),
		TEST(test_several_addresses),
		TEST(test_both_families),
		TEST(test_no_v6),
		TEST(test_refused),
	};
	(void)argc;
	rig_start(argv);
	cmocka_set_test_filter(getenv("RIG_ONLY"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
