/* SPDX-License-Identifier: MIT */
#include "core/cc_model.h"

#include <string.h>

enum {
	SAMPLES = 8,     /* RFC 9406: N_RTT_SAMPLE */
	CSS_DIVISOR = 4, /* CSS_GROWTH_DIVISOR */
	CSS_ROUNDS = 5,
	SLOPE_MAX = 100000, /* ms: beyond this the curve is not followed */
};

#define NO_RTT UINT64_MAX

static bool slow_start(const struct cv_cc *cc)
{
	return cc->cwnd < cc->cubic.ssthresh;
}

static uint64_t cube_root(uint64_t x)
{
	uint64_t low = 0, high = 2642245; /* its cube still fits */
	while (low < high) {
		uint64_t mid = (low + high + 1) / 2;
		if (mid * mid * mid <= x)
			low = mid;
		else
			high = mid - 1;
	}
	return low;
}

static void pace(struct cv_cc *cc, const struct cv_rtt *rtt)
{
	unsigned gain = slow_start(cc) ? 200 : 120;
	if (rtt->smoothed)
		cc->rate = cc->cwnd * gain / 100 * CV_SEC(1) / rtt->smoothed;
}

/* --- RFC 9406 --- */

static void next_round(struct cv_cc *cc, uint64_t delivered)
{
	struct cv_cc_cubic *c = &cc->cubic;
	c->round_end = delivered;
	c->last_rtt = c->round_rtt;
	c->round_rtt = NO_RTT;
	c->samples = 0;
	if (c->css_rtt && ++c->css_rounds >= CSS_ROUNDS)
		c->ssthresh = cc->cwnd;
}

static void hystart(struct cv_cc *cc, const struct cv_cc_ack *ack)
{
	struct cv_cc_cubic *c = &cc->cubic;
	cv_time above = c->last_rtt / 8;
	above = above < CV_MS(4) ? CV_MS(4) : above;
	above = above > CV_MS(16) ? CV_MS(16) : above;
	if (ack->sample.interval && ack->sample.before >= c->round_end)
		next_round(cc, ack->delivered);
	if (!ack->sample.rtt)
		return;
	if (ack->sample.rtt < c->round_rtt)
		c->round_rtt = ack->sample.rtt;
	if (c->samples < SAMPLES)
		c->samples++;
	if (c->samples < SAMPLES || c->last_rtt == NO_RTT)
		return;
	if (c->css_rtt && c->round_rtt < c->css_rtt) {
		c->css_rtt = 0;
	} else if (!c->css_rtt && c->round_rtt >= c->last_rtt + above) {
		c->css_rtt = c->round_rtt;
		c->css_rounds = 0;
	}
}

/* --- RFC 9438 --- */

static void begin_epoch(struct cv_cc *cc, cv_time now)
{
	struct cv_cubic_curve *v = &cc->cubic.curve;
	uint64_t below = 0;
	if (cc->cwnd < v->top)
		below = v->top - cc->cwnd;
	else
		v->top = cc->cwnd;
	/* K = cbrt(below / C), C = 0.4 packets/s^3 */
	v->k = cube_root(below / cc->mss * UINT64_C(2500000000));
	v->epoch = now;
	v->reno = cc->cwnd;
	v->rest = 0;
}

/* the curve at @now */
static uint64_t curve(const struct cv_cc *cc, cv_time now)
{
	const struct cv_cubic_curve *v = &cc->cubic.curve;
	uint64_t ms = (now - v->epoch) / 1000;
	bool after = ms > v->k;
	uint64_t from = after ? ms - v->k : v->k - ms, step;
	if (from > SLOPE_MAX)
		from = SLOPE_MAX;
	step = from * from * from / 1000000 * cc->mss / 2500;
	if (after)
		return v->top + step;
	return v->top > step ? v->top - step : 0;
}

