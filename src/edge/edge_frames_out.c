/* SPDX-License-Identifier: MIT */
/**
 * edge_frames_out.c - flows out over connections of a foreign framing
 *
 * DOC: A flow is opened with its connection, and opens it again whenever it is
 * lost; meanwhile the newest datagrams wait.  What keeps a server from
 * being reached is said once a minute, not once a flow.
 */
#include "edge/edge_frames_out.h"

#include "core/backoff.h"
#include "edge/framed.h"
#include "loop/connect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SHORT_LIVES = 5 }; /* in a row, at most, that delay the next */

struct conn {
	struct cv_framed framed;
	struct cv_connect *attempt; /* under way, or NULL */
	struct cv_backoff backoff;
	ev_timer wait;
	unsigned failures; /* connections in a row that did not last */
	cv_time since;     /* it is up */
};

/* what was logged last of its kind */
struct said {
	char why[80];
	cv_time at;
};

struct cv_frames_out {
	struct cv_framed_set set;
	struct cv_url url;
	char text[CV_URL_TEXT]; /* the URL, for people */
	struct said lost, failed;
};

static struct cv_frames_out *out_of(const struct cv_framed *c)
{
	return CV_CONTAINER(c->set, struct cv_frames_out, set);
}

static struct conn *conn_of(struct cv_framed *c)
{
	return CV_CONTAINER(c, struct conn, framed);
}

static void say(struct cv_frames_out *o, struct said *last, const char *why)
{
	cv_time now = cv_now();
	bool again = !strcmp(why, last->why) && now - last->at < CV_SEC(60);
	if (!again) {
		snprintf(last->why, sizeof last->why, "%s", why);
		last->at = now;
	}
	cv_log(&o->set.loop->node, again ? CULVERT_DEBUG : CULVERT_WARN,
		"msg=\"%s\" link=%s error=\"%s\"",
		last == &o->lost ? "connection lost" : "cannot connect",
		o->text, why);
}

static void wait_for(struct conn *c, cv_time wait)
{
	struct ev_loop *ev = c->framed.set->loop->ev;
	if (ev_is_active(&c->wait) &&
		ev_timer_remaining(ev, &c->wait) <= (double)wait / 1e6)
		return;
	ev_timer_stop(ev, &c->wait);
	ev_now_update(ev);
	ev_timer_set(&c->wait, (double)wait / 1e6, 0.);
	ev_timer_start(ev, &c->wait);
}

static void failed(struct conn *c, const char *why)
{
	struct cv_frames_out *o = out_of(&c->framed);
	struct cv_env *env = &o->set.loop->node.env;
	uint8_t r;
	say(o, &o->failed, why);
	env->random(env->user, &r, 1);
	wait_for(c, cv_backoff_failed(&c->backoff, r));
}

static void on_connected(void *user, int fd, const char *why)
{
	struct conn *c = user;
	struct cv_frames_out *o = out_of(&c->framed);
	c->attempt = NULL;
	/* a new connection has room for it */
	if (fd >= 0 && o->set.led &&
		send(fd, cv_framing_preamble, CV_PREAMBLE, MSG_NOSIGNAL) !=
			CV_PREAMBLE) {
		close(fd);
		fd = -1;
		why = "closed before the handshake";
	}
	if (fd < 0) {
		failed(c, why);
		return;
	}
	c->since = cv_now();
	cv_framed_up(&c->framed, fd, c->since);
}

static void on_wait_over(struct ev_loop *ev, ev_timer *w, int events)
{
	struct conn *c = w->data;
	struct cv_frames_out *o = out_of(&c->framed);
	(void)ev;
	(void)events;
	cv_backoff_began(&c->backoff, cv_now());
	c->attempt = cv_connect(o->set.loop, &o->url, on_connected, c);
	if (!c->attempt)
		failed(c, "out of memory, or too many names to look up");
}

/* traffic, or a flow that lost its connection, cuts the waiting short */
static void wanted(struct cv_framed *framed, cv_time now)
{
	struct conn *c = conn_of(framed);
	if (!c->attempt && !framed->set->edge.node->draining)
		wait_for(c, cv_backoff_kicked(&c->backoff, c->failures, now));
}

static void lost(struct cv_framed *framed, const char *why)
{
	struct conn *c = conn_of(framed);
	struct cv_frames_out *o = out_of(framed);
	if (cv_now() - c->since >= CV_LINK_YOUNG)
		c->failures = 0;
	else if (c->failures < SHORT_LIVES)
		c->failures++;
	say(o, &o->lost, why ? why : "closed by the other end");
}

static void gone(struct cv_framed *framed)
{
	if (framed->end) {
		wanted(framed, cv_now());
		return;
	}
	cv_framed_clear(framed);
	free(conn_of(framed));
}

static int open_end(struct cv_edge *e, struct cv_end *end, const char *target,
	size_t len, cv_time now)
{
	struct cv_frames_out *o =
		CV_CONTAINER(e, struct cv_frames_out, set.edge);
	(void)target;
	(void)len;
	struct conn *c = calloc(1, sizeof *c);
	if (!c)
		return CULVERT_ENOMEM;
	cv_end_flow(end)->target = o->text;
	cv_framed_init(&c->framed, &o->set, end);
	ev_timer_init(&c->wait, on_wait_over, 0., 0.);
	c->wait.data = c;
	wanted(&c->framed, now);
	return 0;
}

static void close_end(struct cv_edge *e, struct cv_end *end, enum cv_reset why)
{
	struct cv_framed *framed = end->ctx;
	struct conn *c = conn_of(framed);
	(void)e;
	(void)why;
	framed->end = NULL;
	end->ctx = NULL;
	ev_timer_stop(framed->set->loop->ev, &c->wait);
	if (c->attempt)
		cv_connect_cancel(c->attempt);
	c->attempt = NULL;
	if (framed->up)
		cv_framed_down(framed);
	else
		gone(framed);
}

static const struct cv_edge_ops ops = {
	.name = "frames",
	.open = open_end,
	.dgram = cv_framed_dgram,
	.wait = cv_framed_wait,
	.flush = cv_framed_flush,
	.close = close_end,
};

struct cv_frames_out *cv_frames_out_new(
	struct cv_loop *loop, const struct cv_url *url)
{
	struct cv_frames_out *o = calloc(1, sizeof *o);
	if (!o)
		return NULL;
	cv_url_copy(&o->url, url);
	snprintf(o->text, sizeof o->text, "%s://%s%s%s:%ld", url->scheme,
		url->brackets ? "[" : "", url->host, url->brackets ? "]" : "",
		url->port);
	cv_framed_set_init(&o->set, loop, url->scheme);
	o->set.edge.ops = &ops;
	o->set.dials = true;
	o->set.wanted = wanted;
	o->set.lost = lost;
	o->set.gone = gone;
	return o;
}

struct cv_edge *cv_frames_out_edge(struct cv_frames_out *o)
{
	return &o->set.edge;
}

void cv_frames_out_free(struct cv_frames_out *o)
{
	cv_framed_set_clear(&o->set);
	free(o);
}
