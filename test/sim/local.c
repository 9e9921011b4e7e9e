/* SPDX-License-Identifier: MIT */
/* local.c - programs at clients, targets behind the server */
#include "sim/local.h"

#include "sim/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BURST = 150,   /* largest datagrams, or ... */
	CRUMBS = 3000, /* ... smallest ones, in two trains */
	GRO = 64,      /* most that a kernel makes one train of */
	DRAIN_MS = 4,
};

#define TIRED CV_MS(700) /* between sends once a seed has sent its share */

/** enum manner - how a target takes being opened */
enum manner {
	ACCEPTS,
	ACCEPTS_LATE,
	REFUSES,
	REFUSES_LATE,
	UNKNOWN, /* its URL makes no sense */
	FULL,    /* no descriptor is left */
	MANNERS,
};

enum stage { RESTS, ASKED, REACHED, ANSWERED };

/** struct sender - what a program and a target have in common */
struct sender {
	struct event send;
	struct cv_waiter waiter;
	bool paused;
	unsigned todo; /* answers due */
	uint32_t size; /* of these */
};

/** struct conv - a program at a client */
struct conv {
	struct sender s;
	struct local *l;
	unsigned no;
	enum manner manner; /* of its target */
	bool pinned, chatty;
	char target[48];
	struct cv_addr src;
	struct gen *gen; /* its flow, or NULL */
	struct cv_end *end;
	struct event reopen;
	enum stage stage;
	uint32_t asked; /* number of the probe */
	cv_time reached;
};

/** struct target - the far end of a flow */
struct target {
	struct sender s;
	struct local *l;
	struct cv_list all;
	struct cv_end *end; /* NULL until it is opened for good */
	struct conv *conv;
	struct gen *gen;
	struct event opened;
	bool chatty;
};

struct local {
	struct cv_edge edge;
	struct host *h;
	struct conv conv[CONVS];
	unsigned convs;
	struct cv_list targets;
	bool full;    /* has trains to flush */
	bool ran_out; /* of descriptors: idle flows had to give way */
};

static void resume(struct cv_waiter *w)
{
	struct sender *s = CV_CONTAINER(w, struct sender, waiter);
	cv_list_del(&w->list);
	s->paused = false;
}

static void init_sender(struct sender *s, void (*fire)(struct event *))
{
	memset(s, 0, sizeof *s);
	s->send.fire = fire;
	cv_list_init(&s->waiter.list);
	s->waiter.resume = resume;
}

static void stop_sender(struct world *w, struct sender *s)
{
	cv_list_del(&s->waiter.list);
	event_set(w, &s->send, CV_NEVER);
	s->paused = false;
	s->todo = 0;
}

/* @n datagrams of @size, the last one perhaps shorter */
static void hand(struct host *h, struct sender *s, struct cv_end *end,
	struct gen *g, struct cv_frame *f)
{
	static uint8_t bytes[65536];
	f->type = CV_FRAME_DGRAM;
	f->data = bytes;
	model_hand(h, g, (unsigned)(h->no == 0), f);
	if (!h->no)
		g->touched = h->w->now;
	h->w->bytes_left -= f->len + 300 + 60 * (int64_t)cv_frame_count(f);
	if (cv_flow_send(&h->node, end, f, host_now(h)) && !h->w->cfg.deaf) {
		cv_flow_wait(end, &s->waiter);
		s->paused = true;
	}
}

static struct cv_frame train(struct world *w, unsigned n, uint32_t size)
{
	struct rng *r = &w->rng;
	struct cv_frame f = { .seg = size, .len = size };
	if (!size || size > CV_DGRAM_MAX / 2)
		return f;
	if (n > CV_DGRAM_MAX / size)
		n = CV_DGRAM_MAX / size;
	f.len = n * size;
	if (n > 1 && chance(r, 30))
		f.len -= (uint32_t)below(r, size);
	return f;
}

static uint32_t some_size(struct world *w)
{
	struct rng *r = &w->rng;
	if (w->bytes_left <= 0)
		return (uint32_t)below(r, 64);
	switch (below(r, 10)) {
	case 0:
		return (uint32_t)below(r, 24);
	case 1:
		return (uint32_t)spread(r, 1, w->cfg.largest);
	case 2:
		return chance(r, 10) ? w->cfg.largest : 1400;
	default:
		return (uint32_t)between(r, 20, 1472);
	}
}

static unsigned some_count(struct world *w)
{
	if (w->bytes_left <= 0 || chance(&w->rng, 60))
		return 1;
	if (chance(&w->rng, 8))
		return GRO;
	return (unsigned)spread(&w->rng, 1, 45);
}

