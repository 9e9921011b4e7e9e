/* SPDX-License-Identifier: MIT */
/* fate.c - what a seed draws, what happens to it, and how it heals */
#include "sim/udp/host.h"
#include "sim/udp/talk.h"

const char *const fault_name[FAULT_N] = { "loss", "bursts", "jitter", "reorder",
	"twice", "flip", "bottleneck", "hole", "too_big", "port", "address",
	"cut", "cut_long", "crash_server", "crash_client", "stop_server",
	"stop_client", "spoof", "long", "full", "abort", "refuse", "slow",
	"memory" };

static void draw_loss(struct world *w, struct weather *x)
{
	struct rng *r = &w->rng;
	const bool *on = w->cfg.on;
	if (on[FAULT_LOSS])
		x->loss = (uint32_t)spread(r, 1000, 300000);
	if (on[FAULT_BURSTS]) {
		x->enter = (uint32_t)spread(r, 1000, 60000);
		x->leave = (uint32_t)spread(r, 50000, 500000);
		x->burst = (uint32_t)between(r, 300000, 1000000);
	}
	if (on[FAULT_TWICE])
		x->twice = (uint32_t)spread(r, 1000, 300000);
	if (on[FAULT_SPOOF])
		x->spoof = (uint32_t)spread(r, 1000, 100000);
	if (on[FAULT_FLIP] && !w->cfg.plain)
		x->flip = (uint32_t)spread(r, 1000, 100000);
}

static void draw_weather(struct world *w, struct weather *x)
{
	struct rng *r = &w->rng;
	const bool *on = w->cfg.on;
	x->delay = spread(r, 50, CV_MS(200));
	if (on[FAULT_JITTER])
		x->jitter = spread(r, 100, CV_MS(100));
	if (on[FAULT_REORDER]) {
		x->reorder = (uint32_t)spread(r, 1000, 300000);
		x->late = spread(r, 200, CV_MS(50));
	}
	draw_loss(w, x);
	if (on[FAULT_BOTTLENECK]) {
		x->rate = spread(r, 60000, 10000000);
		x->queue = (uint32_t)spread(r, 6000, 200000);
	}
}

static void draw_rest(struct config *c, struct rng *r)
{
	c->troubled = spread(r, CV_MS(300), CV_SEC(6));
	c->pause = spread(r, CV_MS(100), CV_SEC(3));
	if (c->on[FAULT_LONG]) {
		c->troubled = between(r, CV_SEC(100), CV_SEC(400));
		c->pause = between(r, CV_SEC(1), CV_SEC(60));
	}
	c->nap = chance(r, 50) ? 1 : spread(r, 2, CV_MS(2));
	c->device = chance(r, 70) ? 1500 : (uint32_t)between(r, 1280, 9000);
	c->most = c->device;
	if (c->on[FAULT_TOO_BIG])
		c->most = (uint32_t)between(r, 1280, c->device);
	if (chance(r, 10))
		c->device = 0;
	if (!c->device && c->most < 1500)
		c->most = 1500;
	c->memory = CV_MEMORY;
	if (c->on[FAULT_MEMORY])
		c->memory = spread(r, 1 << 20, 8 << 20);
	c->bytes = spread(r, 1000, 400000);
	if (chance(r, 2))
		c->bytes = spread(r, 1 << 20, 6 << 20);
}

void fate_draw(struct world *w)
{
	struct rng *r = &w->rng;
	struct config *c = &w->cfg;
	bool calm = chance(r, 10);
	c->plain = chance(r, 50);
	c->psk = chance(r, 30);
	c->v6 = chance(r, 30);
	c->clients = chance(r, 85) ? 1 : 2;
	c->talks = (unsigned)spread(r, 1, chance(r, 10) ? TALKS : 6);
	c->chats = (unsigned)below(r, 3);
	c->cc = chance(r, 30) ? CV_CC_CUBIC : CV_CC_RATE;
	for (int i = 0; i < FAULT_N && !calm; i++)
		c->on[i] = chance(r, i == FAULT_LONG ? 4 : 20);
	for (unsigned i = 1; i <= c->clients; i++)
		draw_weather(w, &c->weather[i]);
	draw_rest(c, r);
	w->lax = c->on[FAULT_MEMORY];
}

static struct host *some_client(struct world *w)
{
	return w->host[between(&w->rng, 1, w->hosts - 1)];
}

static void crash(struct world *w, struct host *h)
{
	host_stop(h);
	w->crashed = true;
	event_set(w, &h->start, w->now + spread(&w->rng, CV_MS(1), CV_SEC(4)));
}

