/* SPDX-License-Identifier: MIT */
/**
 * table.c - how long 5 MB take on paths that were measured
 *
 * The paths are those of the cases that other transports were measured on; the
 * times are medians of some seeds, and may differ by a fifth: a slower one is
 * a fault of ours, a faster one is to be written down here.
 */
#include "sim/udp/table.h"

#include "sim/udp/host.h"
#include "sim/udp/talk.h"

#include <stdio.h>
#include <stdlib.h>

enum { LIVES = 9, BYTES = 5 << 20, TOLERANCE = 20 /* per cent */ };

struct row {
	const char *name;
	struct weather weather;
	cv_time median; /* with the rate model */
};

#define MBIT(n) ((uint64_t)(n)*125000)
#define QUEUE(n) ((uint32_t)(MBIT(n) / 10)) /* 100 ms */

static const struct row rows[] = {
	{ "b: 20 ms, 200 Mbit/s",
		{ .delay = CV_MS(10), .rate = MBIT(200), .queue = QUEUE(200) },
		CV_MS(340) },
	{ "c: 100 ms, 1 % lost, 100 Mbit/s",
		{ .delay = CV_MS(50),
			.loss = 10000,
			.rate = MBIT(100),
			.queue = QUEUE(100) },
		CV_MS(1545) },
	{ "d: 200 ms, 5 % lost, 20 Mbit/s",
		{ .delay = CV_MS(100),
			.loss = 50000,
			.rate = MBIT(20),
			.queue = QUEUE(20) },
		CV_MS(4745) },
	{ "e: 30 ms, bursts, reordered, 50 Mbit/s",
		{ .delay = CV_MS(15),
			.enter = 4000,
			.leave = 200000,
			.burst = 1000000,
			.reorder = 10000,
			.late = CV_MS(2),
			.rate = MBIT(50),
			.queue = QUEUE(50) },
		CV_MS(1065) },
};

static bool done(const struct world *w)
{
	return w->talk[0].side[0].closed && talks_over(w);
}

/* one stream from a client, as fast as it goes */
static cv_time live(const struct row *row, uint64_t seed, const char **why)
{
	struct config c = { .psk = false,
		.clients = 1,
		.talks = 1,
		.cc = CV_CC_RATE,
		.troubled = CV_SEC(1),
		.nap = 20,
		.device = 1500,
		.most = 1500,
		.memory = CV_MEMORY };
	c.weather[1] = row->weather;
	struct world *w = world_new(seed, &c);
	talks_plain(w, BYTES);
	host_start(w->host[0]);
	host_start(w->host[1]);
	cv_time began = w->now;
	while (!w->failed && !done(w) && w->now < CV_SEC(100))
		world_run(w, w->now + CV_MS(5));
	cv_time took = w->now - began;
	if (w->failed || !done(w))
		*why = "it did not end";
	world_free(w);
	return took;
}

static int by_time(const void *a, const void *b)
{
	const cv_time *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

static bool check(const struct row *row)
{
	cv_time took[LIVES];
	const char *why = NULL;
	for (unsigned i = 0; i < LIVES; i++)
		took[i] = live(row, i + 1, &why);
	qsort(took, LIVES, sizeof *took, by_time);
	cv_time m = took[LIVES / 2];
	printf("# %s: %.3f s, from %.3f to %.3f; expected %.3f\n", row->name,
		(double)m / 1e6, (double)took[0] / 1e6,
		(double)took[LIVES - 1] / 1e6, (double)row->median / 1e6);
	if (why)
		printf("# %s\n", why);
	cv_time off = m > row->median ? m - row->median : row->median - m;
	return !why && off * 100 <= row->median * TOLERANCE;
}

bool table_check(void)
{
	bool ok = true;
	for (size_t i = 0; i < CV_COUNT(rows); i++)
		ok &= check(&rows[i]);
	return ok;
}
