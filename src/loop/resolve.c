/* SPDX-License-Identifier: MIT */
#include "loop/resolve.h"

#include "loop/sock.h"

#include <ares.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { SOCKETS = 16, ADDRS = 16 };

struct watch {
	ev_io io;
	struct cv_resolver *resolver;
};

struct cv_resolver {
	struct cv_loop *loop;
	ares_channel channel;
	struct watch watch[SOCKETS];
	ev_timer timer;
	unsigned asked; /* queries under way */
};

struct cv_query {
	struct cv_loop *loop;
	cv_resolved *answer; /* NULL: cancelled */
	void *user;
	ev_timer later; /* a number, or an immediate failure */
	bool asked;     /* c-ares will call back */
	struct cv_addr addr[ADDRS];
	unsigned n;
	const char *why;
};

static void arm(struct cv_resolver *r)
{
	struct timeval tv, *next = ares_timeout(r->channel, NULL, &tv);
	ev_timer_stop(r->loop->ev, &r->timer);
	if (!next)
		return;
	ev_timer_set(&r->timer,
		(double)next->tv_sec + (double)next->tv_usec / 1e6, 0.);
	ev_timer_start(r->loop->ev, &r->timer);
}

static void on_io(struct ev_loop *ev, ev_io *w, int events)
{
	struct cv_resolver *r = ((struct watch *)w->data)->resolver;
	(void)ev;
	ares_process_fd(r->channel, events & EV_READ ? w->fd : ARES_SOCKET_BAD,
		events & EV_WRITE ? w->fd : ARES_SOCKET_BAD);
	arm(r);
}

static void on_timer(struct ev_loop *ev, ev_timer *w, int events)
{
	struct cv_resolver *r = w->data;
	(void)ev;
	(void)events;
	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm(r);
}

/* c-ares tells which of its sockets it wants watched */
static void on_socket(void *data, ares_socket_t fd, int readable, int writable)
{
	struct cv_resolver *r = data;
	int events = (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0);
	struct watch *free = NULL;
	for (int i = 0; i < SOCKETS; i++) {
		struct watch *w = &r->watch[i];
		if (ev_is_active(&w->io) && w->io.fd == fd) {
			ev_io_stop(r->loop->ev, &w->io);
			free = w;
			break;
		}
		if (!ev_is_active(&w->io) && !free)
			free = w;
	}
	if (!events || !free)
		return;
	ev_io_init(&free->io, on_io, fd, events);
	free->io.data = free;
	free->resolver = r;
	ev_io_start(r->loop->ev, &free->io);
}

static struct cv_resolver *resolver(struct cv_loop *l)
{
	if (l->resolver)
		return l->resolver;
	struct cv_resolver *r = calloc(1, sizeof *r);
	struct ares_options opt = {
		.timeout = 1000,
		.tries = 3,
		.sock_state_cb = on_socket,
		.sock_state_cb_data = r,
	};
	/* no ares_library_init(): it is for Windows, and counts in a global */
	if (!r || ares_init_options(&r->channel, &opt,
			  ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
				  ARES_OPT_SOCK_STATE_CB))
		goto fail;
	r->loop = l;
	ev_timer_init(&r->timer, on_timer, 0., 0.);
	r->timer.data = r;
	return l->resolver = r;
fail:
	free(r);
	return NULL;
}

static void finish(struct cv_query *q)
{
	q->answer(q->user, q->addr, q->n, q->why);
	free(q);
}

/* families alternate, in the order in which they came (RFC 8305) */
static void interleave(struct cv_query *q)
{
	struct cv_addr out[ADDRS] = { 0 };
	unsigned n = 0, i[2] = { 0, 0 };
	uint8_t family = q->n ? q->addr[0].family : 0;
	while (n < q->n) {
		unsigned *k = &i[family != q->addr[0].family];
		while (*k < q->n && q->addr[*k].family != family)
			(*k)++;
		if (*k < q->n)
			out[n++] = q->addr[(*k)++];
		family = family == CV_AF_INET ? CV_AF_INET6 : CV_AF_INET;
	}
	memcpy(q->addr, out, n * sizeof *out);
}

static void on_answer(
	void *user, int status, int timeouts, struct ares_addrinfo *info)
{
	struct cv_query *q = user;
	(void)timeouts;
	q->asked = false;
	q->loop->resolver->asked--;
	if (status == ARES_SUCCESS) {
		struct ares_addrinfo_node *a = info->nodes;
		for (; a && q->n < ADDRS; a = a->ai_next) {
			struct sockaddr_storage ss = { 0 };
			memcpy(&ss, a->ai_addr, a->ai_addrlen);
			cv_sock_from(&ss, &q->addr[q->n++]);
		}
		interleave(q);
	}
	ares_freeaddrinfo(info);
	if (!q->answer) {
		free(q);
		return;
	}
	q->why = q->n ? NULL : ares_strerror(status);
	/* not from within a call of ours: the loop hands the answer over */
	ev_timer_start(q->loop->ev, &q->later);
}

static void on_later(struct ev_loop *ev, ev_timer *w, int events)
{
	struct cv_query *q = w->data;
	(void)events;
	ev_timer_stop(ev, w);
	finish(q);
}

/* an address, perhaps with the name or number of its zone (RFC 4007, section
   11) */
static bool literal(struct cv_query *q, const char *host)
{
	const char *zone = strchr(host, '%');
	char ip[CV_URL_HOST], *end;
	q->n = 1;
	if (!cv_addr_parse_ip(host, &q->addr[0]))
		return true;
	q->n = 0;
	if (!zone || zone - host >= (long)sizeof ip)
		return false;
	snprintf(ip, sizeof ip, "%.*s", (int)(zone - host), host);
	if (cv_addr_parse_ip(ip, &q->addr[0]) ||
		q->addr[0].family != CV_AF_INET6)
		return false;
	unsigned long index = strtoul(++zone, &end, 10);
	if (!*zone || *end || index > UINT32_MAX)
		index = if_nametoindex(zone);
	q->addr[0].scope = (uint32_t)index;
	q->n = index ? 1 : 0;
	q->why = index ? NULL : "no such interface";
	return true;
}

struct cv_query *cv_resolve(
	struct cv_loop *l, const char *host, cv_resolved *answer, void *user)
{
	struct cv_query *q = calloc(1, sizeof *q);
	if (!q)
		return NULL;
	q->loop = l;
	q->answer = answer;
	q->user = user;
	ev_timer_init(&q->later, on_later, 0., 0.);
	q->later.data = q;
	if (literal(q, host)) {
		ev_timer_start(l->ev, &q->later);
		return q;
	}
	struct cv_resolver *r = resolver(l);
	if (!r || r->asked == CV_LOOKUPS) {
		free(q);
		return NULL;
	}
	struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM };
	q->asked = true;
	r->asked++;
	ares_getaddrinfo(r->channel, host, NULL, &hints, on_answer, q);
	arm(r);
	return q;
}

void cv_resolve_cancel(struct cv_query *q)
{
	q->answer = NULL;
	if (q->asked)
		return;
	ev_timer_stop(q->loop->ev, &q->later);
	free(q);
}

void cv_resolver_free(struct cv_loop *l)
{
	struct cv_resolver *r = l->resolver;
	if (!r)
		return;
	ares_destroy(r->channel);
	ev_timer_stop(l->ev, &r->timer);
	for (int i = 0; i < SOCKETS; i++)
		ev_io_stop(l->ev, &r->watch[i].io);
	free(r);
	l->resolver = NULL;
}
