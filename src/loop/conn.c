/* SPDX-License-Identifier: MIT */
#include "loop/conn.h"

#include "loop/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	NOTSENT_LOWAT = 16 << 10,
	HELPING_MIN = 16 << 10, /* written at once behind a slow path */
	USER_TIMEOUT_MS = 15000,
	LITTLE = 2048, /* of a read: a datagram as most networks carry it */
};

/* 1: the helping was written, 0: the socket is full, -1: it is broken */
static int write_some(struct cv_conn *s)
{
	struct iovec iov[CV_OUT_BUFS];
	struct msghdr msg = { .msg_iov = iov };
	size_t total = 0;
	for (struct cv_buf *b = s->out.head;
		b && total < s->helping && msg.msg_iovlen < CV_COUNT(iov);
		b = b->next) {
		iov[msg.msg_iovlen++] =
			(struct iovec){ cv_buf_data(b) + b->sent,
				b->len - b->sent };
		total += b->len - b->sent;
	}
	ssize_t n = sendmsg(s->rx.fd, &msg, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	cv_bufq_sent(&s->out, &s->loop->node.pool, (size_t)n);
	return (size_t)n == total;
}

/* write until the queue is empty (1), the socket full (0) or broken (-1) */
static int pump(struct cv_conn *s, cv_time now)
{
	int r = 1;
	while (r > 0) {
		s->ops->fill(s, s->helping, now);
		if (!s->out.head)
			return 1;
		r = write_some(s);
		if (r > 0 && s->helping < CV_OUT_BYTES)
			s->helping *= 2;
	}
	s->helping = HELPING_MIN;
	return r;
}

void cv_conn_flush(struct cv_conn *s, cv_time now)
{
	int r = pump(s, now);
	if (r > 0)
		return;
	s->blocked = true;
	ev_io_start(s->loop->ev, &s->tx);
	if (r < 0) { /* its owner may not be told from within a flush */
		s->broken = errno;
		ev_feed_event(s->loop->ev, &s->tx, EV_WRITE);
	}
}

static void on_writable(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_conn *s = w->data;
	(void)events;
	int r = s->broken ? -1 : pump(s, cv_now());
	if (r < 0)
		s->ops->ended(s, strerror(s->broken ? s->broken : errno));
	if (r <= 0)
		return;
	ev_io_stop(ev, w);
	s->blocked = false;
	s->ops->writable(s);
}

bool cv_conn_time_up(struct cv_conn *s, cv_time now)
{
	s->time_up = now >= s->until;
	return s->time_up;
}

/* bytes kept from the last turn go to the front of the area; how many */
static size_t put_rest(struct cv_conn *s)
{
	size_t n = 0;
	for (struct cv_buf *b; (b = cv_bufq_pop(&s->rest));) {
		memcpy(s->loop->area + n, b->data, b->len);
		n += b->len;
		cv_buf_free(&s->loop->node.pool, b);
	}
	return n;
}

/* what is little goes into small buffers: strangers are many */
static bool keep_rest(struct cv_conn *s, const uint8_t *p, size_t n)
{
	struct cv_pool *pool = &s->loop->node.pool;
	bool small = n <= LITTLE;
	while (n) {
		struct cv_buf *b =
			small ? cv_buf_small(pool) : cv_buf_large(pool);
		if (!b)
			return false;
		b->len = (uint32_t)(n < b->cap ? n : b->cap);
		memcpy(b->data, p, b->len);
		cv_bufq_push(&s->rest, b);
		p += b->len;
		n -= b->len;
	}
	return true;
}

/*
 * Work off what lies in the area.  One stream gets CV_TURN of a turn of the
 * loop; what is left then waits, and so does its socket.
 */
static void work(struct cv_conn *s, uint8_t *end)
{
	uint8_t *p = s->loop->area;
	s->reading = true;
	s->time_up = false;
	s->until = cv_now() + CV_TURN;
	const char *why = s->ops->input(s, &p, end);
	cv_node_input_done(&s->loop->node);
	s->reading = false;
	if (s->closed) {
		cv_conn_close(s);
		return;
	}
	if (s->ops->worked)
		s->ops->worked(s);
	if (!why && !keep_rest(s, p, (size_t)(end - p)))
		why = "out of memory";
	if (why) {
		s->ops->ended(s, why);
		return;
	}
	if (s->time_up && p < end) {
		ev_io_stop(s->loop->ev, &s->rx);
		ev_timer_set(&s->more, 0., 0.);
		ev_timer_start(s->loop->ev, &s->more);
	} else if (!ev_is_active(&s->rx)) {
		ev_io_start(s->loop->ev, &s->rx);
	}
}

static void on_more(struct ev_loop *ev, ev_timer *w, int events)
{
	struct cv_conn *s = w->data;
	(void)ev;
	(void)events;
	work(s, s->loop->area + put_rest(s));
}

static void on_readable(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_conn *s = w->data;
	/* less than a message, or the turn would have gone on */
	uint8_t *p = s->loop->area + s->rest.bytes;
	(void)ev;
	(void)events;
	ssize_t n = recv(w->fd, p, CV_RX_AREA, 0);
	if (n > 0) {
		put_rest(s);
		work(s, p + n);
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	int e = n < 0 ? errno : s->broken;
	s->ops->ended(s, e ? strerror(e) : NULL);
}

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

void cv_conn_start(struct cv_conn *s, struct cv_loop *l, int fd,
	const struct cv_conn_ops *ops)
{
	*s = (struct cv_conn){ .ops = ops, .loop = l, .helping = HELPING_MIN };
	tune(fd);
	ev_io_init(&s->rx, on_readable, fd, EV_READ);
	ev_io_init(&s->tx, on_writable, fd, EV_WRITE);
	ev_timer_init(&s->more, on_more, 0., 0.);
	s->rx.data = s->tx.data = s->more.data = s;
	ev_io_start(l->ev, &s->rx);
}

void cv_conn_close(struct cv_conn *s)
{
	struct ev_loop *ev = s->loop->ev;
	struct cv_pool *pool = &s->loop->node.pool;
	s->closed = true;
	if (s->reading)
		return;
	ev_io_stop(ev, &s->rx);
	ev_io_stop(ev, &s->tx);
	ev_timer_stop(ev, &s->more);
	close(s->rx.fd);
	for (struct cv_buf *b; (b = cv_bufq_pop(&s->out));) {
		s->loop->node.stats.drop[CV_DROP_LINK_LOST] += b->dgrams;
		cv_buf_free(pool, b);
	}
	cv_bufq_clear(&s->rest, pool);
	s->ops->gone(s);
}
