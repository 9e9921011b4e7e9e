/* SPDX-License-Identifier: MIT */
/* net.c - connections and their pipes */
#include "sim/net.h"

#include "sim/model.h"
#include "sim/stranger.h"

#include <stdlib.h>
#include <string.h>

#define USER_TIMEOUT CV_SEC(15) /* as links set it on their sockets */

/* the longest record that waits for its rest, and the largest pipe */
enum { AREA = CV_PACKET_MAX + 64 + (512 << 10) };

static struct end *other(struct end *e)
{
	return &e->conn->end[!e->side];
}

static struct pipe *pipe_of(struct end *e)
{
	return &e->conn->pipe[e->side];
}

static void hash(struct world *w, const uint8_t *p, size_t n)
{
	const uint64_t prime = UINT64_C(0x100000001b3);
	uint64_t x = (w->trace ^ w->now) * prime;
	for (; n >= 8; p += 8, n -= 8)
		x = (x ^ cv_get64(p)) * prime;
	for (; n; p++, n--)
		x = (x ^ *p) * prime;
	w->trace = x;
}

static void arm(struct conn *c, struct pipe *p)
{
	cv_time t = CV_NEVER;
	if (p->segs)
		t = p->seg[p->first].at;
	else if (p->fin)
		t = c->w->now + c->delay;
	if (t != CV_NEVER && t < c->stalled_until)
		t = c->stalled_until;
	event_set(c->w, &p->arrive, t);
}

/* one segment: a few bytes, a few packets, or all there is */
static uint64_t segment(struct world *w, uint64_t n)
{
	uint64_t most;
	switch (below(&w->rng, 8)) {
	case 0:
		most = between(&w->rng, 1, 8);
		break;
	case 1:
		most = between(&w->rng, 9, 1460);
		break;
	case 2:
		most = 65536;
		break;
	default:
		most = 1460 * between(&w->rng, 1, 40);
	}
	return n < most ? n : most;
}

static void schedule(struct conn *c, struct pipe *p, uint64_t n)
{
	struct world *w = c->w;
	uint64_t end = p->written - n;
	while (n) {
		uint64_t k = segment(w, n);
		uint32_t rate = w->now < c->slow_until ? c->slow_rate : c->rate;
		if (p->free_at < w->now)
			p->free_at = w->now;
		p->free_at += k * 1000000 / rate + 1;
		unsigned at = (p->first + p->segs) % SEGMENTS;
		if (p->segs == SEGMENTS)
			at = (p->first + p->segs - 1) % SEGMENTS;
		else
			p->segs++;
		end += k;
		n -= k;
		p->seg[at].end = end;
		p->seg[at].at = p->free_at + c->delay;
	}
}

/* who writes where nobody is learns it, sooner or later */
static void expect_error(struct end *e)
{
	struct conn *c = e->conn;
	cv_time t = c->w->now + 2 * c->delay;
	if (e->error.place)
		return;
	if (c->silent || c->stalled_until > t)
		t = c->w->now + USER_TIMEOUT;
	if (!other(e)->alive || c->stalled_until > t)
		event_set(c->w, &e->error, t);
}

size_t pipe_room(const struct end *e)
{
	const struct pipe *p = &e->conn->pipe[e->side];
	return p->cap - (size_t)(p->written - p->arrived);
}

size_t pipe_write(struct end *e, const uint8_t *p, size_t n)
{
	struct pipe *out = pipe_of(e);
	size_t room = pipe_room(e);
	if (!e->alive)
		return 0;
	if (n > room)
		n = room;
	if (n && e->host && chance(&e->conn->w->rng, 5))
		n = between(&e->conn->w->rng, 1, n);
	hash(e->conn->w, p, n);
	for (size_t left = n; left;) {
		size_t at = (size_t)(out->written % out->cap);
		size_t k = out->cap - at < left ? out->cap - at : left;
		memcpy(out->ring + at, p, k);
		out->written += k;
		p += k;
		left -= k;
	}
	schedule(e->conn, out, n);
	if (!out->arrive.place && other(e)->alive)
		arm(e->conn, out);
	expect_error(e);
	return n;
}

