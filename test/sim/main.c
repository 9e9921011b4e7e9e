/* SPDX-License-Identifier: MIT */
/**
 * main.c - seeds, the phases of a life, and what came of it, as TAP
 *
 *	sim [--seeds FROM-TO | --seed N] [--regress FILE] [--budget SECONDS]
 *	    [--without FAULT] [--verbose]
 */
#include "sim/fault.h"
#include "sim/local.h"
#include "sim/model.h"
#include "sim/seeds.h"

#include <stdio.h>
#include <string.h>

#define STEP CV_MS(250)
/* a handshake's patience, the longest back-off step, and two round trips */
#define COMES_UP (CV_HANDSHAKE_TIMEOUT + CV_DIAL_MAX + CV_SEC(1))

/* of all lives */
static struct run {
	uint64_t seeds, sealed;
	uint64_t faults[FAULT_N];
	struct totals sum;
} lives;

static bool session_up(struct world *w, struct host *client)
{
	struct cv_node *server = &w->host[0]->node;
	struct cv_session *s = client->session;
	struct cv_session *far = cv_node_find(server, client->node.pub);
	return s && cv_session_up(s) && far && cv_session_up(far);
}

/* whether every session is up and every program has its answer */
static bool alive(struct world *w, bool anew)
{
	bool all = true;
	for (unsigned i = 1; i < w->hosts; i++) {
		struct host *h = w->host[i];
		if (local_probe(h, anew) || !session_up(w, h))
			all = false;
	}
	return all;
}

static void wait_alive(struct world *w, cv_time patience, const char *what)
{
	cv_time until = w->now + patience;
	bool ok = alive(w, true);
	while (!ok && !w->failed && w->now < until) {
		world_run(w, w->now + STEP + 2 * w->cfg.delay);
		ok = alive(w, false);
	}
	for (unsigned i = 1; i < w->hosts && !ok; i++) {
		if (!session_up(w, w->host[i]))
			broken(w, "%s: no session of host %u", what, i);
	}
	if (!ok)
		broken(w, "%s: a program has no answer", what);
}

/* sessions come back although nobody has anything to say */
static void wait_up(struct world *w)
{
	cv_time until = w->now + COMES_UP;
	bool ok = false;
	w->quiet = true;
	while (!ok && !w->failed && w->now < until) {
		world_run(w, w->now + STEP);
		ok = true;
		for (unsigned i = 1; i < w->hosts; i++)
			ok &= session_up(w, w->host[i]);
	}
	if (!ok)
		broken(w, "no session came up by itself");
}

/* every session has all its links again, and both ends say so */
static bool complete(struct world *w)
{
	for (unsigned i = 1; i < w->hosts; i++) {
		struct host *h = w->host[i];
		struct cv_session *far =
			cv_node_find(&w->host[0]->node, h->node.pub);
		if (h->session->ready != w->cfg.links || !far ||
			far->ready != w->cfg.links)
			return false;
	}
	return true;
}

static void wait_complete(struct world *w)
{
	cv_time until = w->now + COMES_UP;
	while (!w->failed && !complete(w) && w->now < until)
		world_run(w, w->now + STEP);
	if (!complete(w))
		broken(w, "a session has not all its links");
}

/* everybody falls silent: nothing may be left anywhere */
static void settle(struct world *w)
{
	struct host *server = w->host[0];
	w->quiet = true;
	world_run(w, w->now + CV_SEC(5));
	model_audit(w);
	for (unsigned i = 0; i < w->hosts && !w->failed; i++) {
		if (!cv_node_drained(&w->host[i]->node))
			broken(w, "host %u: something is left in its queues",
				i);
	}
	for (unsigned i = 1; i < w->hosts && !w->failed; i++)
		host_stop(w->host[i], chance(&w->rng, 30));
	event_set(w, &w->audit, CV_NEVER);
	world_run(w, w->now + 2 * CV_FLOW_IDLE + CV_SEC(60));
	struct cv_node *n = &server->node;
	if (w->failed)
		return;
	if (n->flows.count)
		broken(w, "the server has %zu flows of nobody", n->flows.count);
	if (!cv_list_empty(&n->links))
		broken(w, "the server has links to nobody");
	if (w->cfg.plain && n->nsessions)
		broken(w, "the server has %zu sessions of nobody",
			n->nsessions);
	model_audit(w);
}

