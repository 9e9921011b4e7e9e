/* SPDX-License-Identifier: MIT */
#include "link/dial.h"

#include "core/backoff.h"
#include "link/link_tcp.h"
#include "loop/connect.h"
#include "loop/sock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cv_dialer {
	struct cv_loop *loop;
	struct cv_session *session;
	struct cv_url url;
	char text[CV_URL_HOST + 32]; /* the endpoint, for people */
	char said[CV_CONNECT_WHY];   /* the last failure that was logged */
	cv_time said_at;
	struct cv_connect *connect; /* under way, or NULL */
	struct cv_backoff backoff;
	ev_timer wait;
};

static void stop(struct cv_dialer *d)
{
	ev_timer_stop(d->loop->ev, &d->wait);
	if (d->connect)
		cv_connect_cancel(d->connect);
	d->connect = NULL;
}

static void begin_in(struct cv_dialer *d, cv_time wait)
{
	ev_timer_stop(d->loop->ev, &d->wait);
	ev_now_update(d->loop->ev);
	ev_timer_set(&d->wait, (double)wait / 1e6, 0.);
	ev_timer_start(d->loop->ev, &d->wait);
}

/* the same again is worth a line a minute */
static void complain(struct cv_dialer *d, const char *why)
{
	cv_time now = cv_now();
	bool again = !strcmp(why, d->said) && now - d->said_at < CV_SEC(60);
	if (!again) {
		snprintf(d->said, sizeof d->said, "%s", why);
		d->said_at = now;
	}
	cv_log(&d->loop->node, again ? CULVERT_DEBUG : CULVERT_WARN,
		"msg=\"cannot connect\" peer=%s link=%s error=\"%s\"",
		d->session->name, d->text, why);
}

static void failed(struct cv_dialer *d, const char *why)
{
	uint8_t jitter;
	d->loop->node.env.random(d->loop->node.env.user, &jitter, 1);
	complain(d, why);
	begin_in(d, cv_backoff_failed(&d->backoff, jitter));
}

static void on_done(void *user, int fd, const char *why)
{
	struct cv_dialer *d = user;
	char at[CV_ADDRTEXT];
	struct sockaddr_storage ss;
	socklen_t len = sizeof ss;
	struct cv_addr a = { 0 };
	d->connect = NULL;
	if (fd < 0) {
		failed(d, why);
		return;
	}
	d->said[0] = '\0';
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

static void on_wait_over(struct ev_loop *ev, ev_timer *w, int events)
{
	struct cv_dialer *d = w->data;
	(void)ev;
	(void)events;
	if (d->session->link)
		return;
	cv_backoff_began(&d->backoff, cv_now());
	d->connect = cv_connect(d->loop, &d->url, on_done, d);
	if (!d->connect)
		failed(d, "out of memory");
}

void cv_dialer_kick(struct cv_dialer *d)
{
	if (d->connect || d->session->link)
		return;
	cv_time wait =
		cv_backoff_kicked(&d->backoff, d->session->failures, cv_now());
	if (!ev_is_active(&d->wait) ||
		ev_timer_remaining(d->loop->ev, &d->wait) > (double)wait / 1e6)
		begin_in(d, wait);
}

struct cv_dialer *cv_dialer_new(
	struct cv_loop *l, struct cv_session *s, const struct cv_url *u)
{
	struct cv_dialer *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->loop = l;
	d->session = s;
	cv_url_copy(&d->url, u);
	snprintf(d->text, sizeof d->text, "tcp://%s%s%s:%ld",
		u->brackets ? "[" : "", u->host, u->brackets ? "]" : "",
		u->port);
	ev_timer_init(&d->wait, on_wait_over, 0., 0.);
	d->wait.data = d;
	s->dials = true;
	s->dialer = d;
	return d;
}

void cv_dialer_free(struct cv_dialer *d)
{
	stop(d);
	free(d);
}