/* bytes that have arrived by now, sometimes fewer than could be had */
static size_t take(struct world *w, struct pipe *p, uint8_t *area)
{
	uint64_t end = p->arrived;
	bool all = chance(&w->rng, 50);
	while (p->segs && p->seg[p->first].at <= w->now) {
		end = p->seg[p->first].end;
		p->first = (p->first + 1) % SEGMENTS;
		p->segs--;
		if (!all)
			break;
	}
	size_t n = 0;
	while (p->arrived < end) {
		size_t at = (size_t)(p->arrived % p->cap);
		size_t k = p->cap - at;
		if (k > end - p->arrived)
			k = (size_t)(end - p->arrived);
		memcpy(area + n, p->ring + at, k);
		p->arrived += k;
		n += k;
	}
	return n;
}

static void on_arrive(struct event *ev)
{
	static uint8_t area[AREA];
	struct pipe *p = CV_CONTAINER(ev, struct pipe, arrive);
	struct end *to = p->to, *from = other(to);
	struct conn *c = to->conn;
	struct world *w = c->w;
	size_t kept = to->rest ? to->rest->len : 0;
	if (!to->alive)
		return;
	if (w->now < c->stalled_until) {
		arm(c, p);
		return;
	}
	size_t n = take(w, p, area + kept);
	if (n && c->flip) {
		area[kept + below(&w->rng, n)] ^=
			(uint8_t)(1u << below(&w->rng, 8));
		c->flip = false;
		c->garbled = true;
	}
	if (from->alive && from->waiting && !from->writable.place)
		event_set(w, &from->writable, w->now + c->delay);
	arm(c, p);
	if (!n)
		link_eof(to, "closed by the other end");
	else if (to->host)
		link_readable(to, area, n);
	else
		stranger_hears(to, area, n);
}

static void on_error(struct event *ev)
{
	struct end *e = CV_CONTAINER(ev, struct end, error);
	if (e->alive)
		link_eof(e, "connection reset");
}

static void on_writable(struct event *ev)
{
	struct end *e = CV_CONTAINER(ev, struct end, writable);
	if (!e->alive)
		return;
	e->waiting = false;
	if (e->host)
		link_writable(e);
}

struct conn *conn_new(struct world *w, struct host *h)
{
	struct conn *c = calloc(1, sizeof *c);
	if (!c)
		abort();
	c->w = w;
	c->serial = ++w->conn_serial;
	c->instance = w->host[0]->node.instance;
	c->life = h ? h->node.instance : 0;
	c->rate = w->cfg.rate;
	c->delay = w->cfg.delay;
	cv_list_init(&c->all);
	cv_list_append(&w->conns, &c->all);
	for (unsigned i = 0; i < 2; i++) {
		struct end *e = &c->end[i];
		struct pipe *p = &c->pipe[i];
		e->conn = c;
		e->side = i;
		e->host = i ? w->host[0] : h;
		e->alive = true;
		e->error.fire = on_error;
		e->writable.fire = on_writable;
		cv_list_init(&e->of_host);
		p->to = &c->end[!i];
		p->cap = w->cfg.sndbuf;
		p->ring = malloc(p->cap);
		p->arrive.fire = on_arrive;
		if (!p->ring)
			abort();
		struct cv_addr a = { .family = CV_AF_INET, .port = 4000 };
		memcpy(a.ip, (uint8_t[]){ 10, 0, 0, (uint8_t)(h ? h->no : 66) },
			4);
		a.port = (uint16_t)(a.port + c->serial % 50000);
		if (i)
			e->link.remote = a;
		else
			e->link.local = a;
	}
	return c;
}

void conn_stall(struct conn *c, cv_time how_long)
{
	cv_time until = c->w->now + how_long;
	if (until > c->stalled_until)
		c->stalled_until = until;
	for (unsigned i = 0; i < 2; i++) {
		struct pipe *p = &c->pipe[i];
		if (c->end[i].alive && p->written > p->arrived)
			expect_error(&c->end[i]);
	}
}

void conn_reset(struct conn *c, bool half)
{
	struct world *w = c->w;
	unsigned first = (unsigned)below(&w->rng, 2);
	struct end *a = &c->end[first], *b = &c->end[!first];
	if (!a->alive || !b->alive || a->reading || b->reading)
		return;
	c->silent = half && chance(&w->rng, 50);
	if (a->host)
		link_cut(a, half ? CLOSE_SILENT : CLOSE_RST);
	else
		end_gone(a, CLOSE_RST);
}

