/* SPDX-License-Identifier: MIT */
/**
 * main.c - seeds, the phases of a life, and what came of it, as TAP
 *
 *	sim_udp [--seeds FROM-TO | --seed N] [--regress FILE]
 *	        [--budget SECONDS] [--verbose]
 */
#include "sim/seeds.h"
#include "sim/udp/chat.h"
#include "sim/udp/cut.h"
#include "sim/udp/host.h"
#include "sim/udp/net.h"
#include "sim/udp/table.h"
#include "sim/udp/talk.h"

#include <stdio.h>
#include <string.h>

#define STEP CV_MS(100)
/* after healing, until all streams have ended: the longest time between two
   probes, some round trips ... */
#define ENDS CV_SEC(12)
/* ... and until a link is given up, or a peer speaks from where it is now */
#define ENDS_LATE (CV_DEAD + CV_SEC(30))
#define EMPTY CV_SEC(60) /* and until nothing is left of them, */
/* or nothing of who has no key and does not come back */
#define FORGOTTEN (CV_DEAD + CV_FLOW_IDLE + CV_SEC(60))

/* of all lives */
static struct run {
	uint64_t seeds;
	uint64_t faults[FAULT_N];
	struct tally sum;
} lives;

/* bytes of buffers that somebody holds */
static size_t held(const struct cv_pool *p)
{
	size_t idle = 0;
	if (p->large)
		idle += p->nlarge * (sizeof *p->large + p->large->cap);
	if (p->small)
		idle += p->nsmall * (sizeof *p->small + p->small->cap);
	return p->bytes - idle;
}

/* what is left in a node of what has ended; NULL: nothing */
static const char *left_in(const struct host *h)
{
	const struct cv_node *n = &h->node;
	if (n->flows.count)
		return "a flow";
	for (struct cv_list *l = n->sessions.next; l != &n->sessions;
		l = l->next) {
		struct cv_session *s = CV_CONTAINER(l, struct cv_session, all);
		const struct cv_transport *t = s->transport;
		if (s->ctl.head || s->txq.q.head)
			return "something to send";
		if (!t)
			continue;
		if (t->flights.flying || t->flights.inflight)
			return "a packet under way";
		if (!cv_list_empty(&t->turns) || !cv_list_empty(&t->stalled))
			return "a stream's turn";
		if (t->tx_out || t->rx_out || t->untold)
			return "a part of the session's window";
	}
	if (held(&n->pool))
		return "a buffer";
	return NULL;
}

static const struct host *full(const struct world *w)
{
	for (unsigned i = 0; i < w->hosts; i++) {
		if (left_in(w->host[i]))
			return w->host[i];
	}
	return NULL;
}

/* @done or time is over */
static void wait_for(
	struct world *w, cv_time patience, bool (*done)(const struct world *))
{
	cv_time until = w->now + patience;
	while (!w->failed && !done(w) && w->now < until)
		world_run(w, w->now + STEP);
}

static cv_time patience(const struct world *w)
{
	const bool *on = w->cfg.on;
	return on[FAULT_SPOOF] || on[FAULT_STOP_SERVER] ||
			       on[FAULT_STOP_CLIENT] || on[FAULT_PORT] ||
			       on[FAULT_ADDRESS] || on[FAULT_CUT_LONG] ||
			       on[FAULT_CRASH_SERVER] || on[FAULT_CRASH_CLIENT]
		       ? ENDS_LATE
		       : ENDS;
}

static bool empty(const struct world *w)
{
	return !full(w);
}

/* everything a program handed over was delivered or counted */
static void audit(struct world *w)
{
	const struct tally *t = &w->tally;
	uint64_t in = t->handed + t->doubled;
	uint64_t out = t->delivered + t->dropped + t->lost;
	if (out > in || (out != in && !w->crashed))
		broken(w,
			"%llu datagrams and %llu copies in, %llu delivered, "
			"%llu dropped, %llu lost",
			(unsigned long long)t->handed,
			(unsigned long long)t->doubled,
			(unsigned long long)t->delivered,
			(unsigned long long)t->dropped,
			(unsigned long long)t->lost);
}

