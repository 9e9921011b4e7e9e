/* SPDX-License-Identifier: MIT */
#include "edge/tcp_end.h"

#include "loop/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	READS = 4,             /* of one socket in a turn of the loop */
	READ = 256 << 10,      /* bytes of each, at most */
	BUFS = 64,             /* written at once from what has waited */
	LITTLE = 4 * CV_SMALL, /* what is less goes into small buffers */
};

static struct cv_node *node_of(const struct cv_tcp_end *c)
{
	return &c->set->loop->node;
}

void cv_tcp_reset(int fd)
{
	struct linger now = { .l_onoff = 1 };
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(fd);
}

static void close_socket(struct cv_tcp_end *c)
{
	if (c->reset)
		cv_tcp_reset(c->rx.fd);
	else
		close(c->rx.fd);
}

static void destroy(struct cv_tcp_end *c)
{
	cv_tcp_end_drop(c);
	if (c->up)
		close_socket(c);
	c->set->gone(c);
}

void cv_tcp_end_drop(struct cv_tcp_end *c)
{
	ev_io_stop(c->set->loop->ev, &c->rx);
	ev_io_stop(c->set->loop->ev, &c->tx);
	cv_list_del(&c->place);
	cv_bufq_clear(&c->out, &node_of(c)->pool);
}

static bool unwritten(const struct cv_tcp_end *c)
{
	return c->out.count || c->first;
}

/* its flow is over: what is left of the stream is still written */
static void over(struct cv_tcp_end *c)
{
	struct cv_node *n = node_of(c);
	if (c->reset || !c->up || !unwritten(c)) {
		destroy(c);
		return;
	}
	n->backlog++;
	if (!c->first)
		cv_list_append(&c->set->late, &c->place);
}

static void late_is_over(struct cv_tcp_end *c)
{
	node_of(c)->backlog--;
	destroy(c);
}

void cv_tcp_end_close(struct cv_edge *e, struct cv_end *end, enum cv_reset why)
{
	struct cv_tcp_end *c = end->ctx;
	(void)e;
	if (!c)
		return;
	end->ctx = NULL;
	c->end = NULL;
	c->reset = why != CV_RESET_DONE || !c->finished || !c->fin;
	if (!c->telling)
		over(c);
}

static enum cv_reset reset_of(int error)
{
	switch (error) {
	case ETIMEDOUT:
		return CV_RESET_TIMEOUT;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
		return CV_RESET_UNREACHABLE;
	case ECONNRESET:
	case ECONNREFUSED:
	case EPIPE:
		return CV_RESET_ABORTED;
	case ENOBUFS:
	case ENOMEM:
		return CV_RESET_LIMIT;
	default:
		return CV_RESET_SYSTEM;
	}
}

static void failed(struct cv_tcp_end *c, int error)
{
	struct cv_node *n = node_of(c);
	struct cv_end *end = c->end;
	struct cv_addr at = { 0 }, here;
	char text[CV_ADDRTEXT];
	cv_sock_ends(c->rx.fd, &here, &at);
	cv_log(n, error == ENOBUFS ? CULVERT_WARN : CULVERT_DEBUG,
		"msg=\"connection lost\" address=%s error=\"%s\"",
		cv_addr_format(&at, text),
		error == ENOBUFS ? "no buffer left: see Memory"
				 : strerror(error));
	c->reset = true;
	if (!end) {
		late_is_over(c);
		return;
	}
	end->ctx = NULL;
	destroy(c);
	cv_flow_close(n, cv_end_flow(end), NULL, reset_of(error), cv_now());
}

/* nobody may be told from within a flush */
static void fail_later(struct cv_tcp_end *c, int error)
{
	if (c->error)
		return;
	c->error = error;
	ev_feed_event(c->set->loop->ev, &c->tx, EV_WRITE);
}

/* --- from the socket --- */

static void stop_reading(struct cv_tcp_end *c)
{
	ev_io_stop(c->set->loop->ev, &c->rx);
}

