/* SPDX-License-Identifier: MIT */
#include "unit/cc_bbr1.h"

#include <string.h>

#define HIGH 289 /* per cent */

static uint64_t top(const uint64_t *ring)
{
	uint64_t best = 0;
	for (unsigned i = 0; i < 10; i++)
		best = ring[i] > best ? ring[i] : best;
	return best;
}

void bbr1_init(struct bbr1 *b, struct cv_cc *cc)
{
	memset(b, 0, sizeof *b);
	b->min_rtt = CV_NEVER;
	cc->cwnd = 10 * (uint64_t)cc->mss;
	cc->rate = 0;
}

static uint64_t bdp(const struct bbr1 *b, uint64_t gain)
{
	return b->min_rtt == CV_NEVER
		       ? 0
		       : b->bw * b->min_rtt / 1000000 * gain / 100;
}

static void sample(struct bbr1 *b, const struct cv_cc_ack *a)
{
	const struct cv_sample *s = &a->sample;
	uint64_t rate, due;
	if (!s->interval)
		return;
	if (s->before >= b->round_end) {
		b->round_end = a->delivered;
		b->slot = (b->slot + 1) % 10;
		b->ring[b->slot] = b->extra[b->slot] = 0;
		if (b->state == B_START && b->bw >= b->full * 5 / 4) {
			b->full = b->bw;
			b->flat = 0;
		} else if (b->state == B_START && ++b->flat >= 3) {
			b->state = B_DRAIN;
			b->filled = true;
		}
	}
	rate = s->delivered * 1000000 / s->interval;
	if ((!s->limited || rate > b->bw) && rate > b->ring[b->slot])
		b->ring[b->slot] = rate;
	b->bw = top(b->ring);
	due = b->bw * (a->now - b->agg_since) / 1000000;
	if (b->agg_acked <= due) {
		b->agg_since = a->now;
		b->agg_acked = due = 0;
	}
	b->agg_acked += a->acked;
	if (b->agg_acked > due && b->agg_acked - due > b->extra[b->slot])
		b->extra[b->slot] = b->agg_acked - due;
}

static const unsigned cycle[8] = { 125, 75, 100, 100, 100, 100, 100, 100 };

static void advance(struct bbr1 *b, const struct cv_cc_ack *a)
{
	cv_time past = a->now - b->since;
	bool next = past > b->min_rtt;
	if (b->state == B_DRAIN && a->inflight <= bdp(b, 100)) {
		b->state = B_BW;
		b->phase = 2 + (unsigned)(a->now / 64 % 6);
		b->since = a->now;
		return;
	}
	if (b->state != B_BW)
		return;
	if (cycle[b->phase] == 125)
		next = next && (a->lost || a->inflight >= bdp(b, 125));
	else if (cycle[b->phase] == 75)
		next = next || a->inflight <= bdp(b, 100);
	if (!next)
		return;
	b->phase = (b->phase + 1) % 8;
	b->since = a->now;
}

static void check_rtt(
	struct bbr1 *b, const struct cv_cc *cc, const struct cv_cc_ack *a)
{
	bool old = a->now > b->min_at + 10000000;
	if (a->sample.rtt && (a->sample.rtt <= b->min_rtt || old)) {
		b->min_rtt = a->sample.rtt;
		b->min_at = a->now;
	}
	if (old && b->state != B_RTT) {
		b->state = B_RTT;
		b->done = 0;
	}
	if (b->state != B_RTT)
		return;
	if (!b->done && a->inflight <= 4 * (uint64_t)cc->mss)
		b->done = a->now + 200000;
	if (!b->done || a->now < b->done)
		return;
	b->min_at = a->now;
	b->state = b->filled ? B_BW : B_START;
	b->since = a->now;
}

void bbr1_acked(struct bbr1 *b, struct cv_cc *cc, const struct cv_cc_ack *a)
{
	unsigned pace = 100, window = 200;
	uint64_t want;
	sample(b, a);
	check_rtt(b, cc, a);
	advance(b, a);
	if (b->state == B_START)
		pace = window = HIGH;
	if (b->state == B_DRAIN) {
		pace = 35;
		window = HIGH;
	}
	if (b->state == B_BW)
		pace = cycle[b->phase];
	if (b->bw && (b->filled || b->bw * pace / 100 > cc->rate))
		cc->rate = b->bw * pace / 100 * 99 / 100;
	want = bdp(b, window) + top(b->extra) + 3 * (cc->rate / 1000);
	if (!b->filled)
		cc->cwnd += cc->cwnd < want ? a->acked : 0;
	else
		cc->cwnd =
			cc->cwnd + a->acked < want ? cc->cwnd + a->acked : want;
	if (b->state == B_RTT)
		cc->cwnd = 4 * (uint64_t)cc->mss;
	if (cc->cwnd < 4 * (uint64_t)cc->mss)
		cc->cwnd = 4 * (uint64_t)cc->mss;
}