static struct conv *conv_of(struct host *client, const struct gen *g)
{
	return &client->local->conv[g->conv];
}

static bool open_flow(struct conv *c)
{
	struct host *h = c->l->h;
	struct cv_opening o = {
		.edge = &c->l->edge,
		.src = c->src,
		.session = h->session,
		.target = c->target,
	};
	if (c->gen)
		return true;
	struct cv_flow *f = cv_node_open(&h->node, &o, host_now(h));
	if (!f)
		return false;
	if (cv_flow_find(&h->node.flows, &c->l->edge, &c->src, &o.dst) != f)
		broken(h->w, "host %u: a flow cannot be found", h->no);
	c->end = &f->end[0];
	c->end->ctx = c;
	c->gen = model_gen(h, c->no, f);
	return true;
}

static void again(struct world *w, struct sender *s, cv_time gap)
{
	if (s->paused && gap < CV_MS(DRAIN_MS))
		gap = CV_MS(DRAIN_MS);
	if (w->bytes_left <= 0 && gap < TIRED)
		gap = TIRED;
	event_set(w, &s->send, w->now + gap);
}

static void on_send(struct event *e)
{
	struct conv *c = CV_CONTAINER(e, struct conv, s.send);
	struct host *h = c->l->h;
	struct world *w = h->w;
	if (w->quiet)
		return;
	if (!h->node.draining && open_flow(c)) {
		struct cv_frame f =
			train(w, c->s.paused ? 1 : some_count(w), some_size(w));
		hand(h, &c->s, c->end, c->gen, &f);
	}
	again(w, &c->s, spread(&w->rng, 1 + w->cfg.gap / 64, 4 * w->cfg.gap));
	host_turn(h);
}

static void on_reopen(struct event *e)
{
	struct conv *c = CV_CONTAINER(e, struct conv, reopen);
	struct host *h = c->l->h;
	if (h->node.draining)
		return;
	if (!c->gen && open_flow(c))
		cv_flow_pin(&h->node, cv_end_flow(c->end));
	else if (!c->gen)
		event_set(h->w, e, h->w->now + CV_SEC(5));
	host_turn(h);
}

/* answers and a target's own datagrams */
static void on_answer(struct event *e)
{
	struct target *t = CV_CONTAINER(e, struct target, s.send);
	struct host *h = t->l->h;
	struct world *w = h->w;
	if (!t->end || (w->quiet && !t->s.todo))
		return;
	uint32_t size = t->s.todo ? t->s.size : some_size(w);
	struct cv_frame f = train(w, t->s.todo ? t->s.todo : 1, size);
	t->s.todo = 0;
	hand(h, &t->s, t->end, t->gen, &f);
	if (t->chatty)
		again(w, &t->s, spread(&w->rng, CV_MS(1), 8 * w->cfg.gap));
	host_turn(h);
}

static void on_opened(struct event *e)
{
	struct target *t = CV_CONTAINER(e, struct target, opened);
	struct host *h = t->l->h;
	struct cv_end *end = t->end;
	if (t->conv->manner == ACCEPTS_LATE) {
		cv_flow_opened(&h->node, end, host_now(h));
	} else {
		end->ctx = NULL;
		stop_sender(h->w, &t->s);
		cv_list_del(&t->all);
		t->gen->target = NULL;
		t->gen->served = 0;
		free(t);
		cv_flow_refused(&h->node, end, CULVERT_EREFUSED, host_now(h));
	}
	host_turn(h);
}

/* the same flow may not get a second far end while the first could live */
static void check_open(struct local *l, struct gen *g)
{
	struct world *w = l->h->w;
	/* closed at most a grain of time early: cv_flow_touch() is coarse */
	bool may_end = w->cfg.on[FAULT_FEW_FLOWS] || w->cfg.on[FAULT_MEMORY] ||
		       l->ran_out ||
		       w->now - g->touched + CV_MS(500) >= w->cfg.idle;
	if (g->target)
		broken(w, "flow %u was opened twice", g->uid);
	else if (g->served == l->h->node.instance && g->open && !may_end)
		broken(w,
			"flow %u of host %u lost its far end, used %llu us "
			"ago",
			g->uid, g->client,
			(unsigned long long)(w->now - g->touched));
}

