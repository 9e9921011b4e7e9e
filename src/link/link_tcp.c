/* SPDX-License-Identifier: MIT */
/**
 * link_tcp.c - one TCP connection is one link
 *
 * DOC: Out: packets are pulled only while the socket takes them, and pulled
 * in small helpings behind a slow path, because what is sealed can no longer
 * be dropped for its age.  TCP_NOTSENT_LOWAT keeps the kernel from hoarding.
 * In: bytes are read into the loop's one area and opened in place; a record
 * cut by the end of a read is kept aside until its rest comes.
 */
#include "link/link_tcp.h"

#include "core/record.h"
#include "loop/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	NOTSENT_LOWAT = 16 << 10,
	HELPING_MIN = 16 << 10, /* pulled at once behind a slow path */
	USER_TIMEOUT_MS = 15000,
	ACCEPTS = 32, /* per readiness */
};

struct tcp {
	struct cv_link link;
	struct cv_loop *loop;
	ev_io rx, tx;
	ev_timer first; /* a stranger's time to say something */
	struct cv_bufq out;
	size_t helping;
	struct cv_bufq rest; /* read, and to be worked off with the next turn */
	ev_timer more;       /* ... which comes even if nothing more arrives */
	bool reading, dead;  /* closed by the node while it reads */
	bool lean;           /* the kernel is to hoard nothing */
	bool time_up;        /* the turn ended before what was read did */
	int broken;          /* error of a write, until the loop turns */
	struct cv_tcp_listener *listener;
	struct cv_list stranger; /* of its listener, until it is trusted */
};

struct cv_tcp_listener {
	struct cv_loop *loop;
	ev_io io;
	ev_timer pause; /* out of descriptors: wait before accepting again */
	struct cv_list strangers; /* longest here first */
	unsigned count;           /* of these */
};

static void no_stranger(struct tcp *t)
{
	ev_timer_stop(t->loop->ev, &t->first);
	if (!cv_list_empty(&t->stranger))
		t->listener->count--;
	cv_list_del(&t->stranger);
}

static void destroy(struct tcp *t)
{
	struct ev_loop *ev = t->loop->ev;
	ev_io_stop(ev, &t->rx);
	ev_io_stop(ev, &t->tx);
	no_stranger(t);
	close(t->rx.fd);
	for (struct cv_buf *b; (b = cv_bufq_pop(&t->out));) {
		t->loop->node.stats.drop[CV_DROP_LINK_LOST] += b->dgrams;
		cv_buf_free(&t->loop->node.pool, b);
	}
	ev_timer_stop(ev, &t->more);
	cv_bufq_clear(&t->rest, &t->loop->node.pool);
	free(t);
}

static void log_down(struct tcp *t, const char *why)
{
	char at[CV_ADDRTEXT];
	struct cv_session *s = t->link.session;
	cv_log(&t->loop->node, CULVERT_INFO,
		"msg=\"link down\" link=tcp://%s peer=%s reason=\"%s\"",
		cv_addr_format(&t->link.remote, at),
		s && *s->name ? s->name : "-", why);
}

/* a server that does not know us says so by hanging up */
static const char *hung_up(const struct tcp *t)
{
	if (t->link.dialled && !t->link.trusted)
		return "closed during the handshake: wrong --peer, our key is "
		       "unknown there, or only one end uses --plain";
	return "closed by the other end";
}

static void die(struct tcp *t, const char *why)
{
	log_down(t, why);
	cv_node_link_down(&t->loop->node, &t->link, cv_now());
	destroy(t);
}

/* bytes written off the front of the queue */
static void written(struct tcp *t, size_t n)
{
	while (n) {
		struct cv_buf *b = t->out.head;
		size_t left = b->len - b->sent;
		if (n < left) {
			b->sent += (uint32_t)n;
			return;
		}
		n -= left;
		cv_buf_free(&t->loop->node.pool, cv_bufq_pop(&t->out));
	}
}

