/* SPDX-License-Identifier: MIT */
#include "loop/connect.h"

#include "loop/resolve.h"
#include "loop/sock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TRIES = 8 };

#define STAGGER 0.25
#define LIMIT 10.0

struct
try {
	struct cv_connect *connect;
	ev_io io;
};

struct cv_connect {
	struct cv_loop *loop;
	const struct cv_url *url;
	cv_connected *done;
	void *user;
	struct cv_query *query; /* under way, or NULL */
	struct cv_addr addr[TRIES];
	unsigned addrs, next, open;
	struct try try[TRIES];
	ev_timer stagger, limit;
	int error;
};

static void stop_try(struct cv_connect *c, struct try *t)
{
	ev_io_stop(c->loop->ev, &t->io);
	if (t->io.fd >= 0)
		close(t->io.fd);
	t->io.fd = -1;
}

static void stop(struct cv_connect *c)
{
	for (unsigned i = 0; i < c->next; i++)
		stop_try(c, &c->try[i]);
	ev_timer_stop(c->loop->ev, &c->stagger);
	ev_timer_stop(c->loop->ev, &c->limit);
	if (c->query)
		cv_resolve_cancel(c->query);
}

static void finish(struct cv_connect *c, int fd, const char *why)
{
	stop(c);
	c->done(c->user, fd, why);
	free(c);
}

static void on_connect(struct ev_loop *ev, ev_io *w, int events);

/* start the next address; false when there is none left */
static bool try_next(struct cv_connect *c)
{
	while (c->next < c->addrs) {
		struct try *t = &c->try[c->next];
		struct sockaddr_storage ss;
		socklen_t len = cv_sock_addr(&c->addr[c->next++], &ss);
		t->connect = c;
		int fd = cv_sock_new(&c->addr[c->next - 1], SOCK_STREAM);
		ev_io_init(&t->io, on_connect, fd, EV_WRITE);
		t->io.data = t;
		if (fd < 0 || (connect(fd, (struct sockaddr *)&ss, len) &&
				      errno != EINPROGRESS)) {
			c->error = errno;
			stop_try(c, t);
			continue;
		}
		c->open++;
		ev_io_start(c->loop->ev, &t->io);
		ev_timer_stop(c->loop->ev, &c->stagger);
		ev_timer_set(&c->stagger, STAGGER, 0.);
		ev_timer_start(c->loop->ev, &c->stagger);
		return true;
	}
	return false;
}

static void on_connect(struct ev_loop *ev, ev_io *w, int events)
{
	struct try *t = w->data;
	struct cv_connect *c = t->connect;
	int fd = w->fd, err = 0;
	socklen_t len = sizeof err;
	(void)ev;
	(void)events;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (!err) {
		ev_io_stop(c->loop->ev, &t->io);
		t->io.fd = -1;
		finish(c, fd, NULL);
		return;
	}
	c->error = err;
	stop_try(c, t);
	c->open--;
	if (!try_next(c) && !c->open)
		finish(c, -1, strerror(c->error));
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
	finish(w->data, -1, "no answer within 10 s");
}

static void on_resolved(
	void *user, const struct cv_addr *addr, unsigned n, const char *why)
{
	struct cv_connect *c = user;
	c->query = NULL;
	if (!n) {
		finish(c, -1, why);
		return;
	}
	c->addrs = n < TRIES ? n : TRIES;
	memcpy(c->addr, addr, c->addrs * sizeof *addr);
	for (unsigned i = 0; i < c->addrs; i++)
		c->addr[i].port = (uint16_t)c->url->port;
	if (!try_next(c))
		finish(c, -1, strerror(c->error));
}

struct cv_connect *cv_connect(struct cv_loop *l, const struct cv_url *url,
	cv_connected *done, void *user)
{
	struct cv_connect *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	c->loop = l;
	c->url = url;
	c->done = done;
	c->user = user;
	c->query = cv_resolve(l, url->host, on_resolved, c);
	if (!c->query) {
		free(c);
		return NULL;
	}
	ev_timer_init(&c->stagger, on_stagger, STAGGER, 0.);
	ev_timer_init(&c->limit, on_limit, LIMIT, 0.);
	c->stagger.data = c->limit.data = c;
	ev_now_update(l->ev);
	ev_timer_start(l->ev, &c->limit);
	return c;
}

void cv_connect_cancel(struct cv_connect *c)
{
	stop(c);
	free(c);
}