/* 0, or 1 if it will answer later */
static int new_target(
	struct local *l, struct cv_end *end, struct conv *c, struct gen *g)
{
	struct world *w = l->h->w;
	struct target *t = calloc(1, sizeof *t);
	check_open(l, g);
	if (!t)
		abort();
	init_sender(&t->s, on_answer);
	t->opened.fire = on_opened;
	t->l = l;
	t->conv = c;
	t->gen = g;
	t->end = end;
	t->chatty = !w->healed && chance(&w->rng, 20);
	cv_list_init(&t->all);
	cv_list_append(&l->targets, &t->all);
	end->ctx = t;
	g->target = t;
	g->served = l->h->node.instance;
	g->touched = w->now;
	if (t->chatty)
		again(w, &t->s, spread(&w->rng, CV_MS(1), CV_SEC(1)));
	if (c->manner != ACCEPTS_LATE && c->manner != REFUSES_LATE)
		return 0;
	event_set(w, &t->opened,
		w->now + spread(&w->rng, 1, w->healed ? 1000 : CV_SEC(2)));
	return 1;
}

static int open_target(struct cv_edge *edge, struct cv_end *end,
	const char *target, size_t len, cv_time now)
{
	struct local *l = CV_CONTAINER(edge, struct local, edge);
	struct world *w = l->h->w;
	struct cv_end *peer = cv_end_other(end);
	struct gen *g = model_find(w, peer->session->instance, peer->id ^ 1);
	(void)now;
	if (!g) {
		broken(w, "an OPEN of a flow that nobody opened");
		return CULVERT_EINVAL;
	}
	struct conv *c = conv_of(w->host[g->client], g);
	if (strlen(c->target) != len || memcmp(c->target, target, len))
		broken(w, "flow %u: another target came out", g->uid);
	if (c->manner == REFUSES)
		return CULVERT_EREFUSED;
	if (c->manner == UNKNOWN)
		return CULVERT_ESYNTAX;
	if (c->manner == FULL && !w->healed) {
		l->ran_out = true;
		return CULVERT_EFULL;
	}
	return new_target(l, end, c, g);
}

static int refuse(struct cv_edge *edge, struct cv_end *end, const char *target,
	size_t len, cv_time now)
{
	struct local *l = CV_CONTAINER(edge, struct local, edge);
	(void)end;
	(void)target;
	(void)len;
	(void)now;
	broken(l->h->w, "the server opened a flow");
	return CULVERT_EREFUSED;
}

static int to_target(struct cv_edge *edge, struct cv_end *end,
	const struct cv_frame *f, cv_time now)
{
	struct local *l = CV_CONTAINER(edge, struct local, edge);
	struct world *w = l->h->w;
	struct target *t = end->ctx;
	struct seen s = model_delivered(l->h, t->gen, 0, f);
	struct conv *c = t->conv;
	(void)now;
	l->full = true;
	t->gen->touched = w->now;
	cv_node_edge_dirty(&l->h->node, edge);
	if (c->stage == ASKED && c->gen == t->gen && s.seq >= c->asked) {
		c->stage = REACHED;
		c->reached = w->now;
	}
	if (c->stage != REACHED && chance(&w->rng, 30))
		return 0;
	t->s.todo = (unsigned)cv_frame_count(f);
	t->s.size = f->seg;
	if (t->s.todo > 16)
		t->s.todo = 16;
	if (w->bytes_left <= 0 && t->s.size > 64)
		t->s.size = 64;
	event_set(w, &t->s.send, w->now + spread(&w->rng, 1, CV_MS(3)));
	return 0;
}

static int to_program(struct cv_edge *edge, struct cv_end *end,
	const struct cv_frame *f, cv_time now)
{
	struct local *l = CV_CONTAINER(edge, struct local, edge);
	struct conv *c = end->ctx;
	struct seen s = model_delivered(l->h, c->gen, 1, f);
	(void)now;
	l->full = true;
	cv_node_edge_dirty(&l->h->node, edge);
	if (c->stage == REACHED && s.handed >= c->reached)
		c->stage = ANSWERED;
	return 0;
}

static void flush(struct cv_edge *edge)
{
	CV_CONTAINER(edge, struct local, edge)->full = false;
}

static void close_target(
	struct cv_edge *edge, struct cv_end *end, enum cv_reset why)
{
	(void)why;
	struct local *l = CV_CONTAINER(edge, struct local, edge);
	struct target *t = end->ctx;
	if (!t)
		return;
	stop_sender(l->h->w, &t->s);
	event_set(l->h->w, &t->opened, CV_NEVER);
	cv_list_del(&t->all);
	t->gen->target = NULL;
	end->ctx = NULL;
	free(t);
}

static void close_program(
	struct cv_edge *edge, struct cv_end *end, enum cv_reset why)
{
	(void)why;
	struct local *l = CV_CONTAINER(edge, struct local, edge);
	struct conv *c = end->ctx;
	cv_list_del(&c->s.waiter.list);
	c->s.paused = false;
	c->gen->open = false;
	c->gen = NULL;
	c->end = NULL;
	if (c->pinned && !l->h->stopping && !l->h->node.draining)
		event_set(l->h->w, &c->reopen, l->h->w->now + CV_SEC(5));
}

