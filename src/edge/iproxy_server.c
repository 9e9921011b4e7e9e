/* SPDX-License-Identifier: MIT */
#include "edge/iproxy_server.h"

#include "core/iproxy_table.h"
#include "edge/iproxy_pipe.h"
#include "loop/connect.h"

#include <stdio.h>
#include <stdlib.h>

/* whoever is behind an entry of the table */
struct service {
	struct cv_iproxy_pipe pipe;
	struct cv_iproxy_server *server;
	struct cv_iproxy_entry *entry;
	struct cv_connect *connect; /* under way, or NULL */
};

/* an answer to LIST that waits */
struct hello {
	uint32_t client;
	struct cv_lan_way from;
	cv_time at;
};

struct cv_iproxy_server {
	struct cv_loop *loop;
	struct cv_iproxy_port port;
	struct cv_url to;
	struct cv_iproxy_table table;
	struct hello hello[CV_IPROXY_LISTS];
	unsigned hellos;
	cv_time second; /* in which so many answers were given: */
	unsigned given;
	ev_timer clock; /* of the first answer */
	bool paused;
};

/* --- who asks for a list --- */

static void say_hello(struct cv_iproxy_server *s, const struct hello *h)
{
	char text[32];
	int n = snprintf(text, sizeof text, "Hello from %u!", s->port.id);
	struct cv_iproxy_packet x = { .flags = CV_IPROXY_HELLO,
		.client = h->client,
		.server = s->port.id,
		.len = (uint32_t)n,
		.data = (uint8_t *)text };
	cv_iproxy_port_answer(&s->port, &x, &h->from);
}

static void arm(struct cv_iproxy_server *s, cv_time now)
{
	struct ev_loop *ev = s->loop->ev;
	cv_time first = CV_NEVER;
	for (unsigned i = 0; i < s->hellos; i++)
		first = cv_earlier(first, s->hello[i].at);
	ev_timer_stop(ev, &s->clock);
	if (!s->hellos)
		return;
	ev_now_update(ev);
	ev_timer_set(
		&s->clock, first > now ? (double)(first - now) / 1e6 : 0., 0.);
	ev_timer_start(ev, &s->clock);
}

static void on_clock(struct ev_loop *ev, ev_timer *w, int events)
{
	struct cv_iproxy_server *s = w->data;
	cv_time now = cv_now();
	(void)ev;
	(void)events;
	for (unsigned i = 0; i < s->hellos;) {
		if (s->hello[i].at > now) {
			i++;
			continue;
		}
		say_hello(s, &s->hello[i]);
		s->hello[i] = s->hello[--s->hellos];
	}
	arm(s, now);
}

static void list(struct cv_iproxy_server *s, uint32_t client,
	const struct cv_lan_way *from)
{
	struct cv_env *env = &s->loop->node.env;
	cv_time now = cv_now();
	uint32_t jitter;
	for (unsigned i = 0; i < s->hellos; i++)
		if (s->hello[i].client == client) /* a copy */
			return;
	if (now - s->second > CV_SEC(1)) {
		s->second = now;
		s->given = 0;
	}
	if (s->given == CV_IPROXY_LISTS || s->hellos == CV_IPROXY_LISTS) {
		s->loop->node.stats.drop[CV_DROP_FLOOD]++;
		return;
	}
	s->given++;
	env->random(env->user, &jitter, sizeof jitter);
	s->hello[s->hellos++] = (struct hello){ client, *from,
		now + jitter % CV_IPROXY_JITTER };
	arm(s, now);
}

/* --- connections --- */

static void over(struct cv_iproxy_pipe *p, bool closed)
{
	struct service *v = CV_CONTAINER(p, struct service, pipe);
	if (v->connect)
		cv_connect_cancel(v->connect);
	cv_iproxy_close(v->entry, !closed, cv_now());
	v->server->loop->node.foreign--;
	free(v);
}

static void connected(void *user, int fd, const char *why)
{
	struct service *v = user;
	v->connect = NULL;
	if (fd >= 0) {
		cv_iproxy_pipe_up(&v->pipe, fd);
		return;
	}
	cv_log(&v->server->loop->node, CULVERT_WARN,
		"msg=\"target refused\" to=tcp://%s:%ld error=\"%s\"",
		v->server->to.host, v->server->to.port, why);
	cv_iproxy_pipe_abort(&v->pipe);
}

