/* SPDX-License-Identifier: MIT */
#include "loop/proxy.h"

#include "core/crypto.h"
#include "core/http_connect.h"
#include "core/socks5.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct cv_proxy {
	struct cv_loop *loop;
	const struct cv_url *target;
	cv_connected *done;
	void *user;
	struct cv_via via;
	union {
		struct cv_via_talk talk; /* leads both */
		struct cv_socks5 socks5;
		struct cv_http_connect http;
	};
	size_t sent;
	ev_io rx, tx;
};

static void finish(struct cv_proxy *p, const char *why)
{
	int fd = p->rx.fd;
	ev_io_stop(p->loop->ev, &p->rx);
	ev_io_stop(p->loop->ev, &p->tx);
	p->rx.fd = -1;
	if (why) {
		close(fd);
		fd = -1;
	}
	p->done(p->user, fd, why);
}

static bool again(void)
{
	return errno == EAGAIN || errno == EINTR;
}

static void on_writable(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_proxy *p = w->data;
	struct cv_via_talk *t = &p->talk;
	(void)events;
	ssize_t n =
		send(w->fd, t->out + p->sent, t->len - p->sent, MSG_NOSIGNAL);
	if (n < 0) {
		if (!again())
			finish(p, strerror(errno));
		return;
	}
	p->sent += (size_t)n;
	if (p->sent < t->len)
		return;
	p->sent = t->len = 0;
	ev_io_stop(ev, w);
}

static int input(struct cv_proxy *p, const uint8_t *data, size_t len)
{
	return p->via.socks ? cv_socks5_input(&p->socks5, data, len)
			    : cv_http_connect_input(&p->http, data, len);
}

static void on_readable(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_proxy *p = w->data;
	uint8_t data[1024];
	(void)events;
	ssize_t n = recv(w->fd, data, sizeof data, MSG_PEEK);
	if (n < 0 && again())
		return;
	if (n <= 0) {
		finish(p, n ? strerror(errno) : "it hung up");
		return;
	}
	int used = input(p, data, (size_t)n);
	if (used < 0) {
		finish(p, p->talk.why);
		return;
	}
	/* what was just seen is there */
	(void)!recv(w->fd, data, (size_t)used, 0);
	if (p->talk.done)
		finish(p, NULL);
	else if (p->talk.len)
		ev_io_start(ev, &p->tx);
}

struct cv_proxy *cv_proxy_new(struct cv_loop *l, const struct cv_url *target,
	cv_connected *done, void *user)
{
	const char *why;
	struct cv_proxy *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->loop = l;
	p->target = target;
	p->done = done;
	p->user = user;
	ev_io_init(&p->rx, on_readable, -1, EV_READ);
	ev_io_init(&p->tx, on_writable, -1, EV_WRITE);
	p->rx.data = p->tx.data = p;
	if (!cv_via_parse(&p->via, cv_url_option(target, "via"), &why))
		return p;
	cv_proxy_free(p);
	return NULL;
}

void cv_proxy_free(struct cv_proxy *p)
{
	ev_io_stop(p->loop->ev, &p->rx);
	ev_io_stop(p->loop->ev, &p->tx);
	if (p->rx.fd >= 0)
		close(p->rx.fd);
	cv_crypto_wipe(p, sizeof *p);
	free(p);
}

const struct cv_url *cv_proxy_url(const struct cv_proxy *p)
{
	return &p->via.url;
}

void cv_proxy_start(struct cv_proxy *p, int fd)
{
	if (p->via.socks)
		cv_socks5_start(&p->socks5, p->target, &p->via);
	else
		cv_http_connect_start(&p->http, p->target, &p->via);
	ev_io_set(&p->rx, fd, EV_READ);
	ev_io_set(&p->tx, fd, EV_WRITE);
	ev_io_start(p->loop->ev, &p->rx);
	ev_io_start(p->loop->ev, &p->tx);
}