static const struct cv_edge_ops programs = {
	.name = "sim",
	.open = refuse,
	.dgram = to_program,
	.flush = flush,
	.close = close_program,
};

static const struct cv_edge_ops targets = {
	.name = "sim",
	.open = open_target,
	.dgram = to_target,
	.flush = flush,
	.close = close_target,
};

static void new_conv(struct local *l, unsigned no)
{
	struct host *h = l->h;
	struct rng *r = &h->w->rng;
	struct conv *c = &l->conv[no];
	c->l = l;
	c->no = no;
	c->manner = ACCEPTS;
	if (chance(r, 25))
		c->manner = (enum manner)between(r, ACCEPTS_LATE, MANNERS - 1);
	c->pinned = c->manner == ACCEPTS && chance(r, 15);
	snprintf(c->target, sizeof c->target, "udp://10.9.%u.%u:%llu", h->no,
		no, (unsigned long long)spread(r, 1, 65535));
	c->src = (struct cv_addr){ .family = CV_AF_INET,
		.ip = { 127, 0, 0, (uint8_t)(1 + no % 3) },
		.port = (uint16_t)(1000 + no) };
	init_sender(&c->s, on_send);
	c->reopen.fire = on_reopen;
}

static struct local *new_local(struct host *h)
{
	struct local *l = calloc(1, sizeof *l);
	if (!l)
		abort();
	l->h = h;
	l->edge.ops = h->no ? &programs : &targets;
	cv_list_init(&l->targets);
	l->convs =
		h->no ? (unsigned)between(&h->w->rng, 1, h->w->cfg.convs) : 0;
	for (unsigned i = 0; i < l->convs; i++)
		new_conv(l, i);
	return l;
}

void local_start(struct host *h)
{
	struct world *w = h->w;
	if (!h->local)
		h->local = new_local(h);
	struct local *l = h->local;
	l->edge.node = &h->node;
	l->full = false;
	cv_list_init(&l->edge.dirty);
	if (!h->no)
		h->node.out[0] = &l->edge;
	for (unsigned i = 0; i < l->convs; i++) {
		struct conv *c = &l->conv[i];
		if (c->pinned)
			event_set(w, &c->reopen, w->now);
		if (!w->quiet)
			again(w, &c->s, spread(&w->rng, 1, CV_SEC(1)));
	}
}

void local_stop(struct host *h)
{
	struct local *l = h->local;
	for (unsigned i = 0; i < l->convs; i++) {
		stop_sender(h->w, &l->conv[i].s);
		event_set(h->w, &l->conv[i].reopen, CV_NEVER);
	}
	cv_list_del(&l->edge.dirty);
}

void local_free(struct host *h)
{
	free(h->local);
	h->local = NULL;
}

bool local_flushed(const struct host *h)
{
	return !h->local->full;
}

void local_burst(struct host *h)
{
	struct local *l = h->local;
	struct conv *c = &l->conv[below(&h->w->rng, l->convs)];
	if (h->node.draining || !open_flow(c))
		return;
	bool crumbs = chance(&h->w->rng, 50);
	for (int i = 0; i < (crumbs ? 2 : BURST); i++) {
		struct cv_frame f =
			crumbs ? train(h->w, CRUMBS,
					 (uint32_t)between(&h->w->rng, 1, 20))
			       : train(h->w, 1, CV_DGRAM_MAX);
		hand(h, &c->s, c->end, c->gen, &f);
	}
	host_turn(h);
}

static bool answers(const struct conv *c)
{
	return c->manner == ACCEPTS || c->manner == ACCEPTS_LATE ||
	       c->manner == FULL;
}

bool local_probe(struct host *h, bool anew)
{
	struct local *l = h->local;
	bool any = false;
	for (unsigned i = 0; i < l->convs; i++) {
		struct conv *c = &l->conv[i];
		struct cv_frame f = { .seg = 64, .len = 64 };
		if (anew)
			c->stage = RESTS;
		if (!answers(c) || c->stage == ANSWERED)
			continue;
		any = true;
		if (model_verbose)
			printf("# %12.6f host%u probes flow %u (%d)\n",
				(double)h->w->now / 1e6, h->no,
				c->gen ? c->gen->uid : 0, (int)c->stage);
		if (!open_flow(c))
			continue;
		c->stage = ASKED;
		c->asked = (uint32_t)c->gen->dir[0].n;
		hand(h, &c->s, c->end, c->gen, &f);
	}
	host_turn(h);
	return any;
}
