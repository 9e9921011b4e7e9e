/* SPDX-License-Identifier: MIT */
/* world.c - time, and hosts that start, turn and stop */
#include "sim/world.h"

#include "sim/fault.h"
#include "sim/local.h"
#include "sim/model.h"
#include "sim/net.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPINS = 200 }; /* ticks that follow each other at once: a livelock */

void event_set(struct world *w, struct event *e, cv_time when)
{
	events_set(&w->events, e, when < w->now ? w->now : when);
}

void world_run(struct world *w, cv_time until)
{
	struct event *e;
	while (!w->failed && (e = events_next(&w->events, until))) {
		w->now = e->when;
		e->fire(e);
		net_reap(w);
	}
	w->now = until;
}

void broken(struct world *w, const char *fmt, ...)
{
	va_list ap;
	if (w->failed)
		return;
	w->failed = true;
	int n = snprintf(
		w->why, sizeof w->why, "at %.6f s: ", (double)w->now / 1e6);
	va_start(ap, fmt);
	vsnprintf(w->why + n, sizeof w->why - (size_t)n, fmt, ap);
	va_end(ap);
}

static void *env_alloc(void *user, size_t size)
{
	struct host *h = user;
	h->allocated += size;
	return calloc(1, size);
}

static void env_free(void *user, void *ptr, size_t size)
{
	struct host *h = user;
	if (h->allocated < size)
		broken(h->w, "more memory given back than taken");
	h->allocated -= size;
	free(ptr);
}

static void env_random(void *user, void *out, size_t len)
{
	struct host *h = user;
	for (uint8_t *p = out; len; p++, len--)
		*p = (uint8_t)(rng_next(&h->rng) >> 32);
}

static void env_log(void *user, enum culvert_log_level level, const char *line)
{
	struct host *h = user;
	model_log(h, level, line);
}

static void env_dial(void *user, struct cv_session *s)
{
	struct host *h = user;
	(void)s;
	if (!h->stopping)
		dial_kick(h);
}

cv_time host_now(const struct host *h)
{
	return h->w->now + h->offset;
}

static void check_path(
	struct host *h, struct cv_session *s, const struct cv_path *p)
{
	struct cv_node *n = &h->node;
	struct cv_list *k = n->links.next;
	while (k != &n->links && k != &p->link->all)
		k = k->next;
	if (k == &n->links)
		broken(h->w, "host %u: a session has a link that is gone",
			h->no);
	else if (p->link->session != s || p->link->path != p)
		broken(h->w, "host %u: a link forgot its session", h->no);
	else if (!net_honest(p->link) && !h->w->cfg.plain)
		broken(h->w, "a stranger has a session");
	else if (cv_path_number(p) >= (s->cur ? s->cur->links : 1))
		broken(h->w, "host %u: a link has a place that is none", h->no);
	else if (!h->no && net_life(p->link) &&
		 net_life(p->link) != s->instance)
		broken(h->w, "the server kept a link of another life");
}

/* what a session does not have any more is closed, and not only forgotten */
static void check_homeless(struct host *h)
{
	struct cv_list *all = &h->node.links;
	for (struct cv_list *l = all->next; l != all; l = l->next) {
		struct cv_link *k = CV_CONTAINER(l, struct cv_link, all);
		if (k->session && !k->path)
			broken(h->w, "host %u: a link is in nobody's place",
				h->no);
	}
}

/* a session is where its links are, and a link knows its session */
static void check_links(struct host *h)
{
	struct cv_node *n = &h->node;
	for (struct cv_list *l = n->sessions.next; l != &n->sessions;
		l = l->next) {
		struct cv_session *s = CV_CONTAINER(l, struct cv_session, all);
		for (struct cv_path *p = NULL; (p = cv_path_next(s, p));)
			check_path(h, s, p);
		if (s->ready > h->w->cfg.links)
			broken(h->w, "host %u: a session has too many links",
				h->no);
	}
	check_homeless(h);
}

void host_turn(struct host *h)
{
	struct cv_node *n = &h->node;
	if (!h->running || h->w->failed)
		return;
	model_watch(h);
	check_links(h);
	if (!local_flushed(h))
		broken(h->w, "host %u: an edge was not flushed", h->no);
	if (h->w->failed)
		return;
	if (!cv_list_empty(&n->dirty_links))
		cv_node_flush(n, host_now(h));
	model_queues(h);
	cv_time t = cv_node_deadline(n);
	if (t != CV_NEVER)
		t = t > h->offset ? t - h->offset : h->w->now;
	event_set(h->w, &h->tick, t);
}

