/* SPDX-License-Identifier: MIT */
/**
 * dial.c - resolve, connect, begin again
 *
 * DOC: An attempt resolves the name anew, then connects to its addresses in
 * turn, families alternating, the next one started 250 ms after the last
 * (RFC 8305); the first that connects wins.  Between attempts the wait grows
 * from 0.1 s to 10 s, with jitter; traffic that wants to go out cuts it short
 * to 0.1 s, or, where a connection was had and the handshake failed, to 2 s.
 */
#include "link/dial.h"

#include "link/link_tcp.h"
#include "loop/resolve.h"
#include "loop/sock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TRIES = 8 };

#define STAGGER 0.25
#define CONNECT_TIMEOUT 10.0

struct attempt {
	struct cv_dialer *dialer;
	ev_io io;
};

struct cv_dialer {
	struct cv_loop *loop;
	struct cv_session *session;
	char host[CV_URL_HOST];
	char text[CV_URL_HOST + 32]; /* the endpoint, for people */
	char said[80];               /* the last failure that was logged */
	cv_time said_at;
	uint16_t port;
	struct cv_addr addr[TRIES];
	unsigned addrs, next, open;
	struct attempt attempt[TRIES];
	ev_timer wait, stagger, limit;
	struct cv_query *query;
	cv_time began, backoff;
	int error;
	bool busy;
};

static void stop_try(struct cv_dialer *d, struct attempt *t)
{
	ev_io_stop(d->loop->ev, &t->io);
	if (t->io.fd >= 0)
		close(t->io.fd);
	t->io.fd = -1;
}

static void stop(struct cv_dialer *d)
{
	for (unsigned i = 0; i < d->next; i++)
		stop_try(d, &d->attempt[i]);
	ev_timer_stop(d->loop->ev, &d->wait);
	ev_timer_stop(d->loop->ev, &d->stagger);
	ev_timer_stop(d->loop->ev, &d->limit);
	if (d->query)
		cv_resolve_cancel(d->query);
	d->query = NULL;
	d->next = d->open = 0;
	d->busy = false;
}

static void failed(struct cv_dialer *d, const char *why)
{
	uint8_t r;
	stop(d);
	d->backoff = d->backoff ? d->backoff * 2 : CV_DIAL_MIN;
	if (d->backoff > CV_DIAL_MAX)
		d->backoff = CV_DIAL_MAX;
	d->loop->node.env.random(d->loop->node.env.user, &r, 1);
	cv_time wait = d->backoff / 2 + d->backoff * r / 512;
	/* the same again is worth a line a minute */
	cv_time now = cv_now();
	bool again = !strcmp(why, d->said) && now - d->said_at < CV_SEC(60);
	if (!again) {
		snprintf(d->said, sizeof d->said, "%s", why);
		d->said_at = now;
	}
	cv_log(&d->loop->node, again ? CULVERT_DEBUG : CULVERT_WARN,
		"msg=\"cannot connect\" peer=%s link=%s error=\"%s\"",
		d->session->name, d->text, why);
	ev_timer_set(&d->wait, (double)wait / 1e6, 0.);
	ev_now_update(d->loop->ev);
	ev_timer_start(d->loop->ev, &d->wait);
}

static void connected(struct cv_dialer *d, struct attempt *t)
{
	int fd = t->io.fd;
	ev_io_stop(d->loop->ev, &t->io);
	t->io.fd = -1;
	stop(d);
	d->said[0] = '\0';
	char at[CV_ADDRTEXT];
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	struct cv_addr a = { 0 };
	if (!getpeername(fd, (struct sockaddr *)&ss, &len))
		cv_sock_from(&ss, &a);
	cv_log(&d->loop->node, CULVERT_DEBUG,
		"msg=connected peer=%s link=tcp://%s", d->session->name,
		cv_addr_format(&a, at));
	if (cv_tcp_adopt(d->loop, fd, d->session)) {
		close(fd);
		failed(d, "out of memory");
	}
}

static void on_connect(struct ev_loop *ev, ev_io *w, int events);

/* start the next address; false when there is none left */
static bool try_next(struct cv_dialer *d)
{
	while (d->next < d->addrs) {
		struct attempt *t = &d->attempt[d->next];
		struct sockaddr_storage ss;
		socklen_t len = cv_sock_addr(&d->addr[d->next++], &ss);
		t->dialer = d;
		int fd = cv_sock_new(&d->addr[d->next - 1], SOCK_STREAM);
		ev_io_init(&t->io, on_connect, fd, EV_WRITE);
		t->io.data = t;
		if (fd < 0 || (connect(fd, (struct sockaddr *)&ss, len) &&
				      errno != EINPROGRESS)) {
			d->error = errno;
			stop_try(d, t);
			continue;
		}
		d->open++;
		ev_io_start(d->loop->ev, &t->io);
		ev_timer_stop(d->loop->ev, &d->stagger);
		ev_timer_set(&d->stagger, STAGGER, 0.);
		ev_timer_start(d->loop->ev, &d->stagger);
		return true;
	}
	return false;
}