/* 1: perhaps there is more, 0: not now, or @c is gone */
static int read_once(struct cv_tcp_end *c)
{
	struct cv_node *n = node_of(c);
	size_t len = READ;
	uint8_t *p = cv_flow_room(n, c->end, &len);
	if (!p) {
		stop_reading(c);
		return 0;
	}
	ssize_t r = recv(c->rx.fd, p, len, 0);
	int error = errno;
	cv_flow_wrote(n, c->end, r > 0 ? (size_t)r : 0, cv_now());
	if (r > 0)
		return (size_t)r == len;
	if (!r) {
		stop_reading(c);
		c->finished = true;
		cv_flow_finish(n, c->end, cv_now());
	} else if (error != EAGAIN && error != EINTR) {
		failed(c, error);
	}
	return 0;
}

void cv_tcp_end_read(struct cv_tcp_end *c)
{
	for (int i = 0; i < READS && read_once(c); i++)
		;
}

static void on_readable(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_tcp_end *c = w->data;
	(void)ev;
	(void)events;
	if (c->error)
		failed(c, c->error);
	else
		cv_tcp_end_read(c);
}

void cv_tcp_end_resume(struct cv_edge *e, struct cv_end *end)
{
	struct cv_tcp_end *c = end->ctx;
	(void)e;
	if (c && c->up && !c->finished)
		ev_io_start(c->set->loop->ev, &c->rx);
}

/* --- to the socket --- */

/* put bytes aside; false if there is no memory */
static bool keep(struct cv_tcp_end *c, const uint8_t *p, size_t len)
{
	struct cv_pool *pool = &node_of(c)->pool;
	while (len) {
		struct cv_buf *b = c->out.tail;
		if (!b || !cv_buf_room(b)) {
			b = len <= LITTLE ? cv_buf_small(pool)
					  : cv_buf_large(pool);
			if (!b)
				return false;
			cv_bufq_push(&c->out, b);
		}
		size_t n = cv_buf_room(b) < len ? cv_buf_room(b) : len;
		memcpy(cv_buf_end(b), p, n);
		cv_bufq_grew(&c->out, b, n);
		p += n;
		len -= n;
	}
	return true;
}

static void no_buffer(struct cv_tcp_end *c)
{
	node_of(c)->stats.drop[CV_DROP_NO_BUFFER]++;
	fail_later(c, ENOBUFS);
}

/* bytes that the socket took; fewer than there were: it is full or broken */
static size_t put(struct cv_tcp_end *c, struct iovec *iov, size_t count)
{
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = count };
	ssize_t n = sendmsg(c->rx.fd, &m, MSG_NOSIGNAL);
	if (n >= 0)
		return (size_t)n;
	if (errno != EAGAIN && errno != EINTR)
		fail_later(c, errno);
	return 0;
}

/* @n bytes have left; @c may be gone when this returns */
static void settle(struct cv_tcp_end *c, size_t n)
{
	bool last = c->fin && !c->shut && !unwritten(c) && !c->error;
	if (last) {
		shutdown(c->rx.fd, SHUT_WR);
		c->shut = true;
	}
	if (c->out.count)
		ev_io_start(c->set->loop->ev, &c->tx);
	else if (!c->error)
		ev_io_stop(c->set->loop->ev, &c->tx);
	if (!c->end) {
		if (last)
			late_is_over(c);
		return;
	}
	if (!n && !last)
		return;
	c->telling = true;
	cv_flow_took(node_of(c), c->end, n, cv_now());
	c->telling = false;
	if (!c->end)
		over(c);
}

static void write_late(struct cv_tcp_end *c)
{
	struct iovec iov[BUFS];
	size_t count = 0, n;
	for (struct cv_buf *b = c->out.head; b && count < BUFS; b = b->next)
		iov[count++] = (struct iovec){ cv_buf_data(b) + b->sent,
			b->len - b->sent };
	n = count ? put(c, iov, count) : 0;
	cv_bufq_sent(&c->out, &node_of(c)->pool, n);
	settle(c, n);
}

static void on_writable(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_tcp_end *c = w->data;
	(void)ev;
	(void)events;
	if (c->error)
		failed(c, c->error);
	else
		write_late(c);
}

/* the pieces become a vector, and are forgotten */
static size_t gather(struct cv_tcp_end *c, struct iovec *iov)
{
	size_t count = 0;
	for (uint16_t i = c->first; i; i = c->set->piece[i - 1].next)
		iov[count++] = (struct iovec){
			(void *)(uintptr_t)c->set->piece[i - 1].data,
			c->set->piece[i - 1].len
		};
	c->first = c->last = 0;
	return count;
}

