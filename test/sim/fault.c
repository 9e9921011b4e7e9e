/* SPDX-License-Identifier: MIT */
/* fault.c - swarm configuration: each seed has a random subset of faults */
#include "sim/fault.h"

#include "sim/local.h"
#include "sim/model.h"
#include "sim/stranger.h"

#include <assert.h>

const char *const fault_name[] = {
	[FAULT_STALL] = "stall",
	[FAULT_SLOW] = "slow",
	[FAULT_RESET] = "reset",
	[FAULT_HALF_OPEN] = "half_open",
	[FAULT_REFUSE] = "refuse",
	[FAULT_HANG] = "hang",
	[FAULT_KILL_SERVER] = "kill_server",
	[FAULT_KILL_CLIENT] = "kill_client",
	[FAULT_STOP_SERVER] = "stop_server",
	[FAULT_STOP_CLIENT] = "stop_client",
	[FAULT_FLIP] = "flip",
	[FAULT_REPEAT] = "repeat",
	[FAULT_STRANGER] = "stranger",
	[FAULT_TWO_IDS] = "two_ids",
	[FAULT_FLOOD] = "flood",
	[FAULT_BURST] = "burst",
	[FAULT_MEMORY] = "memory",
	[FAULT_FEW_FLOWS] = "few_flows",
	[FAULT_IDLE] = "idle",
};
static_assert(CV_COUNT(fault_name) == FAULT_N, "every fault has a name");

enum {
	SEALED = 40, /* percent of seeds, with all their cryptography */
	ON = 35,     /* percent of a fault's seeds */
	BURSTS = 4,  /* percent: these are dear */
	FLOODS = 2,
	MANY = 30, /* percent of seeds with several links a session */
	LONG = 2,  /* percent of seeds that live through rekeyings */
};

bool fault_off[FAULT_N];

static void draw_faults(struct world *w)
{
	struct config *c = &w->cfg;
	for (int i = 0; i < FAULT_N; i++)
		c->on[i] = chance(&w->rng, ON) && !fault_off[i];
	c->on[FAULT_FLIP] &= !c->plain;
	c->on[FAULT_TWO_IDS] &= c->plain;
	c->on[FAULT_FLOOD] &= !c->plain && chance(&w->rng, FLOODS * 100 / ON);
	c->on[FAULT_BURST] &= chance(&w->rng, BURSTS * 100 / ON);
	c->on[FAULT_MEMORY] &= chance(&w->rng, 30);
	c->on[FAULT_FEW_FLOWS] &= chance(&w->rng, 30);
	c->on[FAULT_IDLE] &= chance(&w->rng, 50);
	c->memory = c->on[FAULT_MEMORY] ? spread(&w->rng, 300000, 3000000)
					: CV_MEMORY;
	c->flows =
		c->on[FAULT_FEW_FLOWS] ? between(&w->rng, 1, 6) : CV_FLOWS_MAX;
	c->idle = c->on[FAULT_IDLE] ? spread(&w->rng, CV_SEC(2), CV_SEC(6))
				    : CV_FLOW_IDLE;
	w->faults[FAULT_MEMORY] = c->on[FAULT_MEMORY];
	w->faults[FAULT_FEW_FLOWS] = c->on[FAULT_FEW_FLOWS];
	w->faults[FAULT_IDLE] = c->on[FAULT_IDLE];
}

void fault_draw(struct world *w)
{
	struct config *c = &w->cfg;
	struct rng *r = &w->rng;
	c->plain = !chance(r, SEALED);
	c->psk = !c->plain && chance(r, 40);
	c->clients = chance(r, 50) ? 1 : (unsigned)between(r, 1, CLIENTS);
	c->convs = (unsigned)spread(r, 1, chance(r, 20) ? CONVS : 4);
	c->troubled = spread(r, CV_SEC(1), CV_SEC(20));
	c->pause = spread(r, CV_MS(50), CV_SEC(4));
	c->gap = spread(r, CV_MS(1), CV_MS(300));
	if (chance(r, LONG)) {
		c->troubled = between(r, CV_SEC(130), CV_SEC(600));
		c->pause = spread(r, CV_SEC(10), CV_SEC(100));
		c->gap = spread(r, CV_MS(500), CV_SEC(50));
	}
	c->rate = (uint32_t)spread(r, 50000, 50000000);
	c->delay = spread(r, 50, CV_MS(150));
	c->sndbuf = (uint32_t)spread(r, 4096, 256 << 10);
	/* the pipe is a window, too: no slower than 200 kB/s for that */
	if (c->sndbuf < c->delay * 2 / 5)
		c->sndbuf = (uint32_t)(c->delay * 2 / 5);
	c->largest = chance(r, 30) ? CV_DGRAM_MAX : 1472;
	c->deaf = chance(r, 30);
	c->links = chance(r, MANY) ? (unsigned)between(r, 2, LINKS) : 1;
	w->bytes_left = (int64_t)spread(r, 50000, 1000000);
	draw_faults(w);
}

static struct conn *some_conn(struct world *w)
{
	unsigned n = 0;
	struct cv_list *l;
	for (l = w->conns.next; l != &w->conns; l = l->next)
		n++;
	if (!n)
		return NULL;
	n = (unsigned)below(&w->rng, n);
	for (l = w->conns.next; n; n--)
		l = l->next;
	return CV_CONTAINER(l, struct conn, all);
}

