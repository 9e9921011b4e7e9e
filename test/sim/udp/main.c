/* SPDX-License-Identifier: MIT */
/**
 * main.c - seeds, the phases of a life, and what came of it, as TAP
 *
 *	sim_udp [--seeds FROM-TO | --seed N] [--regress FILE]
 *	        [--budget SECONDS] [--verbose]
 */
#include "sim/udp/chat.h"
#include "sim/udp/host.h"
#include "sim/udp/net.h"
#include "sim/udp/table.h"
#include "sim/udp/talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	GROUP = 1000,
	TWICE = 50, /* seeds that are lived twice */
	SHOWN = 5,  /* failures of a group that are told */
	WHOLE = 1000,
};

#define STEP CV_MS(100)
/* after healing, until all streams have ended: the longest time between two
   probes, some round trips ... */
#define ENDS CV_SEC(12)
/* ... and until a link is given up, or a peer speaks from where it is now */
#define ENDS_LATE (CV_DEAD + CV_SEC(30))
#define EMPTY CV_SEC(60) /* and until nothing is left of them, */
/* or nothing of who has no key and does not come back */
#define FORGOTTEN (CV_DEAD + CV_FLOW_IDLE + CV_SEC(60))

struct run {
	uint64_t seeds, failed, tests, bad;
	uint64_t faults[FAULT_N];
	struct tally sum;
	uint64_t trace;
	char why[240];
};

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

static bool run_seed(struct run *r, uint64_t seed)
{
	struct world *w = world_new(seed, NULL);
	live(w);
	for (unsigned i = 0; w->failed && i < w->hosts; i++)
		host_tell(w->host[i]);
	r->seeds++;
	for (int i = 0; i < FAULT_N; i++)
		r->faults[i] += w->faults[i];
	add(&r->sum, &w->tally);
	r->trace = w->trace;
	bool ok = !w->failed;
	if (!ok)
		memcpy(r->why, w->why, sizeof r->why);
	world_free(w);
	r->failed += !ok;
	return ok;
}

static void tap(struct run *r, bool ok, const char *name)
{
	printf("%sok %llu - %s\n", ok ? "" : "not ",
		(unsigned long long)++r->tests, name);
	r->bad += !ok;
	fflush(stdout);
}

static void tell(const struct run *r, uint64_t seed)
{
	printf("# seed %llu broke a rule %s\n# again: sim_udp --seed %llu "
	       "--verbose\n",
		(unsigned long long)seed, r->why, (unsigned long long)seed);
}

static void run_group(struct run *r, uint64_t from, uint64_t to)
{
	char name[80];
	unsigned bad = 0;
	for (uint64_t s = from; s <= to; s++) {
		if (!run_seed(r, s) && bad++ < SHOWN)
			tell(r, s);
	}
	snprintf(name, sizeof name, "seeds %llu to %llu",
		(unsigned long long)from, (unsigned long long)to);
	if (bad)
		printf("# %u seeds failed\n", bad);
	tap(r, !bad, name);
}

/* seeds that once failed, a line each: the number, then what it showed */
static void run_regress(struct run *r, const char *path)
{
	char line[200];
	FILE *f = fopen(path, "r");
	bool ok = f != NULL;
	if (!f)
		printf("# cannot read %s\n", path);
	while (f && fgets(line, sizeof line, f)) {
		char *end;
		uint64_t seed = strtoull(line, &end, 10);
		if (end == line)
			continue;
		if (!run_seed(r, seed)) {
			tell(r, seed);
			ok = false;
		}
	}
	if (f)
		fclose(f);
	tap(r, ok, "seeds that failed once");
}

static void run_twice(struct run *r, uint64_t from, uint64_t to)
{
	bool ok = true;
	for (uint64_t s = from; s <= to && s < from + TWICE; s++) {
		run_seed(r, s);
		uint64_t first = r->trace;
		run_seed(r, s);
		if (first == r->trace)
			continue;
		printf("# seed %llu: %016llx, then %016llx\n",
			(unsigned long long)s, (unsigned long long)first,
			(unsigned long long)r->trace);
		ok = false;
	}
	tap(r, ok, "the same seed leaves the same trace");
}

static void check_coverage(struct run *r)
{
	bool ok = true;
	for (int i = 0; i < FAULT_N; i++) {
		if (r->faults[i])
			continue;
		printf("# %s never happened\n", fault_name[i]);
		ok = false;
	}
	tap(r, ok, "every fault happened");
}

static void statistics(const struct run *r)
{
	const struct tally *t = &r->sum;
	printf("# %llu seeds, %llu packets (%llu MB), %llu of them lost\n",
		(unsigned long long)r->seeds, (unsigned long long)t->packets,
		(unsigned long long)(t->bytes >> 20),
		(unsigned long long)t->lost_packets);
	printf("# %llu streams, %llu complete, %llu broken off; the last "
	       "ended %.3f s after healing\n",
		(unsigned long long)t->streams, (unsigned long long)t->complete,
		(unsigned long long)t->broken_off, (double)t->longest / 1e6);
	printf("# %llu datagrams, %llu doubled, %llu delivered, %llu dropped, "
	       "%llu lost\n",
		(unsigned long long)t->handed, (unsigned long long)t->doubled,
		(unsigned long long)t->delivered,
		(unsigned long long)t->dropped, (unsigned long long)t->lost);
	for (int i = 0; i < FAULT_N; i++)
		printf("# fault %s: %llu\n", fault_name[i],
			(unsigned long long)r->faults[i]);
}

struct options {
	uint64_t from, to;
	double budget;
	const char *regress;
};

static bool parse(int argc, char **argv, struct options *o)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : "";
		char *end;
		if (!strcmp(a, "--verbose")) {
			verbose = true;
			continue;
		}
		i++;
		if (!strcmp(a, "--seed") || !strcmp(a, "--seeds")) {
			o->from = o->to = strtoull(v, &end, 10);
			if (*end == '-')
				o->to = strtoull(end + 1, &end, 10);
			if (!*v || *end)
				return false;
		} else if (!strcmp(a, "--regress") && *v) {
			o->regress = v;
		} else if (!strcmp(a, "--budget") && *v) {
			o->budget = strtod(v, NULL);
		} else {
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	struct options o = { .from = 1, .to = 10000 };
	static struct run r;
	clock_t began = clock();
	if (!parse(argc, argv, &o)) {
		fprintf(stderr, "usage: sim_udp [--seeds FROM-TO | --seed N] "
				"[--regress FILE] [--budget SECONDS] "
				"[--verbose]\n");
		return 2;
	}
	if (o.regress)
		run_regress(&r, o.regress);
	for (uint64_t s = o.from; s <= o.to; s += GROUP)
		run_group(&r, s, o.to - s < GROUP ? o.to : s + GROUP - 1);
	if (!verbose)
		run_twice(&r, o.from, o.to);
	if (o.to - o.from + 1 >= WHOLE) {
		check_coverage(&r);
		tap(&r, table_check(), "5 MB take as long as they did");
	}
	double used = (double)(clock() - began) / CLOCKS_PER_SEC;
	if (o.budget > 0)
		tap(&r, used <= o.budget, "within the budget of time");
	printf("1..%llu\n", (unsigned long long)r.tests);
	printf("# %.1f s of processor time\n", used);
	statistics(&r);
	return r.bad != 0;
}