static void live(struct world *w)
{
	for (unsigned i = 0; i < w->hosts; i++)
		event_set(w, &w->host[i]->start,
			w->now + below(&w->rng, CV_MS(500)));
	fault_begin(w);
	world_run(w, w->now + w->cfg.troubled);
	if (w->failed)
		return;
	fault_end(w);
	if (chance(&w->rng, 30))
		wait_up(w);
	if (!w->failed)
		wait_alive(w, COMES_UP, "after the network healed");
	/* a fresh datagram; the flow may first learn that it is unknown */
	if (!w->failed)
		wait_alive(w, 2 * (STEP + 2 * w->cfg.delay), "all is well");
	if (!w->failed)
		wait_complete(w);
	if (!w->failed)
		settle(w);
}

static void add(struct totals *a, const struct totals *b)
{
	a->handed += b->handed;
	a->delivered += b->delivered;
	a->lost += b->lost;
	a->handshakes += b->handshakes;
	a->records += b->records;
	a->bytes += b->bytes;
	for (int i = 0; i < CV_DROP_N; i++) {
		a->drop[i] += b->drop[i];
		a->packets[i] += b->packets[i];
		a->in_packet[i] += b->in_packet[i];
	}
	if (b->longest_wait > a->longest_wait)
		a->longest_wait = b->longest_wait;
}

static bool run_seed(struct seeds *r, uint64_t seed)
{
	struct world *w = world_new(seed);
	live(w);
	for (unsigned i = w->hosts; i--;)
		host_stop(w->host[i], true);
	lives.seeds++;
	lives.sealed += !w->cfg.plain;
	for (int i = 0; i < FAULT_N; i++)
		lives.faults[i] += w->faults[i];
	add(&lives.sum, model_totals(w->model));
	r->trace = w->trace;
	bool ok = !w->failed;
	if (!ok)
		memcpy(r->why, w->why, sizeof r->why);
	world_free(w);
	return ok;
}

static void check_coverage(struct seeds *r)
{
	static const enum cv_drop must[] = { CV_DROP_AGED, CV_DROP_QUEUE_FULL,
		CV_DROP_NO_BUFFER, CV_DROP_NO_SESSION, CV_DROP_LINK_LOST,
		CV_DROP_MALFORMED, CV_DROP_BAD_MAC, CV_DROP_UNKNOWN_PEER,
		CV_DROP_STALE_HELLO, CV_DROP_UNKNOWN_INDEX, CV_DROP_FORGED,
		CV_DROP_REPLAYED, CV_DROP_PLAIN, CV_DROP_UNDER_LOAD,
		CV_DROP_LATE, CV_DROP_UNKNOWN_FLOW };
	bool ok = true;
	for (int i = 0; i < FAULT_N; i++) {
		if (lives.faults[i])
			continue;
		printf("# %s never happened\n", fault_name[i]);
		ok = false;
	}
	seeds_tap(r, ok, "every fault happened");
	ok = true;
	for (size_t i = 0; i < CV_COUNT(must); i++) {
		if (lives.sum.drop[must[i]])
			continue;
		printf("# nothing was dropped as %s\n", cv_drop_name(must[i]));
		ok = false;
	}
	seeds_tap(r, ok, "every drop that the core names happened");
}

static void statistics(void)
{
	const struct totals *t = &lives.sum;
	printf("# %llu seeds, %llu sealed; %llu handshakes, %llu records\n",
		(unsigned long long)lives.seeds,
		(unsigned long long)lives.sealed,
		(unsigned long long)t->handshakes,
		(unsigned long long)t->records);
	printf("# %llu datagrams handed over (%llu MB), %llu delivered, "
	       "%llu lost in connections\n",
		(unsigned long long)t->handed,
		(unsigned long long)(t->bytes >> 20),
		(unsigned long long)t->delivered, (unsigned long long)t->lost);
	printf("# longest wait of one that was delivered: %.3f s\n",
		(double)t->longest_wait / 1e6);
	for (int i = 1; i < CV_DROP_N; i++) {
		if (t->drop[i])
			printf("# dropped as %s: %llu datagrams, %llu "
			       "packets\n",
				cv_drop_name((enum cv_drop)i),
				(unsigned long long)(t->drop[i] -
						     t->packets[i]),
				(unsigned long long)t->packets[i]);
	}
	for (int i = 0; i < FAULT_N; i++)
		printf("# fault %s: %llu\n", fault_name[i],
			(unsigned long long)lives.faults[i]);
}

static bool switch_off(const char *name)
{
	for (int i = 0; i < FAULT_N; i++) {
		if (!strcmp(name, fault_name[i]))
			return fault_off[i] = true;
	}
	return false;
}

static bool without(const char *name, const char *value)
{
	return !strcmp(name, "--without") && switch_off(value);
}

int main(int argc, char **argv)
{
	struct seeds r = { .program = "sim",
		.own = "[--without FAULT] ",
		.live = run_seed,
		.option = without,
		.whole = check_coverage,
		.tell = statistics,
		.verbose = &model_verbose };
	return seeds_main(&r, argc, argv);
}