static void on_connect(struct ev_loop *ev, ev_io *w, int events)
{
	struct attempt *t = w->data;
	struct cv_dialer *d = t->dialer;
	int err = 0;
	socklen_t len = sizeof err;
	(void)ev;
	(void)events;
	getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (!err) {
		connected(d, t);
		return;
	}
	d->error = err;
	stop_try(d, t);
	d->open--;
	if (!try_next(d) && !d->open)
		failed(d, strerror(d->error));
}

static void on_stagger(struct ev_loop *ev, ev_timer *w, int events)
{
	(void)ev;
	(void)events;
	try_next(w->data);
}

static void on_limit(struct ev_loop *ev, ev_timer *w, int events)
{
	(void)ev;
	(void)events;
	failed(w->data, "no answer within 10 s");
}

static void on_resolved(
	void *user, const struct cv_addr *addr, unsigned n, const char *why)
{
	struct cv_dialer *d = user;
	d->query = NULL;
	if (!n) {
		failed(d, why);
		return;
	}
	d->addrs = n < TRIES ? n : TRIES;
	memcpy(d->addr, addr, d->addrs * sizeof *addr);
	for (unsigned i = 0; i < d->addrs; i++)
		d->addr[i].port = d->port;
	if (!try_next(d))
		failed(d, strerror(d->error));
}

static void begin(struct cv_dialer *d)
{
	stop(d);
	if (d->session->link)
		return;
	d->busy = true;
	d->began = cv_now();
	ev_now_update(d->loop->ev);
	ev_timer_set(&d->limit, CONNECT_TIMEOUT, 0.);
	ev_timer_start(d->loop->ev, &d->limit);
	d->query = cv_resolve(d->loop, d->host, on_resolved, d);
	if (!d->query)
		failed(d, "out of memory");
}

static void on_wait_over(struct ev_loop *ev, ev_timer *w, int events)
{
	(void)ev;
	(void)events;
	begin(w->data);
}

/* least time between two attempts */
static cv_time least_wait(const struct cv_dialer *d)
{
	cv_time wait = CV_DIAL_MIN;
	for (unsigned n = d->session->failures; n && wait < CV_DIAL_FAILED; n--)
		wait *= 2;
	return wait < CV_DIAL_FAILED ? wait : CV_DIAL_FAILED;
}

void cv_dialer_kick(struct cv_dialer *d)
{
	cv_time now = cv_now();
	if (d->busy || d->session->link)
		return;
	cv_time next = d->began + least_wait(d);
	cv_time wait = d->began && next > now ? next - now : 0;
	/* a link that lived for a while starts the back-off anew */
	if (now - d->began > CV_DIAL_MAX)
		d->backoff = 0;
	if (ev_is_active(&d->wait) &&
		ev_timer_remaining(d->loop->ev, &d->wait) <= (double)wait / 1e6)
		return;
	ev_timer_stop(d->loop->ev, &d->wait);
	ev_now_update(d->loop->ev);
	ev_timer_set(&d->wait, (double)wait / 1e6, 0.);
	ev_timer_start(d->loop->ev, &d->wait);
}

struct cv_dialer *cv_dialer_new(
	struct cv_loop *l, struct cv_session *s, const struct cv_url *u)
{
	struct cv_dialer *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->loop = l;
	d->session = s;
	strcpy(d->host, u->host);
	d->port = (uint16_t)u->port;
	snprintf(d->text, sizeof d->text, "tcp://%s%s%s:%ld",
		u->brackets ? "[" : "", u->host, u->brackets ? "]" : "",
		u->port);
	ev_timer_init(&d->wait, on_wait_over, 0., 0.);
	ev_timer_init(&d->stagger, on_stagger, STAGGER, 0.);
	ev_timer_init(&d->limit, on_limit, CONNECT_TIMEOUT, 0.);
	d->wait.data = d->stagger.data = d->limit.data = d;
	s->dials = true;
	s->dialer = d;
	return d;
}

void cv_dialer_free(struct cv_dialer *d)
{
	stop(d);
	free(d);
}