/* its programs know that it goes */
static void leave(struct world *w, struct host *h)
{
	say(w, "host%u leaves", h->no);
	talks_leave(h);
	cv_node_drain(&h->node);
	host_turn(h);
	w->crashed = true;
	event_set(w, &h->stop, w->now + spread(&w->rng, CV_MS(1), CV_SEC(1)));
	event_set(w, &h->start, w->now + spread(&w->rng, CV_SEC(1), CV_SEC(4)));
}

static void cut(struct world *w, unsigned client, cv_time time)
{
	for (int i = 0; i < 2; i++) {
		if (chance(&w->rng, 80))
			w->way[client][i].cut_until = w->now + time;
	}
}

static void move(struct world *w, struct host *h, bool ip)
{
	if (ip)
		h->at.ip[3]++;
	h->at.port = (uint16_t)(h->at.port + 7);
	say(w, "host%u has another %s", h->no, ip ? "address" : "port");
}

static void narrow(struct world *w, unsigned client)
{
	uint32_t mtu = (uint32_t)between(&w->rng, 1280, 1499);
	for (int i = 0; i < 2; i++) {
		struct weather *x = &w->way[client][i].now;
		if (!x->mtu || x->mtu > mtu)
			x->mtu = mtu;
	}
	say(w, "host%u: packets above %u vanish", client, mtu);
}

/* streams do not outlive what is longer than CV_FLOW_IDLE */
static cv_time longest_cut(struct world *w)
{
	if (!w->cfg.on[FAULT_LONG])
		return CV_SEC(60);
	w->lax = true;
	return CV_SEC(250);
}

static bool stays(const struct host *h)
{
	return h->running && !h->node.draining;
}

static void happen(struct world *w, enum fault f)
{
	struct rng *r = &w->rng;
	struct host *h = some_client(w);
	if (f == FAULT_HOLE)
		narrow(w, h->no);
	else if (f == FAULT_PORT || f == FAULT_ADDRESS)
		move(w, h, f == FAULT_ADDRESS);
	else if (f == FAULT_CUT)
		cut(w, h->no, spread(r, CV_MS(10), CV_SEC(5)));
	else if (f == FAULT_CUT_LONG)
		cut(w, h->no, between(r, CV_SEC(20), longest_cut(w)));
	else if (f == FAULT_CRASH_SERVER && stays(w->host[0]))
		crash(w, w->host[0]);
	else if (f == FAULT_CRASH_CLIENT && stays(h))
		crash(w, h);
	else if (f == FAULT_STOP_SERVER && stays(w->host[0]))
		leave(w, w->host[0]);
	else if (f == FAULT_STOP_CLIENT && stays(h))
		leave(w, h);
	else
		return;
	say(w, "%s", fault_name[f]);
	w->faults[f]++;
}

static void on_trouble(struct event *e)
{
	struct world *w = CV_CONTAINER(e, struct world, trouble);
	enum fault f =
		(enum fault)between(&w->rng, FAULT_HOLE, FAULT_STOP_CLIENT);
	if (w->cfg.on[f])
		happen(w, f);
	event_set(w, e, w->now + spread(&w->rng, 1, w->cfg.pause));
}

void fate_begin(struct world *w)
{
	static const enum fault always[] = { FAULT_LOSS, FAULT_BURSTS,
		FAULT_JITTER, FAULT_REORDER, FAULT_TWICE, FAULT_FLIP,
		FAULT_BOTTLENECK, FAULT_MEMORY, FAULT_SPOOF, FAULT_LONG };
	for (size_t i = 0; i < CV_COUNT(always); i++)
		w->faults[always[i]] += w->cfg.on[always[i]];
	w->trouble.fire = on_trouble;
	event_set(w, &w->trouble, w->now + spread(&w->rng, 1, w->cfg.pause));
	for (unsigned i = 0; i < w->hosts; i++)
		event_set(w, &w->host[i]->start,
			w->now + below(&w->rng, CV_MS(100)));
}

/* only delay is left, and what no network is rid of: its size of packets */
void fate_heal(struct world *w)
{
	event_set(w, &w->trouble, CV_NEVER);
	w->healed = true;
	for (unsigned i = 1; i < w->hosts; i++) {
		for (int k = 0; k < 2; k++) {
			struct way *y = &w->way[i][k];
			y->now = (struct weather){ .delay = y->now.delay,
				.mtu = y->now.mtu };
			y->bad = false;
			y->cut_until = 0;
		}
	}
	for (unsigned i = 0; i < w->hosts; i++) {
		if (!w->host[i]->running && !w->host[i]->start.place)
			event_set(w, &w->host[i]->start, w->now);
	}
	w->cfg.on[FAULT_FULL] = false;
	talks_heal(w);
}
