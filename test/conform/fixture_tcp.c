/* SPDX-License-Identifier: MIT */
/**
 * fixture_tcp.c - two nodes joined by TCP through a relay
 *
 * DOC: The relay is the network: it listens where A dials, connects to where
 * B listens, and between the two passes bytes on, stops reading, swallows
 * everything, or cuts hard.  Its buffers are small, so that it pushes back
 * soon.  It tapes what A says on its first connection.
 */
#include "conform/link_suite.h"

#include "core/record.h"
#include "link/dial.h"
#include "link/link_tcp.h"
#include "loop/sock.h"

#include <errno.h>
#include <unistd.h>

enum { CONNS = 16, ROOM = 64 << 10, TAPE = 4096, TIGHT = 64 << 10 };

/* one direction of a connection */
struct way {
	ev_io rx, tx;
	uint8_t data[ROOM];
	size_t off, len;
	struct conn *conn;
};

struct conn {
	struct way way[2]; /* from A, from B */
	bool used;
};

static struct {
	struct cv_addr at, b;
	struct cv_tcp_listener *listener;
	ev_io io;
	struct conn conn[CONNS];
	enum net mode;
	unsigned attempts;
	bool taping;
	uint8_t tape[TAPE];
	size_t taped;
} net;

static void hard(int fd)
{
	struct linger now = { .l_onoff = 1 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static void cut(struct conn *c, bool reset)
{
	for (int i = 0; i < 2 && c->used; i++) {
		ev_io_stop(rig_driver(), &c->way[i].rx);
		ev_io_stop(rig_driver(), &c->way[i].tx);
		if (reset)
			hard(c->way[i].rx.fd);
		close(c->way[i].rx.fd);
	}
	c->used = false;
}

static void pass(struct way *w)
{
	ssize_t n = send(w->tx.fd, w->data + w->off, w->len - w->off,
		MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN) {
		cut(w->conn, false);
		return;
	}
	w->off += n > 0 ? (size_t)n : 0;
	if (w->off < w->len) {
		ev_io_stop(rig_driver(), &w->rx);
		ev_io_start(rig_driver(), &w->tx);
		return;
	}
	ev_io_stop(rig_driver(), &w->tx);
	if (net.mode != NET_STALLED)
		ev_io_start(rig_driver(), &w->rx);
}

static void on_bytes(struct ev_loop *ev, ev_io *io, int events)
{
	struct way *w = io->data;
	(void)ev;
	(void)events;
	ssize_t n = recv(io->fd, w->data, net.mode == NET_SLOW ? 1 : ROOM, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		cut(w->conn, false);
		return;
	}
	if (net.mode == NET_SILENT)
		return;
	if (net.taping && w == w->conn->way && net.taped + (size_t)n <= TAPE) {
		memcpy(net.tape + net.taped, w->data, (size_t)n);
		net.taped += (size_t)n;
	}
	w->off = 0;
	w->len = (size_t)n;
	pass(w);
}

static void on_room(struct ev_loop *ev, ev_io *io, int events)
{
	(void)ev;
	(void)events;
	pass(io->data);
}

static int to_b(void)
{
	struct sockaddr_storage ss;
	socklen_t len = cv_sock_addr(&net.b, &ss);
	int fd = cv_sock_new(&net.b, SOCK_STREAM);
	assert_true(fd >= 0);
	cv_sock_int(fd, SOL_SOCKET, SO_SNDBUF, TIGHT);
	if (connect(fd, (struct sockaddr *)&ss, len) && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

static void join(struct conn *c, int a, int b)
{
	int fd[2] = { a, b };
	c->used = true;
	for (int i = 0; i < 2; i++) {
		struct way *w = &c->way[i];
		ev_io_init(&w->rx, on_bytes, fd[i], EV_READ);
		ev_io_init(&w->tx, on_room, fd[!i], EV_WRITE);
		w->rx.data = w->tx.data = w;
		w->conn = c;
		w->off = w->len = 0;
		if (net.mode != NET_STALLED)
			ev_io_start(rig_driver(), &w->rx);
	}
}

static void on_caller(struct ev_loop *ev, ev_io *io, int events)
{
	(void)ev;
	(void)events;
	int a = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (a < 0)
		return;
	net.attempts++;
	int b = to_b();
	for (struct conn *c = net.conn; c < net.conn + CONNS && b >= 0; c++) {
		if (c->used)
			continue;
		join(c, a, b);
		return;
	}
	hard(a);
	close(a);
	if (b >= 0)
		close(b);
}

static void vacant(bool is)
{
	struct sockaddr_storage ss;
	socklen_t len = cv_sock_addr(&net.at, &ss);
	if (ev_is_active(&net.io) == !is)
		return;
	if (is) {
		ev_io_stop(rig_driver(), &net.io);
		close(net.io.fd);
		return;
	}
	int fd = cv_sock_new(&net.at, SOCK_STREAM);
	cv_sock_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	cv_sock_int(fd, SOL_SOCKET, SO_RCVBUF, TIGHT);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(fd, 16), 0);
	ev_io_init(&net.io, on_caller, fd, EV_READ);
	ev_io_start(rig_driver(), &net.io);
}

static void listen_b(struct node *b)
{
	const struct cv_url plain = { 0 };
	char why[CV_SOCK_WHY];
	net.listener = cv_tcp_listen(&b->loop, &net.b, &plain, why);
	assert_non_null(net.listener);
}

static void unlisten(void)
{
	if (net.listener)
		cv_tcp_unlisten(net.listener);
	net.listener = NULL;
}

static void open_net(struct node *b)
{
	memset(&net, 0, sizeof net);
	net.at = rig_port(SOCK_STREAM, NULL);
	struct cv_addr other = rig_address(2);
	net.b = rig_port(SOCK_STREAM, &other);
	net.taping = true;
	vacant(false);
	listen_b(b);
}

static void close_net(void)
{
	unlisten();
	for (int i = 0; i < CONNS; i++)
		cut(&net.conn[i], false);
	vacant(true);
}

static void dial(struct node *n, struct cv_session *s, const char *host)
{
	struct cv_url u;
	char at[CV_ADDRTEXT], text[CV_URL_TEXT];
	if (host)
		snprintf(at, sizeof at, "%s:%u", host, net.at.port);
	else
		cv_addr_format(&net.at, at);
	snprintf(text, sizeof text, "tcp://%s", at);
	assert_int_equal(cv_url_parse(&u, text, strlen(text), NULL), 0);
	assert_non_null(cv_dialer_new(&n->loop, s, &u));
}

static void undial(struct cv_session *s)
{
	if (s->dialer)
		cv_dialer_free(s->dialer);
	s->dialer = NULL;
	s->dials = false;
}

static void kick(struct cv_session *s)
{
	cv_dialer_kick(s->dialer);
}

static void set_net(enum net mode)
{
	net.mode = mode;
	for (int i = 0; i < 2 * CONNS; i++) {
		struct conn *c = &net.conn[i / 2];
		struct way *w = &c->way[i % 2];
		if (!c->used || ev_is_active(&w->tx))
			continue;
		if (mode == NET_STALLED)
			ev_io_stop(rig_driver(), &w->rx);
		else
			ev_io_start(rig_driver(), &w->rx);
	}
}

static void reset(void)
{
	for (int i = 0; i < CONNS; i++)
		cut(&net.conn[i], true);
	net.taping = false;
}

static unsigned attempts(void)
{
	return net.attempts;
}

static int stranger(void)
{
	int fd = to_b();
	assert_true(fd >= 0);
	return fd;
}

static size_t frame(uint8_t *out, const uint8_t *packet, size_t len)
{
	out[0] = (uint8_t)(len >> 16);
	cv_put16(out + 1, (uint16_t)len);
	memcpy(out + CV_RECORD_HEAD, packet, len);
	return len + CV_RECORD_HEAD;
}

static size_t taped(const uint8_t **tape)
{
	*tape = net.tape;
	return net.taped;
}

const struct link_fixture link_tcp_fixture = {
	.name = "tcp",
	.flags = LINK_RELIABLE | LINK_ORDERED | LINK_STREAM | LINK_NAMES |
		 LINK_ENDS | LINK_WHOLE,
	.open = open_net,
	.close = close_net,
	.listen = listen_b,
	.unlisten = unlisten,
	.dial = dial,
	.undial = undial,
	.kick = kick,
	.net = set_net,
	.reset = reset,
	.vacant = vacant,
	.attempts = attempts,
	.stranger = stranger,
	.frame = frame,
	.taped = taped,
};
