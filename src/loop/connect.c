/* SPDX-License-Identifier: MIT */
#include "loop/connect.h"

#include "loop/proxy.h"
#include "loop/resolve.h"
#include "loop/sock.h"

#include <errno.h>
#include <stdio.h>
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
	const struct cv_url *near; /* what to connect to: url's, or a proxy */
	const struct cv_url *url;
	struct cv_proxy *proxy; /* NULL: none */
	cv_connected *done;
	void *user;
	bool (*may)(void *user, const struct cv_addr *); /* NULL: any */
	struct cv_query *query; /* under way, or NULL */
	struct cv_addr addr[TRIES];
	unsigned addrs, next, open;
	struct try try[TRIES];
	ev_timer stagger, limit;
	char why[CV_CONNECT_WHY]; /* the last address to fail did */
	int error;                /* likewise */
};

static void stop_try(struct cv_connect *c, struct try *t)
{
	ev_io_stop(c->loop->ev, &t->io);
	if (t->io.fd >= 0)
		close(t->io.fd);
	t->io.fd = -1;
}

/* nothing more is connected to */
static void stop_tries(struct cv_connect *c)
{
	for (unsigned i = 0; i < c->next; i++)
		stop_try(c, &c->try[i]);
	c->next = c->addrs = c->open = 0;
	ev_timer_stop(c->loop->ev, &c->stagger);
}

static void destroy(struct cv_connect *c)
{
	stop_tries(c);
	ev_timer_stop(c->loop->ev, &c->limit);
	if (c->query)
		cv_resolve_cancel(c->query);
	if (c->proxy)
		cv_proxy_free(c->proxy);
	free(c);
}

static void failed(struct cv_connect *c, const char *why)
{
	char text[CV_CONNECT_WHY];
	const struct cv_url *u = c->near;
	if (c->proxy)
		snprintf(text, sizeof text, "proxy %s%s%s:%ld: %s",
			u->brackets ? "[" : "", u->host, u->brackets ? "]" : "",
			u->port, why);
	else
		snprintf(text, sizeof text, "%s", why);
	c->done(c->user, -1, text);
	destroy(c);
}

static void ended(void *user, int fd, const char *why)
{
	struct cv_connect *c = user;
	if (fd < 0) {
		failed(c, why);
		return;
	}
	c->done(c->user, fd, NULL);
	destroy(c);
}

static void connected(struct cv_connect *c, struct try *t)
{
	int fd = t->io.fd;
	ev_io_stop(c->loop->ev, &t->io);
	t->io.fd = -1;
	stop_tries(c);
	if (c->proxy)
		cv_proxy_start(c->proxy, fd);
	else
		ended(c, fd, NULL);
}

static void say(struct cv_connect *c, int error)
{
	c->error = error;
	snprintf(c->why, sizeof c->why, "%s", strerror(error));
}

/* a socket that is being connected, or -1 */
static int start(struct cv_connect *c, const struct cv_addr *to)
{
	struct sockaddr_storage ss;
	socklen_t len = cv_sock_addr(to, &ss);
	if (c->may && !c->may(c->user, to)) {
		say(c, EACCES);
		return -1;
	}
	errno = 0;
	int fd = cv_sock_stream(c->loop, to, c->url, c->why);
	if (fd < 0)
		c->error = errno;
	if (fd < 0 || !connect(fd, (struct sockaddr *)&ss, len) ||
		errno == EINPROGRESS)
		return fd;
	say(c, errno);
	close(fd);
	return -1;
}

static void on_connect(struct ev_loop *ev, ev_io *w, int events);

/* start the next address; false when there is none left */
static bool try_next(struct cv_connect *c)
{
	while (c->next < c->addrs) {
		struct try *t = &c->try[c->next];
		int fd = start(c, &c->addr[c->next++]);
		t->connect = c;
		ev_io_init(&t->io, on_connect, fd, EV_WRITE);
		t->io.data = t;
		if (fd < 0)
			continue;
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
	int err = 0;
	socklen_t len = sizeof err;
	(void)ev;
	(void)events;
	getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (!err) {
		connected(c, t);
		return;
	}
	say(c, err);
	stop_try(c, t);
	c->open--;
	if (!try_next(c) && !c->open)
		failed(c, c->why);
}

static void on_stagger(struct ev_loop *ev, ev_timer *w, int events)
{
	(void)ev;
	(void)events;
	try_next(w->data);
}

static void on_limit(struct ev_loop *ev, ev_timer *w, int events)
{
	struct cv_connect *c = w->data;
	bool asked = c->proxy && !c->query && !c->open;
	(void)ev;
	(void)events;
	c->error = ETIMEDOUT;
	failed(c, asked ? "it did not connect us within 10 s"
			: "no answer within 10 s");
}

static void on_resolved(
	void *user, const struct cv_addr *addr, unsigned n, const char *why)
{
	struct cv_connect *c = user;
	c->query = NULL;
	if (!n) {
		failed(c, why);
		return;
	}
	c->addrs = n < TRIES ? n : TRIES;
	memcpy(c->addr, addr, c->addrs * sizeof *addr);
	for (unsigned i = 0; i < c->addrs; i++)
		c->addr[i].port = (uint16_t)c->near->port;
	if (!try_next(c))
		failed(c, c->why);
}

static bool begin(struct cv_connect *c)
{
	c->near = c->url;
	if (cv_url_option(c->url, "via")) {
		c->proxy = cv_proxy_new(c->loop, c->url, ended, c);
		if (!c->proxy)
			return false;
		c->near = cv_proxy_url(c->proxy);
	}
	c->query = cv_resolve(c->loop, c->near->host, on_resolved, c);
	return c->query;
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
	ev_timer_init(&c->stagger, on_stagger, STAGGER, 0.);
	ev_timer_init(&c->limit, on_limit, LIMIT, 0.);
	c->stagger.data = c->limit.data = c;
	if (!begin(c)) {
		destroy(c);
		return NULL;
	}
	ev_now_update(l->ev);
	ev_timer_start(l->ev, &c->limit);
	return c;
}

void cv_connect_only(
	struct cv_connect *c, bool (*may)(void *user, const struct cv_addr *))
{
	c->may = may;
}

int cv_connect_error(const struct cv_connect *c)
{
	return c->error;
}

void cv_connect_cancel(struct cv_connect *c)
{
	destroy(c);
}