static void flush_end(struct cv_tcp_end *c)
{
	struct iovec iov[CV_TCP_PIECES];
	bool late = !c->end;
	cv_list_del(&c->place);
	if (late)
		cv_list_append(&c->set->late, &c->place);
	size_t count = gather(c, iov), n = 0, left;
	if (count && !c->error)
		n = left = put(c, iov, count);
	else
		left = 0;
	for (size_t i = 0; i < count && !c->error; i++) {
		size_t skip = left < iov[i].iov_len ? left : iov[i].iov_len;
		left -= skip;
		if (!keep(c, (uint8_t *)iov[i].iov_base + skip,
			    iov[i].iov_len - skip))
			no_buffer(c);
	}
	settle(c, n);
}

static void flush_all(struct cv_tcp_ends *s)
{
	while (!cv_list_empty(&s->dirty))
		flush_end(
			CV_CONTAINER(s->dirty.next, struct cv_tcp_end, place));
	s->pieces = 0;
}

void cv_tcp_end_flush(struct cv_edge *e)
{
	flush_all(CV_CONTAINER(e, struct cv_tcp_ends, edge));
}

static void add_piece(struct cv_tcp_end *c, const uint8_t *data, size_t len)
{
	struct cv_tcp_ends *s = c->set;
	uint16_t i = s->pieces++;
	s->piece[i].data = data;
	s->piece[i].len = len;
	s->piece[i].next = 0;
	if (c->last)
		s->piece[c->last - 1].next = s->pieces;
	else
		c->first = s->pieces;
	c->last = s->pieces;
}

void cv_tcp_end_stream(struct cv_edge *e, struct cv_end *end,
	const uint8_t *data, size_t len, bool fin)
{
	struct cv_tcp_ends *s = CV_CONTAINER(e, struct cv_tcp_ends, edge);
	struct cv_tcp_end *c = end->ctx;
	if (s->pieces == CV_TCP_PIECES) {
		flush_all(s);
		c = end->ctx;
	}
	if (!c || c->error)
		return;
	c->fin |= fin;
	if (!c->up || c->out.count) {
		if (!keep(c, data, len))
			no_buffer(c);
		return;
	}
	if (len)
		add_piece(c, data, len);
	cv_list_append(&s->dirty, &c->place);
	cv_node_edge_dirty(&s->loop->node, e);
}

/* --- its life --- */

void cv_tcp_ends_init(struct cv_tcp_ends *s, struct cv_loop *l)
{
	s->loop = l;
	s->edge.node = &l->node;
	cv_list_init(&s->edge.dirty);
	cv_list_init(&s->dirty);
	cv_list_init(&s->late);
}

void cv_tcp_ends_clear(struct cv_tcp_ends *s)
{
	flush_all(s);
	while (!cv_list_empty(&s->late)) {
		struct cv_tcp_end *c =
			CV_CONTAINER(s->late.next, struct cv_tcp_end, place);
		c->reset = true;
		late_is_over(c);
	}
	cv_list_del(&s->edge.dirty);
}

void cv_tcp_end_init(
	struct cv_tcp_end *c, struct cv_tcp_ends *s, struct cv_end *end)
{
	*c = (struct cv_tcp_end){ .set = s, .end = end };
	cv_list_init(&c->place);
	ev_io_init(&c->rx, on_readable, -1, EV_READ);
	ev_io_init(&c->tx, on_writable, -1, EV_WRITE);
	c->rx.data = c->tx.data = c;
	end->ctx = c;
	/* it lasts as long as its connection, however silent that is */
	cv_flow_stand(&s->loop->node.flows, cv_end_flow(end));
}

void cv_tcp_end_up(struct cv_tcp_end *c, int fd)
{
	cv_sock_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	cv_sock_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	ev_io_set(&c->rx, fd, EV_READ);
	ev_io_set(&c->tx, fd, EV_WRITE);
	c->up = true;
	ev_io_start(c->set->loop->ev, &c->rx);
	if (c->out.count || c->fin)
		ev_feed_event(c->set->loop->ev, &c->tx, EV_WRITE);
}