static void on_conn(struct world *w, enum fault f)
{
	struct rng *r = &w->rng;
	struct conn *c = some_conn(w);
	if (!c)
		return;
	switch ((int)f) {
	case FAULT_STALL:
		conn_stall(c, spread(r, CV_MS(1), CV_SEC(40)));
		break;
	case FAULT_SLOW:
		c->slow_rate = (uint32_t)spread(r, 500, 200000);
		c->slow_until = w->now + spread(r, CV_MS(100), CV_SEC(5));
		break;
	case FAULT_RESET:
	case FAULT_HALF_OPEN:
		conn_reset(c, f == FAULT_HALF_OPEN);
		break;
	case FAULT_FLIP:
		c->flip = true;
		break;
	default:
		c->repeat = true;
		break;
	}
	w->faults[f]++;
}

static void on_host(struct world *w, enum fault f)
{
	bool server = f == FAULT_KILL_SERVER || f == FAULT_STOP_SERVER;
	bool kill = f == FAULT_KILL_SERVER || f == FAULT_KILL_CLIENT;
	struct host *h =
		w->host[server ? 0 : between(&w->rng, 1, w->hosts - 1)];
	cv_time back = w->now + spread(&w->rng, CV_MS(1), CV_SEC(5));
	if (!h->running || h->stop.place)
		return;
	w->faults[f]++;
	if (kill) {
		host_stop(h, chance(&w->rng, 50));
	} else {
		cv_time end = w->now + spread(&w->rng, CV_MS(1), CV_DRAIN);
		cv_node_drain(&h->node);
		host_turn(h);
		event_set(w, &h->stop, end);
		if (back <= end)
			back = end + 1;
	}
	event_set(w, &h->start, back);
}

static void once(struct world *w, enum fault f)
{
	w->cfg.on[f] = false;
	if (f == FAULT_FLOOD) {
		stranger_floods(w);
		/* those who are in must come in again, past the flood */
		for (struct cv_list *l = w->conns.next; l != &w->conns;
			l = l->next) {
			struct conn *c = CV_CONTAINER(l, struct conn, all);
			if (c->end[0].host)
				conn_reset(c, false);
		}
		return;
	}
	struct host *h = w->host[between(&w->rng, 1, w->hosts - 1)];
	if (!h->running)
		return;
	for (struct cv_list *l = w->conns.next; l != &w->conns; l = l->next)
		conn_stall(CV_CONTAINER(l, struct conn, all), CV_MS(100));
	local_burst(h);
	w->faults[f]++;
}

static void apply(struct world *w, enum fault f)
{
	cv_time until = w->now + spread(&w->rng, CV_MS(50), CV_SEC(8));
	switch (f) {
	case FAULT_STALL:
	case FAULT_SLOW:
	case FAULT_RESET:
	case FAULT_HALF_OPEN:
	case FAULT_FLIP:
	case FAULT_REPEAT:
		on_conn(w, f);
		break;
	case FAULT_KILL_SERVER:
	case FAULT_KILL_CLIENT:
	case FAULT_STOP_SERVER:
	case FAULT_STOP_CLIENT:
		on_host(w, f);
		break;
	case FAULT_REFUSE:
		w->refused_until = until;
		w->faults[f]++;
		break;
	case FAULT_HANG:
		w->hung_until = until;
		w->faults[f]++;
		break;
	case FAULT_STRANGER:
		stranger_comes(w);
		break;
	case FAULT_TWO_IDS:
		stranger_has_two_ids(w);
		break;
	case FAULT_FLOOD:
	case FAULT_BURST:
		once(w, f);
		break;
	case FAULT_MEMORY:
	case FAULT_FEW_FLOWS:
	case FAULT_IDLE:
	case FAULT_N:
	default:
		break;
	}
}

static void on_trouble(struct event *e)
{
	struct world *w = CV_CONTAINER(e, struct world, trouble);
	enum fault f = (enum fault)below(&w->rng, FAULT_N);
	for (int i = 0; i < FAULT_N && !w->cfg.on[f]; i++)
		f = (enum fault)((f + 1) % FAULT_N);
	if (w->cfg.on[f])
		apply(w, f);
	event_set(w, e, w->now + spread(&w->rng, 1000, 2 * w->cfg.pause));
}

static void on_audit(struct event *e)
{
	struct world *w = CV_CONTAINER(e, struct world, audit);
	model_audit(w);
	event_set(w, e, w->now + spread(&w->rng, CV_MS(5), CV_SEC(5)));
}

void fault_begin(struct world *w)
{
	w->trouble.fire = on_trouble;
	w->audit.fire = on_audit;
	event_set(w, &w->trouble, w->now + below(&w->rng, CV_SEC(1)));
	event_set(w, &w->audit, w->now + CV_MS(5));
}

void fault_end(struct world *w)
{
	struct config *c = &w->cfg;
	event_set(w, &w->trouble, CV_NEVER);
	w->healed = true;
	if (w->bytes_left > 0)
		w->bytes_left = 0;
	c->memory = CV_MEMORY;
	c->flows = CV_FLOWS_MAX;
	c->rate = c->rate < 4000000 ? 4000000 : c->rate;
	net_heal(w);
	for (unsigned i = 0; i < w->hosts; i++) {
		struct host *h = w->host[i];
		event_set(w, &h->start, CV_NEVER);
		if (h->stop.place)
			host_stop(h, false);
		event_set(w, &h->stop, CV_NEVER);
		h->node.pool.max = c->memory;
		h->node.flows.max = c->flows;
		if (!h->running)
			host_start(h);
	}
}