static void on_tick(struct event *e)
{
	struct host *h = CV_CONTAINER(e, struct host, tick);
	cv_time now = host_now(h);
	size_t flows = h->node.flows.count;
	cv_node_tick(&h->node, now);
	cv_node_input_done(&h->node);
	/* unless there was more to close than one tick may */
	if (cv_node_deadline(&h->node) <= now && h->node.flows.count >= flows)
		broken(h->w, "host %u: the deadline is not in the future",
			h->no);
	h->spins = h->w->now - h->ticked <= 10 ? h->spins + 1 : 0;
	h->ticked = h->w->now;
	if (h->spins > SPINS)
		broken(h->w, "host %u: its timer spins", h->no);
	host_turn(h);
}

static void add_session(struct host *h, struct host *peer)
{
	struct world *w = h->w;
	uint8_t pub[CV_KEY];
	if (w->cfg.plain)
		env_random(h, pub, sizeof pub);
	else
		cv_crypto_public(pub, peer->priv);
	struct cv_session *s = cv_session_new(&h->node, pub, w->cfg.plain);
	if (!s)
		abort();
	snprintf(s->name, sizeof s->name, "host%u", peer->no);
	if (w->cfg.psk)
		memset(s->psk, 0x5a + (int)(h->no + peer->no), CV_KEY);
	s->dials = h->no != 0;
	if (s->dials)
		s->allowed = w->cfg.links;
	if (h->no)
		h->session = s;
}

void host_start(struct host *h)
{
	struct world *w = h->w;
	struct cv_node *n = &h->node;
	/* sometimes the 32 bits of a TIME frame are about to wrap */
	h->offset = chance(&w->rng, 30)
			    ? (UINT64_C(1) << 32) - CV_SEC(5)
			    : spread(&w->rng, CV_SEC(1), CV_SEC(1) << 20);
	h->env = (struct cv_env){
		.alloc = env_alloc,
		.free = env_free,
		.random = env_random,
		.log = env_log,
		.dial = env_dial,
		.wall = CV_SEC(1700000000) - h->offset,
		.user = h,
	};
	if (cv_node_init(n, &h->env, w->cfg.memory, w->cfg.flows))
		abort();
	n->began = host_now(h);
	n->plain = w->cfg.plain;
	n->max_age = h->max_age;
	n->accepts = h->no == 0;
	n->flows.idle = w->cfg.idle;
	if (!w->cfg.plain && cv_node_set_key(n, h->priv))
		abort();
	h->running = true;
	for (unsigned i = 1; i < w->hosts; i++) {
		if (h->no == 0 && !w->cfg.plain)
			add_session(h, w->host[i]);
		else if (h->no == i)
			add_session(h, w->host[0]);
	}
	local_start(h);
	if (h->no)
		dial_kick(h);
	host_turn(h);
}

void host_stop(struct host *h, bool abrupt)
{
	struct world *w = h->w;
	if (!h->running)
		return;
	h->stopping = true;
	event_set(w, &h->tick, CV_NEVER);
	dial_stop(h);
	net_cut(h, abrupt);
	local_stop(h);
	cv_node_clear(&h->node);
	model_stopped(h);
	if (h->allocated)
		broken(w, "host %u: %zu bytes never given back", h->no,
			h->allocated);
	h->running = h->stopping = false;
	h->session = NULL;
}

static void on_start(struct event *e)
{
	struct host *h = CV_CONTAINER(e, struct host, start);
	if (!h->running)
		host_start(h);
}

static void on_stop(struct event *e)
{
	struct host *h = CV_CONTAINER(e, struct host, stop);
	host_stop(h, false);
}

static struct host *new_host(struct world *w, unsigned no)
{
	struct host *h = calloc(1, sizeof *h);
	if (!h)
		abort();
	h->w = w;
	h->no = no;
	rng_seed(&h->rng, w->seed * 31 + no);
	env_random(h, h->priv, CV_KEY);
	h->max_age = CV_MS(spread(&w->rng, 5, 200));
	if (chance(&w->rng, 60))
		h->max_age = CV_MAX_AGE;
	h->tick.fire = on_tick;
	h->start.fire = on_start;
	h->stop.fire = on_stop;
	cv_list_init(&h->ends);
	dial_init(h);
	return h;
}

struct world *world_new(uint64_t seed)
{
	struct world *w = calloc(1, sizeof *w);
	if (!w)
		abort();
	w->seed = seed;
	w->now = CV_SEC(1);
	w->trace = UINT64_C(0xcbf29ce484222325);
	rng_seed(&w->rng, seed);
	cv_list_init(&w->conns);
	w->model = model_new(w);
	fault_draw(w);
	w->hosts = 1 + w->cfg.clients;
	for (unsigned i = 0; i < w->hosts; i++)
		w->host[i] = new_host(w, i);
	return w;
}

void world_free(struct world *w)
{
	for (unsigned i = w->hosts; i--;)
		host_stop(w->host[i], true);
	net_clear(w);
	for (unsigned i = w->hosts; i--;) {
		local_free(w->host[i]);
		free(w->host[i]);
	}
	model_free(w->model);
	events_clear(&w->events);
	free(w);
}
