/* SPDX-License-Identifier: MIT */
/**
 * fixture_dgram.c - two nodes joined by UDP through a relay
 *
 * DOC: The relay is a network with a NAT: it is where A dials, and whoever
 * calls has a port of its own there, from which B is sent to.  A reset is what
 * NATs do to those who are quiet: the port is another from then on.
 */
#include "conform/link_suite.h"

#include "link/dial.h"
#include "link/link_udp.h"
#include "loop/udp_io.h"

#include <netinet/in.h>
#include <unistd.h>

enum { CALLERS = 8, NODES = 3, ROOM = 65536 };

/* whom the relay knows */
struct caller {
	ev_io io; /* to B; fd -1: nobody */
	struct sockaddr_storage from;
};

static struct {
	struct cv_addr at, b;
	struct cv_port *port;
	struct node *node[NODES];
	struct cv_udp_io *udp[NODES];
	unsigned nodes;
	ev_io io;
	struct caller caller[CALLERS];
	enum net mode;
	unsigned attempts;
} dgram;

static socklen_t size_of(const struct sockaddr_storage *ss)
{
	return ss->ss_family == AF_INET ? sizeof(struct sockaddr_in)
					: sizeof(struct sockaddr_in6);
}

static void forget(struct caller *c)
{
	if (c->io.fd < 0)
		return;
	ev_io_stop(rig_driver(), &c->io);
	close(c->io.fd);
	c->io.fd = -1;
}

static void on_answer(struct ev_loop *ev, ev_io *w, int events)
{
	static uint8_t p[ROOM];
	struct caller *c = w->data;
	ssize_t n;
	(void)ev;
	(void)events;
	while ((n = recv(w->fd, p, sizeof p, MSG_DONTWAIT)) >= 0) {
		if (dgram.mode != NET_SILENT)
			sendto(dgram.io.fd, p, (size_t)n, 0,
				(struct sockaddr *)&c->from, size_of(&c->from));
	}
}

static void meet(struct caller *c, const struct sockaddr_storage *from)
{
	struct sockaddr_storage ss;
	socklen_t len = cv_sock_addr(&dgram.b, &ss);
	int fd = cv_sock_new(&dgram.b, SOCK_DGRAM);
	assert_true(fd >= 0);
	cv_sock_buffer(fd, true, CV_PORT_BUFFER);
	assert_int_equal(connect(fd, (struct sockaddr *)&ss, len), 0);
	c->from = *from;
	ev_io_init(&c->io, on_answer, fd, EV_READ);
	c->io.data = c;
	ev_io_start(rig_driver(), &c->io);
}

static struct caller *caller_of(const struct sockaddr_storage *from)
{
	struct caller *c, *end = dgram.caller + CALLERS;
	for (c = dgram.caller; c < end; c++) {
		if (c->io.fd >= 0 && !memcmp(&c->from, from, size_of(from)))
			return c;
	}
	for (c = dgram.caller; c < end && c->io.fd >= 0; c++)
		;
	assert_true(c < end);
	meet(c, from);
	return c;
}

static void on_caller(struct ev_loop *ev, ev_io *w, int events)
{
	static uint8_t p[ROOM];
	struct sockaddr_storage from = { 0 };
	socklen_t len = sizeof from;
	ssize_t n;
	(void)ev;
	(void)events;
	while ((n = recvfrom(w->fd, p, sizeof p, MSG_DONTWAIT,
			(struct sockaddr *)&from, &len)) > 0) {
		dgram.attempts +=
			*p == CV_PACKET_INIT || *p == CV_PACKET_PLAIN_INIT;
		if (dgram.mode != NET_SILENT)
			send(caller_of(&from)->io.fd, p, (size_t)n, 0);
	}
}

static void ready(struct node *n)
{
	if (n->loop.udp)
		return;
	dgram.udp[dgram.nodes] = cv_udp_io_new(&n->loop);
	assert_non_null(n->loop.udp);
	dgram.node[dgram.nodes++] = n;
}

static void listen_b(struct node *b)
{
	const struct cv_url plain = { 0 };
	char why[CV_SOCK_WHY];
	ready(b);
	dgram.port = cv_port_listen(&b->loop, &dgram.b, &plain, why);
	assert_non_null(dgram.port);
}

static void unlisten(void)
{
	if (dgram.port)
		cv_port_unlisten(dgram.port);
	dgram.port = NULL;
}

static void open_net(struct node *b)
{
	struct sockaddr_storage ss;
	memset(&dgram, 0, sizeof dgram);
	for (int i = 0; i < CALLERS; i++)
		dgram.caller[i].io.fd = -1;
	dgram.at = rig_port(SOCK_DGRAM, NULL);
	struct cv_addr other = rig_address(2);
	dgram.b = rig_port(SOCK_DGRAM, &other);
	socklen_t len = cv_sock_addr(&dgram.at, &ss);
	int fd = cv_sock_new(&dgram.at, SOCK_DGRAM);
	cv_sock_buffer(fd, true, CV_PORT_BUFFER);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	ev_io_init(&dgram.io, on_caller, fd, EV_READ);
	ev_io_start(rig_driver(), &dgram.io);
	listen_b(b);
}

static void reset(void)
{
	for (int i = 0; i < CALLERS; i++)
		forget(&dgram.caller[i]);
}

static void close_net(void)
{
	unlisten();
	for (unsigned i = 0; i < dgram.nodes; i++) {
		node_quiet(dgram.node[i]);
		cv_udp_io_free(dgram.udp[i]);
	}
	reset();
	ev_io_stop(rig_driver(), &dgram.io);
	close(dgram.io.fd);
}

static void dial(struct node *n, struct cv_session *s, const char *host)
{
	struct cv_url u;
	char at[CV_ADDRTEXT], text[CV_URL_TEXT];
	ready(n);
	if (host)
		snprintf(at, sizeof at, "%s:%u", host, dgram.at.port);
	else
		cv_addr_format(&dgram.at, at);
	snprintf(text, sizeof text, "udp://%s", at);
	assert_int_equal(cv_url_parse(&u, text, strlen(text), NULL), 0);
	assert_non_null(cv_dialer_new(&n->loop, s, &u));
}

static void undial(struct cv_session *s)
{
	if (s && s->dialer)
		cv_dialer_free(s->dialer);
	if (s)
		s->dialer = NULL, s->dials = false;
}

static void kick(struct cv_session *s)
{
	cv_dialer_kick(s->dialer);
}

static void set_net(enum net mode)
{
	dgram.mode = mode;
}

static unsigned attempts(void)
{
	return dgram.attempts;
}

const struct link_fixture link_udp_fixture = {
	.name = "udp",
	.flags = LINK_NAMES,
	.open = open_net,
	.close = close_net,
	.listen = listen_b,
	.unlisten = unlisten,
	.dial = dial,
	.undial = undial,
	.kick = kick,
	.net = set_net,
	.reset = reset,
	.attempts = attempts,
};
