/* SPDX-License-Identifier: MIT */
#include "sim/udp/world.h"

#include "sim/udp/chat.h"
#include "sim/udp/cut.h"
#include "sim/udp/net.h"
#include "sim/udp/talk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool verbose;

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
	}
	if (!w->failed)
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

void say(struct world *w, const char *fmt, ...)
{
	va_list ap;
	if (!verbose)
		return;
	printf("# %12.6f ", (double)w->now / 1e6);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

struct world *world_new(uint64_t seed, const struct config *c)
{
	struct world *w = calloc(1, sizeof *w);
	if (!w)
		abort();
	w->seed = seed;
	w->now = CV_SEC(1);
	w->trace = UINT64_C(0xcbf29ce484222325);
	rng_seed(&w->rng, seed);
	cv_list_init(&w->flying);
	if (c)
		w->cfg = *c;
	else
		fate_draw(w);
	w->hosts = 1 + w->cfg.clients;
	for (unsigned i = 0; i < w->hosts; i++)
		w->host[i] = host_new(w, i);
	for (unsigned i = 1; i < w->hosts; i++)
		w->way[i][0].now = w->way[i][1].now = w->cfg.weather[i];
	talks_new(w);
	chats_new(w);
	seals_begin(w);
	return w;
}

void world_free(struct world *w)
{
	for (unsigned i = w->hosts; i--;)
		host_stop(w->host[i]);
	net_clear(w);
	for (unsigned i = w->hosts; i--;)
		host_free(w->host[i]);
	talks_free(w);
	chats_free(w);
	cuts_free(w);
	events_clear(&w->events);
	seals_begin(NULL);
	free(w);
}