static void avoid(struct cv_cc *cc, const struct cv_cc_ack *ack)
{
	struct cv_cubic_curve *v = &cc->cubic.curve;
	uint64_t want, alpha = 1000;
	if (!v->epoch)
		begin_epoch(cc, ack->now);
	if (v->reno < v->prior)
		alpha = 529; /* 3 (1 - beta) / (1 + beta) */
	v->reno += ack->acked * cc->mss / 1000 * alpha / cc->cwnd;
	want = curve(cc, ack->now + ack->rtt->smoothed);
	if (want < v->reno)
		want = v->reno;
	if (want > cc->cwnd + cc->cwnd / 2)
		want = cc->cwnd + cc->cwnd / 2;
	if (want <= cc->cwnd)
		return;
	v->rest += (want - cc->cwnd) * ack->acked;
	want = v->rest / cc->cwnd;
	v->rest %= cc->cwnd;
	cc->cwnd += want;
}

static void reduce(struct cv_cc *cc, cv_time now)
{
	struct cv_cc_cubic *c = &cc->cubic;
	uint64_t least = 2 * (uint64_t)cc->mss;
	c->old = c->curve;
	c->old_cwnd = cc->cwnd;
	c->old_ssthresh = c->ssthresh;
	c->reduced = now;
	c->curve.prior = cc->cwnd;
	/* a smaller top than the last: make room for others, faster */
	c->curve.top = cc->cwnd < c->curve.top ? cc->cwnd * 85 / 100 : cc->cwnd;
	c->curve.epoch = 0;
	cc->cwnd = cc->cwnd * 7 / 10;
	if (cc->cwnd < least)
		cc->cwnd = least;
	c->ssthresh = cc->cwnd;
}

void cv_cubic_acked(struct cv_cc *cc, const struct cv_cc_ack *ack)
{
	struct cv_cc_cubic *c = &cc->cubic;
	if (ack->lost && ack->lost_sent_at > c->reduced)
		reduce(cc, ack->now);
	else if (ack->acked && ack->limited)
		c->curve.epoch = 0; /* time without need is no time */
	else if (ack->acked && slow_start(cc))
		cc->cwnd += ack->acked / (c->css_rtt ? CSS_DIVISOR : 1);
	else if (ack->acked)
		avoid(cc, ack);
	if (slow_start(cc))
		hystart(cc, ack);
	pace(cc, ack->rtt);
}

void cv_cubic_sent(
	struct cv_cc *cc, uint64_t bytes, uint64_t inflight, cv_time now)
{
	(void)now;
	if (inflight <= bytes)
		cc->cubic.curve.epoch = 0;
}

void cv_cubic_spurious(struct cv_cc *cc, cv_time now)
{
	struct cv_cc_cubic *c = &cc->cubic;
	(void)now;
	if (cc->cwnd < c->old_cwnd) {
		cc->cwnd = c->old_cwnd;
		c->ssthresh = c->old_ssthresh;
		c->curve = c->old;
	}
	c->old_cwnd = 0;
}

void cv_cubic_reset(struct cv_cc *cc, cv_time now)
{
	uint64_t half = cc->cwnd * 7 / 10;
	cv_cubic_init(cc, 0, now);
	cc->cubic.ssthresh = half;
	cc->cubic.reduced = now;
	cc->cwnd = 2 * (uint64_t)cc->mss;
}

void cv_cubic_init(struct cv_cc *cc, cv_time rtt, cv_time now)
{
	struct cv_cc_cubic *c = &cc->cubic;
	(void)now;
	memset(c, 0, sizeof *c);
	c->ssthresh = UINT64_MAX;
	c->last_rtt = c->round_rtt = NO_RTT;
	cc->cwnd = (uint64_t)CV_CC_INITIAL * cc->mss;
	cc->rate = rtt ? 2 * cc->cwnd * CV_SEC(1) / rtt : 0;
}

const char *cv_cubic_state(const struct cv_cc *cc)
{
	if (!slow_start(cc))
		return "avoid";
	return cc->cubic.css_rtt ? "late-start" : "start-up";
}