void end_gone(struct end *e, enum closing how)
{
	struct conn *c = e->conn;
	struct end *o = other(e);
	e->alive = false;
	event_set(c->w, &e->first, CV_NEVER);
	event_set(c->w, &e->error, CV_NEVER);
	event_set(c->w, &e->writable, CV_NEVER);
	event_set(c->w, &c->pipe[o->side].arrive, CV_NEVER);
	cv_list_del(&e->of_host);
	model_lost(c->w->model, &c->pipe[o->side]);
	if (!o->alive || how == CLOSE_SILENT)
		event_set(c->w, &c->pipe[e->side].arrive, CV_NEVER);
	if (!o->alive)
		return;
	if (how == CLOSE_FIN) {
		c->pipe[e->side].fin = true;
		arm(c, &c->pipe[e->side]);
	} else if (how == CLOSE_RST) {
		event_set(c->w, &c->pipe[e->side].arrive, CV_NEVER);
		event_set(c->w, &o->error, c->w->now + c->delay + 1);
	}
}

bool net_honest(const struct cv_link *link)
{
	const struct end *e = CV_CONTAINER(link, struct end, link);
	return e->conn->end[0].host != NULL;
}

uint64_t net_life(const struct cv_link *link)
{
	return CV_CONTAINER(link, struct end, link)->conn->life;
}

void net_cut(struct host *h, bool abrupt)
{
	while (!cv_list_empty(&h->ends)) {
		struct end *e = CV_CONTAINER(h->ends.next, struct end, of_host);
		e->conn->silent = abrupt;
		link_cut(e, abrupt                   ? CLOSE_SILENT
			    : chance(&h->w->rng, 50) ? CLOSE_FIN
						     : CLOSE_RST);
	}
}

void net_heal(struct world *w)
{
	w->refused_until = w->hung_until = 0;
	for (struct cv_list *l = w->conns.next; l != &w->conns; l = l->next) {
		struct conn *c = CV_CONTAINER(l, struct conn, all);
		c->silent = c->flip = c->repeat = false;
		if (c->garbled)
			conn_reset(c, false);
		c->stalled_until = c->slow_until = 0;
		c->rate = c->rate < 4000000 ? 4000000 : c->rate;
		for (unsigned i = 0; i < 2; i++) {
			struct end *e = &c->end[i];
			struct pipe *p = &c->pipe[i];
			/* what the retransmissions meet, at the latest */
			if (e->alive && !c->end[!i].alive && !c->pipe[!i].fin)
				event_set(w, &e->error, w->now + 2 * c->delay);
			if (e->alive && c->end[!i].alive)
				event_set(w, &e->error, CV_NEVER);
			for (unsigned k = 0; k < p->segs; k++)
				p->seg[(p->first + k) % SEGMENTS].at = w->now;
			p->free_at = w->now;
			if (p->arrive.place)
				arm(c, p);
		}
	}
}

static void conn_free(struct conn *c)
{
	for (unsigned i = 0; i < 2; i++) {
		if (c->end[i].alive)
			end_gone(&c->end[i], CLOSE_SILENT);
		stranger_free(&c->end[i]);
	}
	for (unsigned i = 0; i < 2; i++) {
		model_lost(c->w->model, &c->pipe[i]);
		event_set(c->w, &c->pipe[i].arrive, CV_NEVER);
		free(c->pipe[i].ring);
		free(c->pipe[i].tag);
		free(c->end[i].pace.past);
	}
	cv_list_del(&c->all);
	free(c);
}

static void reap(struct world *w, bool all)
{
	for (struct cv_list *l = w->conns.next, *next; l != &w->conns;
		l = next) {
		struct conn *c = CV_CONTAINER(l, struct conn, all);
		next = l->next;
		if (all || (!c->end[0].alive && !c->end[1].alive))
			conn_free(c);
	}
}

void net_reap(struct world *w)
{
	reap(w, false);
}

void net_clear(struct world *w)
{
	reap(w, true);
}