/* 1: all written, 0: the socket is full, -1: it is broken */
static int write_out(struct tcp *t)
{
	while (t->out.head) {
		struct iovec iov[CV_OUT_BUFS];
		struct msghdr msg = { .msg_iov = iov };
		size_t total = 0;
		for (struct cv_buf *b = t->out.head;
			b && msg.msg_iovlen < CV_COUNT(iov); b = b->next) {
			iov[msg.msg_iovlen++] =
				(struct iovec){ cv_buf_data(b) + b->sent,
					b->len - b->sent };
			total += b->len - b->sent;
		}
		ssize_t n = sendmsg(t->rx.fd, &msg, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		written(t, (size_t)n);
		if ((size_t)n < total)
			return 0;
	}
	return 1;
}

static void pull(struct tcp *t, cv_time now)
{
	struct cv_bufq got = { 0 };
	cv_node_output(&t->loop->node, &t->link, &got, t->helping, now);
	for (struct cv_buf *b; (b = cv_bufq_pop(&got));) {
		cv_record_wrap(b);
		cv_bufq_push(&t->out, b);
	}
}

static void flush(struct cv_link *link, cv_time now)
{
	struct tcp *t = CV_CONTAINER(link, struct tcp, link);
	int r = 1;
	while (r > 0) {
		if (!t->out.head)
			pull(t, now);
		if (!t->out.head)
			return;
		r = write_out(t);
		if (r > 0 && t->helping < CV_OUT_BYTES)
			t->helping *= 2;
	}
	t->helping = HELPING_MIN;
	link->blocked = true;
	ev_io_start(t->loop->ev, &t->tx);
	if (r < 0) { /* not from within a call of the node's */
		t->broken = errno;
		ev_feed_event(t->loop->ev, &t->tx, EV_WRITE);
	}
}

static void on_writable(struct ev_loop *ev, ev_io *w, int events)
{
	struct tcp *t = w->data;
	(void)events;
	int r = t->broken ? -1 : write_out(t);
	if (r < 0)
		die(t, strerror(t->broken ? t->broken : errno));
	if (r <= 0)
		return;
	ev_io_stop(ev, w);
	cv_node_writable(&t->loop->node, &t->link);
}

/* why a connection ends with its first packet, for who has to mend it */
static const char *why_dropped(const struct tcp *t, enum cv_drop drop)
{
	if (drop == CV_DROP_PLAIN)
		return "one end uses --plain and the other does not";
	if (drop == CV_DROP_FORGED && t->link.dialled)
		return "the peer's answer does not verify: --psk differs";
	return cv_drop_name(drop);
}

/* packets of one read; 0, or why the stream is lost */
static const char *records(struct tcp *t, uint8_t **p, uint8_t *end)
{
	struct cv_node *node = &t->loop->node;
	uint32_t len;
	uint8_t *packet;
	uint32_t max = t->link.trusted || t->link.dialled ? CV_PACKET_MAX
							  : CV_STRANGER_RECORD;
	cv_time now = cv_now(), until = now + CV_TURN;
	len = 0;
	t->time_up = false;
	while (!t->dead && !t->time_up &&
		(packet = cv_record_next(p, end, max, &len))) {
		int drop = cv_node_input(node, &t->link, packet, len, now);
		now = cv_now();
		t->time_up = now >= until;
		if (t->link.trusted)
			max = CV_PACKET_MAX;
		/* a cookie is an answer: the next initiation comes here */
		if (t->dead || !drop || t->link.trusted ||
			drop == CV_DROP_UNDER_LOAD)
			continue;
		return why_dropped(t, (enum cv_drop)drop);
	}
	if (!t->dead && len == UINT32_MAX) {
		node->stats.drop[CV_DROP_MALFORMED]++;
		return "this is not culvert's protocol";
	}
	return NULL;
}

/* bytes kept from the last turn go to the front of the area; how many */
static size_t put_rest(struct tcp *t)
{
	size_t n = 0;
	for (struct cv_buf *b; (b = cv_bufq_pop(&t->rest));) {
		memcpy(t->loop->area + n, b->data, b->len);
		n += b->len;
		cv_buf_free(&t->loop->node.pool, b);
	}
	return n;
}

/* a stranger gets a small buffer: its first packet is a small one */
static bool keep_rest(struct tcp *t, const uint8_t *p, size_t n)
{
	struct cv_pool *pool = &t->loop->node.pool;
	while (n) {
		bool small = n <= CV_HEADROOM + CV_SMALL + CV_TAILROOM;
		struct cv_buf *b =
			small ? cv_buf_small(pool) : cv_buf_large(pool);
		if (!b)
			return false;
		b->len = (uint32_t)(n < b->cap ? n : b->cap);
		memcpy(b->data, p, b->len);
		cv_bufq_push(&t->rest, b);
		p += b->len;
		n -= b->len;
	}
	return true;
}

/*
 * Work off what lies in the area.  One link gets CV_TURN of a turn of the
 * loop; what is left then waits, and so does its socket.
 */
static void work(struct tcp *t, uint8_t *end)
{
	uint8_t *p = t->loop->area;
	t->reading = true;
	const char *why = records(t, &p, end);
	cv_node_input_done(&t->loop->node);
	t->reading = false;
	if (t->dead) {
		destroy(t);
		return;
	}
	if (t->link.trusted)
		no_stranger(t);
	if (!why && !keep_rest(t, p, (size_t)(end - p)))
		why = "out of memory";
	if (why) {
		die(t, why);
		return;
	}
	if (t->time_up && p < end) {
		ev_io_stop(t->loop->ev, &t->rx);
		ev_timer_set(&t->more, 0., 0.);
		ev_timer_start(t->loop->ev, &t->more);
	} else if (!ev_is_active(&t->rx)) {
		ev_io_start(t->loop->ev, &t->rx);
	}
}

static void on_more(struct ev_loop *ev, ev_timer *w, int events)
{
	struct tcp *t = w->data;
	(void)ev;
	(void)events;
	work(t, t->loop->area + put_rest(t));
}

static void on_readable(struct ev_loop *ev, ev_io *w, int events)
{
	struct tcp *t = w->data;
	/* less than a record, or the turn would have gone on */
	uint8_t *p = t->loop->area + t->rest.bytes;
	(void)ev;
	(void)events;
	ssize_t n = recv(w->fd, p, CV_RX_AREA, 0);
	if (n > 0) {
		put_rest(t);
		work(t, p + n);
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	int e = n < 0 ? errno : t->broken;
	die(t, e ? strerror(e) : hung_up(t));
}

static void on_silent(struct ev_loop *ev, ev_timer *w, int events)
{
	(void)ev;
	(void)events;
	struct tcp *t = w->data;
	t->loop->node.stats.drop[CV_DROP_STRANGER]++;
	die(t, "a stranger that said nothing");
}

static void close_link(struct cv_link *link, const char *why)
{
	struct tcp *t = CV_CONTAINER(link, struct tcp, link);
	log_down(t, why);
	cv_node_link_down(&t->loop->node, link, cv_now());
	if (t->reading)
		t->dead = true;
	else
		destroy(t);
}

/*
 * Between the first sign of a loss and its repair nothing that arrives behind
 * it is delivered.  With a choice of links the kernel hoards nothing: what has
 * not left yet may still go another way.
 */
static void gauge(struct cv_link *link, struct cv_gauge *g)
{
	struct tcp *t = CV_CONTAINER(link, struct tcp, link);
	struct tcp_info i = { 0 };
	socklen_t len = sizeof i;
	if (!t->lean)
		cv_sock_int(t->rx.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 1);
	t->lean = true;
	if (getsockopt(t->rx.fd, IPPROTO_TCP, TCP_INFO, &i, &len))
		return;
	g->rtt = i.tcpi_rtt;
	g->mending = i.tcpi_sacked || i.tcpi_ca_state >= TCP_CA_Recovery;
}

static const struct cv_link_ops ops = {
	.name = "tcp",
	.flags = CV_LINK_RELIABLE,
	.flush = flush,
	.close = close_link,
	.gauge = gauge,
};

static void tune(int fd)
{
	cv_sock_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	cv_sock_int(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT);
	cv_sock_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS);
	cv_sock_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	cv_sock_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 15);
	cv_sock_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
	cv_sock_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

static struct tcp *adopt(struct cv_loop *l, int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	struct tcp *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	t->loop = l;
	t->helping = HELPING_MIN;
	t->link.ops = &ops;
	cv_list_init(&t->stranger);
	tune(fd);
	if (!getpeername(fd, (struct sockaddr *)&ss, &len))
		cv_sock_from(&ss, &t->link.remote);
	len = sizeof ss;
	if (!getsockname(fd, (struct sockaddr *)&ss, &len))
		cv_sock_from(&ss, &t->link.local);
	ev_io_init(&t->rx, on_readable, fd, EV_READ);
	ev_io_init(&t->tx, on_writable, fd, EV_WRITE);
	ev_timer_init(&t->first, on_silent, CV_FIRST_PACKET / 1e6, 0.);
	ev_timer_init(&t->more, on_more, 0., 0.);
	t->rx.data = t->tx.data = t->first.data = t->more.data = t;
	ev_io_start(l->ev, &t->rx);
	return t;
}

int cv_tcp_adopt(
	struct cv_loop *l, int fd, struct cv_session *s, unsigned number)
{
	struct tcp *t = adopt(l, fd);
	if (!t)
		return CULVERT_ENOMEM;
	t->link.number = number;
	cv_node_link_up(&l->node, &t->link, s, cv_now());
	return 0;
}

static void on_pause_over(struct ev_loop *ev, ev_timer *w, int events)
{
	struct cv_tcp_listener *l = w->data;
	(void)events;
	ev_io_start(ev, &l->io);
}

/* too many strangers: the one that has had most time goes, its neighbours
   before others */
static void make_room(struct cv_tcp_listener *l, const struct cv_addr *from)
{
	struct tcp *oldest = NULL;
	unsigned same = 0;
	for (struct cv_list *e = l->strangers.prev; e != &l->strangers;
		e = e->prev) {
		struct tcp *t = CV_CONTAINER(e, struct tcp, stranger);
		if (!cv_addr_same_ip(&t->link.remote, from))
			continue;
		same++;
		oldest = t;
	}
	if (same < CV_LINKS_SOURCE && l->count < CV_LINKS_STRANGER)
		return;
	if (same < CV_LINKS_SOURCE)
		oldest = CV_CONTAINER(l->strangers.next, struct tcp, stranger);
	l->loop->node.stats.drop[CV_DROP_STRANGER]++;
	die(oldest, "too many strangers");
}

static void accepted(struct cv_tcp_listener *l, int fd)
{
	struct tcp *t = adopt(l->loop, fd);
	if (!t) {
		l->loop->node.stats.drop[CV_DROP_NO_BUFFER]++;
		close(fd);
		return;
	}
	make_room(l, &t->link.remote);
	t->listener = l;
	l->count++;
	cv_list_append(&l->strangers, &t->stranger);
	cv_node_link_up(&l->loop->node, &t->link, NULL, cv_now());
	ev_timer_start(l->loop->ev, &t->first);
}

static void on_accept(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_tcp_listener *l = w->data;
	(void)events;
	for (int i = 0; i < ACCEPTS; i++) {
		int fd = accept4(
			w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			accepted(l, fd);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno != EMFILE && errno != ENFILE && errno != ENOMEM &&
			errno != ENOBUFS)
			continue;
		cv_log(&l->loop->node, CULVERT_WARN,
			"msg=\"accept paused for 100 ms\" error=\"%s\"",
			strerror(errno));
		ev_io_stop(ev, w);
		ev_timer_set(&l->pause, 0.1, 0.);
		ev_timer_start(ev, &l->pause);
		return;
	}
}

struct cv_tcp_listener *cv_tcp_listen(struct cv_loop *loop,
	const struct cv_addr *addr, const struct cv_url *url,
	char why[CV_SOCK_WHY])
{
	int fd = cv_sock_listen(loop, addr, url, why);
	if (fd < 0)
		return NULL;
	struct cv_tcp_listener *l = calloc(1, sizeof *l);
	if (!l) {
		close(fd);
		*why = '\0';
		errno = ENOMEM;
		return NULL;
	}
	l->loop = loop;
	cv_list_init(&l->strangers);
	ev_io_init(&l->io, on_accept, fd, EV_READ);
	ev_timer_init(&l->pause, on_pause_over, 0.1, 0.);
	l->io.data = l->pause.data = l;
	ev_io_start(loop->ev, &l->io);
	return l;
}

void cv_tcp_unlisten(struct cv_tcp_listener *l)
{
	/* strangers live on until their time is over or the node's is */
	while (!cv_list_empty(&l->strangers))
		cv_list_del(l->strangers.next);
	ev_io_stop(l->loop->ev, &l->io);
	ev_timer_stop(l->loop->ev, &l->pause);
	close(l->io.fd);
	free(l);
}