static void gone(struct cv_iproxy_server *s, const struct cv_iproxy_packet *to,
	const struct cv_lan_way *from)
{
	struct cv_iproxy_packet x = { .flags = CV_IPROXY_GONE,
		.client = to->client,
		.server = s->port.id };
	if (to->flags != CV_IPROXY_GONE && to->flags != CV_IPROXY_LIST)
		cv_iproxy_port_answer(&s->port, &x, from);
}

static struct cv_iproxy_entry *open_conn(
	struct cv_iproxy_server *s, uint32_t client)
{
	struct service *v = calloc(1, sizeof *v);
	struct cv_iproxy_entry *e =
		v ? cv_iproxy_add(&s->table, client, cv_now()) : NULL;
	if (!e) {
		s->loop->node.stats.drop[CV_DROP_FLOW_LIMIT]++;
		free(v);
		return NULL;
	}
	v->server = s;
	v->entry = e;
	e->owner = v;
	cv_iproxy_pipe_init(&v->pipe, &s->port, &e->conn);
	v->pipe.over = over;
	v->connect = cv_connect(s->loop, &s->to, connected, v);
	s->loop->node.foreign++;
	return e;
}

/* what is repeated of one that is closed is acknowledged, and that is all */
static void after(struct cv_iproxy_server *s, struct cv_iproxy_entry *e,
	const struct cv_iproxy_packet *x, const struct cv_lan_way *from)
{
	struct cv_iproxy_packet out;
	cv_time now = cv_now();
	if (e->gone) {
		gone(s, x, from);
		return;
	}
	if (cv_iproxy_input(&e->conn, x, 0, now) & CV_IPROXY_LOST) {
		cv_iproxy_close(e, true, now);
		return;
	}
	while (cv_iproxy_output(&e->conn, &out, now))
		cv_iproxy_port_answer(&s->port, &out, from);
}

static void serve(struct cv_iproxy_server *s, const struct cv_iproxy_packet *x,
	const struct cv_lan_way *from)
{
	cv_iproxy_sweep(&s->table, cv_now());
	struct cv_iproxy_entry *e = cv_iproxy_find(&s->table, x->client);
	if (!e && !s->paused && cv_iproxy_opens(x))
		e = open_conn(s, x->client);
	if (!e) {
		gone(s, x, from);
		return;
	}
	struct service *v = e->owner;
	if (!v) {
		after(s, e, x, from);
	} else if (v->connect || v->pipe.fd >= 0) {
		cv_iproxy_pipe_input(&v->pipe, x, from);
	} else { /* no memory for the attempt */
		v->pipe.heard = true;
		v->pipe.from = *from;
		cv_iproxy_pipe_abort(&v->pipe);
	}
}

static bool input(struct cv_iproxy_port *p, const struct cv_iproxy_packet *x,
	const struct cv_lan_way *from)
{
	struct cv_iproxy_server *s =
		CV_CONTAINER(p, struct cv_iproxy_server, port);
	if (x->server == CV_IPROXY_LIST_SID && x->flags == CV_IPROXY_LIST)
		list(s, x->client, from);
	else if (x->server == p->id)
		serve(s, x, from);
	/* several servers may share the port */
	return x->server == p->id;
}

struct cv_iproxy_server *cv_iproxy_server_new(struct cv_loop *loop,
	const struct cv_url *url, const struct cv_url *to,
	char why[CV_SOCK_WHY])
{
	struct cv_iproxy_server *s = calloc(1, sizeof *s);
	if (!s) {
		snprintf(why, CV_SOCK_WHY, "out of memory");
		return NULL;
	}
	s->loop = loop;
	cv_url_copy(&s->to, to);
	s->port.input = input;
	ev_timer_init(&s->clock, on_clock, 0., 0.);
	s->clock.data = s;
	if (!cv_iproxy_port_open(&s->port, loop, url, true, why)) {
		s->table.server = s->port.id;
		return s;
	}
	free(s);
	return NULL;
}

void cv_iproxy_server_pause(struct cv_iproxy_server *s)
{
	s->paused = true;
}

void cv_iproxy_server_free(struct cv_iproxy_server *s)
{
	for (unsigned i = 0; i < CV_IPROXY_TABLE; i++) {
		struct service *v = s->table.entry[i].owner;
		if (v)
			cv_iproxy_pipe_abort(&v->pipe);
	}
	ev_timer_stop(s->loop->ev, &s->clock);
	cv_iproxy_port_close(&s->port);
	free(s);
}
