/* SPDX-License-Identifier: MIT */
#include "edge/iproxy_pipe.h"

#include "edge/tcp_end.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* sends after which a server looks for its client no more */
enum { SEEKS = 8 };

static struct ev_loop *ev_of(const struct cv_iproxy_pipe *p)
{
	return p->port->loop->ev;
}

/* a server looks for its client, if that ever took anything, and not for long:
   what the clock does not repeat goes where the client was */
static bool seeks(const struct cv_iproxy *c, const struct cv_iproxy_packet *x)
{
	unsigned vain = cv_iproxy_in_vain(c);
	return x->flags != CV_IPROXY_ACK && c->next && vain && vain <= SEEKS;
}

/* a client calls the server until that is heard, and when it is no more */
static bool calls(const struct cv_iproxy_pipe *p)
{
	return !p->heard || cv_iproxy_in_vain(p->conn) ||
	       cv_now() - p->conn->heard >= CV_IPROXY_KEEPALIVE;
}

static void emit(struct cv_iproxy_pipe *p, const struct cv_iproxy_packet *x)
{
	bool serves = p->port->serves;
	if (!serves && calls(p))
		cv_iproxy_port_call(p->port, x);
	else if (serves && seeks(p->conn, x))
		cv_iproxy_port_seek(p->port, x, &p->from);
	else
		cv_iproxy_port_answer(p->port, x, &p->from);
}

static void over(struct cv_iproxy_pipe *p, bool closed)
{
	struct ev_loop *ev = ev_of(p);
	ev_io_stop(ev, &p->rx);
	ev_io_stop(ev, &p->tx);
	ev_timer_stop(ev, &p->clock);
	if (p->fd >= 0 && closed)
		close(p->fd);
	else if (p->fd >= 0)
		cv_tcp_reset(p->fd);
	p->fd = -1;
	p->over(p, closed);
}

void cv_iproxy_pipe_abort(struct cv_iproxy_pipe *p)
{
	struct cv_iproxy_packet x = { .flags = CV_IPROXY_GONE,
		.client = p->conn->client,
		.server = p->conn->server };
	emit(p, &x);
	over(p, false);
}

/* --- the socket --- */

/* false: it failed */
static bool write_out(struct cv_iproxy_pipe *p)
{
	while (p->fd >= 0 && p->off < p->len) {
		ssize_t n = send(p->fd, p->out + p->off, p->len - p->off,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			ev_io_start(ev_of(p), &p->tx);
		if (n < 0)
			return errno == EAGAIN;
		p->off += (uint32_t)n;
	}
	if (p->off == p->len)
		p->off = p->len = 0;
	if (p->fd >= 0 && !p->len && p->fin && !p->shut) {
		shutdown(p->fd, SHUT_WR);
		p->shut = true;
	}
	return true;
}

/* false: it failed */
static bool read_in(struct cv_iproxy_pipe *p)
{
	uint32_t room = cv_iproxy_room(p->conn);
	ssize_t n;
	if (p->fd < 0 || !room || p->finished) {
		ev_io_stop(ev_of(p), &p->rx);
		return true;
	}
	do {
		n = recv(p->fd, cv_iproxy_buffer(p->conn), room, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		cv_iproxy_send(p->conn, (uint32_t)n, cv_now());
	} else if (!n) {
		p->finished = true;
		cv_iproxy_finish(p->conn);
	} else if (errno == EAGAIN) {
		ev_io_start(ev_of(p), &p->rx);
	}
	return n >= 0 || errno == EAGAIN;
}

/* --- the connection --- */

static void arm(struct cv_iproxy_pipe *p, cv_time at, cv_time now)
{
	struct ev_loop *ev = ev_of(p);
	ev_timer_stop(ev, &p->clock);
	ev_now_update(ev);
	ev_timer_set(
		&p->clock, at > now ? (double)(at - now) / 1e6 : 0.0005, 0.);
	ev_timer_start(ev, &p->clock);
}

void cv_iproxy_pipe_step(struct cv_iproxy_pipe *p)
{
	struct cv_iproxy_packet x;
	cv_time now = cv_now();
	if (cv_iproxy_expired(p->conn, now) || !write_out(p) || !read_in(p)) {
		cv_iproxy_pipe_abort(p);
		return;
	}
	while (cv_iproxy_output(p->conn, &x, now))
		emit(p, &x);
	if (!cv_iproxy_closed(p->conn) || p->len) {
		arm(p, cv_iproxy_deadline(p->conn), now);
		return;
	}
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	if (now >= p->conn->heard + p->linger)
		over(p, true);
	else
		arm(p, p->conn->heard + p->linger, now);
}

void cv_iproxy_pipe_moved(struct cv_iproxy_pipe *p)
{
	p->heard = false;
	cv_iproxy_alive(p->conn);
	cv_iproxy_pipe_step(p);
}

void cv_iproxy_pipe_input(struct cv_iproxy_pipe *p,
	const struct cv_iproxy_packet *x, const struct cv_lan_way *from)
{
	size_t room = p->len ? 0 : sizeof p->out;
	unsigned news = cv_iproxy_input(p->conn, x, room, cv_now());
	p->heard = true;
	p->from = *from;
	if (news & CV_IPROXY_LOST) {
		over(p, false);
		return;
	}
	if (news & CV_IPROXY_GOT) {
		memcpy(p->out, x->data, x->len);
		p->len = x->len;
	}
	p->fin |= (news & CV_IPROXY_ENDED) != 0;
	cv_iproxy_pipe_step(p);
}

static void on_io(struct ev_loop *ev, ev_io *w, int events)
{
	(void)events;
	ev_io_stop(ev, w);
	cv_iproxy_pipe_step(w->data);
}

static void on_clock(struct ev_loop *ev, ev_timer *w, int events)
{
	(void)ev;
	(void)events;
	cv_iproxy_pipe_step(w->data);
}

void cv_iproxy_pipe_init(struct cv_iproxy_pipe *p, struct cv_iproxy_port *port,
	struct cv_iproxy *conn)
{
	p->port = port;
	p->conn = conn;
	p->fd = -1;
	ev_io_init(&p->rx, on_io, -1, EV_READ);
	ev_io_init(&p->tx, on_io, -1, EV_WRITE);
	ev_timer_init(&p->clock, on_clock, 0., 0.);
	p->rx.data = p->tx.data = p->clock.data = p;
}

void cv_iproxy_pipe_up(struct cv_iproxy_pipe *p, int fd)
{
	p->fd = fd;
	ev_io_set(&p->rx, fd, EV_READ);
	ev_io_set(&p->tx, fd, EV_WRITE);
	cv_iproxy_pipe_step(p);
}