static void settle(struct world *w)
{
	chats_close(w);
	wait_for(w, w->crashed ? FORGOTTEN : EMPTY, empty);
	const struct host *h = full(w);
	if (h && !w->failed)
		broken(w, "host %u: %s is left", h->no, left_in(h));
	for (unsigned i = w->hosts; i-- && !w->failed;)
		host_stop(w->host[i]);
	net_clear(w);
	cuts_judge(w);
	if (!w->failed)
		audit(w);
}

static void live(struct world *w)
{
	fate_begin(w);
	world_run(w, w->now + w->cfg.troubled);
	if (w->failed)
		return;
	say(w, "heals");
	fate_heal(w);
	cv_time healed = w->now;
	wait_for(w, patience(w), talks_over);
	w->tally.longest = w->now - healed;
	if (!w->failed)
		talks_judge(w);
	if (!w->failed)
		settle(w);
}

static void add(struct tally *a, const struct tally *b)
{
	a->handed += b->handed;
	a->doubled += b->doubled;
	a->delivered += b->delivered;
	a->cut += b->cut;
	a->dropped += b->dropped;
	a->lost += b->lost;
	a->packets += b->packets;
	a->lost_packets += b->lost_packets;
	a->bytes += b->bytes;
	a->streams += b->streams;
	a->complete += b->complete;
	a->broken_off += b->broken_off;
	if (b->longest > a->longest)
		a->longest = b->longest;
}

static bool run_seed(struct seeds *r, uint64_t seed)
{
	struct world *w = world_new(seed, NULL);
	live(w);
	for (unsigned i = 0; w->failed && i < w->hosts; i++)
		host_tell(w->host[i]);
	lives.seeds++;
	for (int i = 0; i < FAULT_N; i++)
		lives.faults[i] += w->faults[i];
	add(&lives.sum, &w->tally);
	r->trace = w->trace;
	bool ok = !w->failed;
	if (!ok)
		memcpy(r->why, w->why, sizeof r->why);
	world_free(w);
	return ok;
}

static void check_coverage(struct seeds *r)
{
	bool ok = true;
	for (int i = 0; i < FAULT_N; i++) {
		if (lives.faults[i])
			continue;
		printf("# %s never happened\n", fault_name[i]);
		ok = false;
	}
	seeds_tap(r, ok, "every fault happened");
	seeds_tap(r, table_check(), "5 MB take as long as they did");
}

static void statistics(void)
{
	const struct tally *t = &lives.sum;
	printf("# %llu seeds, %llu packets (%llu MB), %llu of them lost\n",
		(unsigned long long)lives.seeds, (unsigned long long)t->packets,
		(unsigned long long)(t->bytes >> 20),
		(unsigned long long)t->lost_packets);
	printf("# %llu streams, %llu complete, %llu broken off; the last "
	       "ended %.3f s after healing\n",
		(unsigned long long)t->streams, (unsigned long long)t->complete,
		(unsigned long long)t->broken_off, (double)t->longest / 1e6);
	printf("# %llu datagrams, %llu in parts, %llu doubled, %llu delivered, "
	       "%llu dropped, %llu lost\n",
		(unsigned long long)t->handed, (unsigned long long)t->cut,
		(unsigned long long)t->doubled,
		(unsigned long long)t->delivered,
		(unsigned long long)t->dropped, (unsigned long long)t->lost);
	for (int i = 0; i < FAULT_N; i++)
		printf("# fault %s: %llu\n", fault_name[i],
			(unsigned long long)lives.faults[i]);
}

int main(int argc, char **argv)
{
	struct seeds r = { .program = "sim_udp",
		.own = "",
		.live = run_seed,
		.whole = check_coverage,
		.tell = statistics,
		.verbose = &verbose };
	return seeds_main(&r, argc, argv);
}
