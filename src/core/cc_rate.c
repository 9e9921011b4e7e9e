/* SPDX-License-Identifier: MIT */
#include "core/cc_model.h"

#include <string.h>

/*
 * DOC: What is known of the path: bw, the highest rate of delivery of the last
 * ten rounds (a round is one round trip, by what was delivered when the packet
 * now acknowledged left); min_rtt, the least of 5 to 10 s; floor, the share
 * of packets that is lost whatever is sent.  Paced at gain x bw; the window is
 * gain x bw x min_rtt and what ACKs bring in bursts.
 *
 *	STARTUP	400 %: the window, 277 % (4 ln 2, what doubles in a round), is
 *		the bound, pacing only spreads it.  On long paths less, down to
 *		200 %: that much in excess no queue holds.  100 % while the last
 *ACKs saw a queue: that takes the hurry out, and a whole round of it, at the
 *bottleneck's rate then, ends the state; so do three rounds without growth by
 *25 %, or one with congestion.  Loss alone does not DRAIN	36 % until the
 *queue is what is kept CRUISE	100 %, 97 % if the queue is twice what is kept;
 *4 to 7 rounds, by the clock, so that senders do not move in step UP	125 %,
 *one round DOWN	75 % until the queue is what is kept; a whole round if
 *packets are lost, as it measures the floor, or if the probe found something.
 *Found 1/8 more: STARTUP, or UP once more if there is a queue.  Two rounds at
 *most, else whoever shares the path and does not yield would get it all LOOK
 *90 %, window 95 %: at the end of a window of the minimum whose least is above
 *the old one, is that because of the queue kept? DEEP	window 40 %, and half of
 *what the path held with the least RTT of the last 30 s, two rounds: then what
 *there is of a queue is not ours.  When the minimum drifts up; and in doubt
 *
 * Doubt: rounds behind a queue with less delivered than bw, two at less than
 * a half or three at less than 3/4.  Only the last is believed then.  If in
 * DEEP nothing of the delay went away, no queue was there: the path became
 * longer, and bw is what it was.
 *
 * The queue that is kept, 1/8 of the path but 4 ms at most, is what the
 * bottleneck sends while the sender errs.  A minimum RTT found this way
 * creeps up by it in each window: LOOK.
 *
 * Loss: the floor is measured where sending less than bw left no other reason
 * (rounds of DOWN), and in growing rounds of STARTUP.  What it takes, up to
 * 3/2 of it, counts as delivered: it did pass the bottleneck, or would have
 * fitted.  It must not be measured at full rate: who makes up for the loss of
 * a policer, and takes this loss for the path's, would never stop.  Two rounds
 * with the floor + 2 % and 8 ACKs with losses are congestion.
 */
enum state { STARTUP, DRAIN, CRUISE, UP, DOWN, LOOK, DEEP };

enum {
	MILLION = 1000000,
	FEW = 8,            /* ACKs whose least RTT tells a queue from jitter */
	PLATEAU = 3,        /* rounds without growth that end start-up */
	SLOW = 6,           /* in doubt: half the rate counts 3, 3/4 count 2 */
	EVENTS = 8,         /* losses that are more than chance */
	EXCESS = 20000,     /* loss beyond the floor that is congestion */
	FLOOR_MAX = 300000, /* what is made up for, at most */
	CALM = 1 << 20,     /* bytes that the floor is the mean of, about */
};

#define NO_RTT UINT64_MAX
#define WINDOW CV_SEC(5) /* of the minimum RTT, two of them */
#define BASE CV_SEC(30)  /* how long a lower one is still looked for */
#define KEEP CV_MS(4)    /* of a queue, at most */
#define HELD CV_MS(130)  /* by most bottlenecks before they drop */

static const struct gains {
	uint16_t pace, window;
} gains[] = {
	[STARTUP] = { 400, 277 },
	[DRAIN] = { 36, 277 },
	[CRUISE] = { 100, 200 },
	[UP] = { 125, 225 },
	[DOWN] = { 75, 200 },
	[LOOK] = { 90, 95 },
	[DEEP] = { 75, 40 },
};

static uint64_t max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t bdp(const struct cv_cc_rate *r, uint64_t gain)
{
	cv_time rtt = r->min_rtt == NO_RTT ? 0 : r->min_rtt;
	return r->bw * rtt / CV_SEC(1) * gain / 100;
}

static void enter(struct cv_cc_rate *r, enum state state, cv_time now)
{
	r->state = (uint8_t)state;
	r->rounds = 0;
	r->plateau = 0;
	r->full = r->bw;
	if (state == CRUISE)
		r->cruise = (uint8_t)(4 + (now >> 4) % 4);
}

/* the queue that is kept so that the bottleneck never idles, µs */
static cv_time standing(const struct cv_cc_rate *r)
{
	cv_time t = r->min_rtt / 8;
	if (r->min_rtt == NO_RTT)
		return 0;
	return t < KEEP ? t : KEEP;
}

/* of a least RTT: is there a queue? */
static bool queued(const struct cv_cc_rate *r, cv_time rtt)
{
	return rtt != NO_RTT && rtt > r->min_rtt + r->min_rtt / 8 + CV_MS(1);
}

/* --- the filters --- */

static void see_base(struct cv_cc_rate *r, cv_time rtt, cv_time now)
{
	bool old = now > r->base_at + BASE;
	if (!old && rtt > r->base_rtt && rtt - r->base_rtt > standing(r))
		return;
	r->base_rtt = old ? rtt : min64(rtt, r->base_rtt);
	r->base_at = now;
}

static void see_rtt(struct cv_cc_rate *r, cv_time rtt, cv_time now)
{
	if (!rtt)
		return;
	/* whoever drains a shared queue sets the clocks of all who share it, so
	   that the next time they drain it together */
	if (rtt < r->min_rtt)
		r->min_since = now;
	see_base(r, rtt, now);
	r->min[0] = min64(r->min[0], rtt);
	r->min_rtt = min64(r->min[0], r->min[1]);
	r->round_rtt = min64(r->round_rtt, rtt);
	r->few_rtt = min64(r->few_rtt, rtt);
	if (++r->acks < FEW)
		return;
	r->crowded = queued(r, r->few_rtt);
	r->high_water = r->few_rtt > r->min_rtt + 2 * standing(r);
	r->few_rtt = NO_RTT;
	r->acks = 0;
}

static void see_rate(struct cv_cc_rate *r, const struct cv_sample *s)
{
	uint64_t most, rate;
	if (!s->interval)
		return;
	/* what the path loses by itself did pass the bottleneck, or would have
	   found room there; beyond it, losses are nobody's bandwidth */
	most = s->delivered * (r->floor + r->floor / 2) / MILLION;
	rate = (s->delivered + min64(s->lost, most)) * CV_SEC(1) / s->interval;
	if (s->limited && rate <= r->bw)
		return;
	r->measured = true;
	r->ring[r->slot] = max64(r->ring[r->slot], rate);
	r->bw = max64(r->bw, rate);
}

static void see_burst(
	struct cv_cc_rate *r, const struct cv_cc_ack *ack, uint64_t cwnd)
{
	cv_time took = min64(ack->now - r->agg_since, CV_SEC(10));
	uint64_t due = r->bw * took / CV_SEC(1);
	if (r->agg_acked <= due) {
		r->agg_since = ack->now;
		r->agg_acked = 0;
		due = 0;
	}
	r->agg_acked += ack->acked;
	if (r->agg_acked > due)
		r->extra[r->slot] = max64(
			r->extra[r->slot], min64(r->agg_acked - due, cwnd));
}

static uint64_t highest(const uint64_t *ring)
{
	uint64_t top = 0;
	for (unsigned i = 0; i < CV_CC_ROUNDS; i++)
		top = max64(top, ring[i]);
	return top;
}

/* only the last @rounds are believed */
static void forget(struct cv_cc_rate *r, unsigned rounds)
{
	for (unsigned i = rounds; i < CV_CC_ROUNDS; i++)
		r->ring[(r->slot + CV_CC_ROUNDS - i) % CV_CC_ROUNDS] = 0;
	r->bw = highest(r->ring);
}

static void next_slot(struct cv_cc_rate *r)
{
	/* rounds in which the application was the bound say nothing, and
	   make nothing older */
	if (!r->measured)
		return;
	r->slot = (uint8_t)((r->slot + 1) % CV_CC_ROUNDS);
	r->ring[r->slot] = r->extra[r->slot] = 0;
	r->bw = highest(r->ring);
	r->measured = false;
}

/* --- at the end of a round --- */

static uint32_t round_loss(const struct cv_cc_rate *r)
{
	uint64_t all = r->round_acked + r->round_lost;
	return all ? (uint32_t)(r->round_lost * MILLION / all) : 0;
}

/* what was lost in this round left in the one before */
static bool calm(const struct cv_cc_rate *r)
{
	if (r->state != STARTUP || r->plateau)
		return r->before <= 80;
	return r->bw >= r->full + r->full / 4 && !r->crowded &&
	       !queued(r, r->round_rtt);
}

static void see_floor(struct cv_cc_rate *r)
{
	r->calm_all += r->round_acked + r->round_lost;
	r->calm_lost += r->round_lost;
	if (r->calm_all)
		r->floor = (uint32_t)min64(
			r->calm_lost * MILLION / r->calm_all, FLOOR_MAX);
	while (r->calm_all > CALM) {
		r->calm_all /= 2;
		r->calm_lost /= 2;
	}
}

static void see_loss(struct cv_cc_rate *r)
{
	uint32_t loss = round_loss(r);
	if (loss > r->floor + EXCESS) {
		r->lossy = r->lossy < 2 ? r->lossy + 1 : 2;
	} else {
		r->lossy = 0;
		r->events = 0;
	}
	if (calm(r))
		see_floor(r);
}

static bool congested(const struct cv_cc_rate *r)
{
	return r->lossy >= 2 && r->events >= EVENTS;
}

static void startup_round(struct cv_cc_rate *r, cv_time now)
{
	if (r->bw >= r->full + r->full / 4) {
		r->full = r->bw;
		r->plateau = 0;
	} else if (r->measured) {
		r->plateau++;
	}
	if (r->plateau >= PLATEAU || queued(r, r->round_rtt) ||
		(r->plateau && congested(r)))
		enter(r, DRAIN, now);
}

static void up_round(struct cv_cc_rate *r, cv_time now)
{
	if (r->rounds >= 1)
		enter(r, DOWN, now);
}

static void down_round(struct cv_cc_rate *r, cv_time now)
{
	if (r->bw > r->full + r->full / 8)
		enter(r, queued(r, r->round_rtt) ? UP : STARTUP, now);
	else if (r->rounds >= 2)
		enter(r, CRUISE, now);
}

/* rounds behind a queue, less delivered than believed: the bottleneck has
   become slower, or the path longer and the queue is none */
static void see_slow(struct cv_cc_rate *r)
{
	uint64_t rate = r->ring[r->slot];
	if (!r->measured || !queued(r, r->round_rtt) ||
		rate >= r->bw - r->bw / 4)
		r->slow = 0;
	else
		r->slow = (uint8_t)(r->slow + (rate < r->bw / 2 ? 3 : 2));
}

static void doubt(struct cv_cc_rate *r, cv_time now)
{
	r->kept = r->bw;
	r->doubt_rtt = r->round_rtt;
	r->slow = 0;
	forget(r, 1);
	enter(r, DEEP, now);
	r->min[0] = NO_RTT;
}

/* loss beyond the floor: of a queue that is full, room is made in it; without
 * one, something drops what is above its rate but lets a burst pass after each
 * pause, so that there is no pause, and nothing older is believed */
static void give_way(struct cv_cc_rate *r, cv_time now)
{
	bool full = queued(r, r->round_rtt);
	forget(r, full ? 3 : 1);
	r->lossy = 0;
	r->events = 0;
	if (full)
		enter(r, DOWN, now);
}

static void cruise_round(struct cv_cc_rate *r, cv_time now)
{
	if (congested(r))
		give_way(r, now);
	else if (r->rounds >= r->cruise)
		enter(r, UP, now);
}

/* the window of the minimum is over */
static void turn_window(struct cv_cc_rate *r, cv_time now)
{
	r->min[1] = r->min[0];
	r->min[0] = NO_RTT;
	r->min_rtt = r->min[1];
	r->min_since = now;
}

static bool least_is_old(const struct cv_cc_rate *r)
{
	return r->min[0] > r->min_rtt + standing(r) / 2;
}

static void look_round(struct cv_cc_rate *r, cv_time now)
{
	if (!least_is_old(r)) {
		turn_window(r, now);
		enter(r, CRUISE, now);
	} else if (r->rounds >= 2) {
		enter(r, DEEP, now);
	}
}

/* with the window small, what is left of the queue is not ours; if nothing of
   it went away, it was the path that became longer, and bw is what it was */
static void deep_round(struct cv_cc_rate *r, cv_time now)
{
	if (r->rounds < 2 || r->min[0] == NO_RTT)
		return;
	if (r->kept && r->min[0] + standing(r) / 4 >= r->doubt_rtt) {
		r->ring[r->slot] = r->bw = r->kept;
		r->base_rtt = r->min[0];
		r->base_at = now;
	}
	r->kept = 0;
	turn_window(r, now);
	enter(r, CRUISE, now);
}

static void state_round(struct cv_cc_rate *r, cv_time now)
{
	switch ((enum state)r->state) {
	case STARTUP:
		startup_round(r, now);
		break;
	case DRAIN:
		if (r->rounds >= 3)
			enter(r, CRUISE, now);
		break;
	case CRUISE:
		cruise_round(r, now);
		break;
	case UP:
		up_round(r, now);
		break;
	case DOWN:
		down_round(r, now);
		break;
	case LOOK:
		look_round(r, now);
		break;
	case DEEP:
		deep_round(r, now);
		break;
	}
}

static void window_round(struct cv_cc_rate *r, cv_time now)
{
	if (now < r->min_since + WINDOW || r->min[0] == NO_RTT ||
		r->state != CRUISE)
		return;
	if (r->measured && r->min[0] > r->base_rtt + standing(r))
		enter(r, DEEP, now);
	else if (r->measured && least_is_old(r))
		enter(r, LOOK, now);
	else
		turn_window(r, now);
}

static void round_over(struct cv_cc_rate *r, const struct cv_cc_ack *ack)
{
	r->round_end = ack->delivered;
	r->rounds++;
	if (r->state != STARTUP || r->rounds > 1)
		see_loss(r); /* not what was lost before a reset */
	if (r->state == CRUISE || r->state == UP || r->state == DOWN)
		see_slow(r);
	if (r->slow >= SLOW)
		doubt(r, ack->now);
	else
		state_round(r, ack->now);
	window_round(r, ack->now);
	next_slot(r);
	r->round_rtt = NO_RTT;
	r->round_acked = r->round_lost = 0;
	r->before = r->high;
	r->high = 0;
}

/* --- out of it: two numbers --- */

static void steer(struct cv_cc *cc)
{
	struct cv_cc_rate *r = &cc->model;
	uint64_t rate;
	r->gain = gains[r->state].pace;
	/* a queue ends the hurry, not yet the search */
	if (r->state == STARTUP && r->crowded)
		r->gain = 100;
	if (r->state == CRUISE && r->high_water)
		r->gain = 97;
	if (r->gain > r->high)
		r->high = r->gain;
	if (!r->bw)
		return;
	rate = max64(r->bw * r->gain / 100, cc->mss);
	/* the first samples are of a part of the first flight */
	if (r->state != STARTUP || r->crowded || rate > cc->rate)
		cc->rate = rate;
}

static uint64_t least(const struct cv_cc *cc)
{
	uint64_t train = min64(cc->rate / 1000, 65000);
	return max64(4 * (uint64_t)cc->mss, 3 * train);
}

static uint64_t window_gain(const struct cv_cc_rate *r)
{
	uint64_t gain = gains[r->state].window;
	if (r->state != STARTUP || !r->min_rtt)
		return gain;
	return min64(gain, max64(200, 100 + 100 * HELD / r->min_rtt));
}

static void size(struct cv_cc *cc, uint64_t acked)
{
	struct cv_cc_rate *r = &cc->model;
	uint64_t want = bdp(r, window_gain(r));
	if (!r->bw)
		return;
	if (r->state == DEEP)
		want = min64(want, r->bw * r->base_rtt / CV_SEC(1) / 2);
	else if (r->state != LOOK)
		want += highest(r->extra);
	want = max64(want, least(cc));
	if (r->state == STARTUP)
		cc->cwnd = max64(cc->cwnd, want);
	else
		cc->cwnd = min64(cc->cwnd + acked, want);
}

/* a whole round of yielding where packets are lost: it measures the floor */
static bool drained(const struct cv_cc_rate *r, const struct cv_cc_ack *ack)
{
	uint64_t keep = r->bw * standing(r) / CV_SEC(1);
	bool lossy = r->floor || r->round_lost;
	if (r->state != DRAIN && r->state != DOWN)
		return false;
	/* ... or shows how much the probe found */
	if (r->state == DOWN && !r->rounds &&
		(lossy || r->bw > r->full + r->full / (r->high_water ? 8 : 32)))
		return false;
	return ack->inflight <= bdp(r, 100) + keep;
}

/* the first window in a round trip */
static uint64_t first_rate(const struct cv_cc *cc, cv_time rtt)
{
	return rtt ? cc->cwnd * cc->model.gain / 100 * CV_SEC(1) / rtt : 0;
}

void cv_rate_model_acked(struct cv_cc *cc, const struct cv_cc_ack *ack)
{
	struct cv_cc_rate *r = &cc->model;
	/* a first packet of a few bytes is not what the path takes */
	if (!cc->rate)
		cc->rate = first_rate(cc, ack->sample.rtt);
	r->round_acked += ack->acked;
	r->round_lost += ack->lost;
	r->events += ack->lost != 0;
	see_rtt(r, ack->sample.rtt, ack->now);
	see_rate(r, &ack->sample);
	if (ack->acked)
		see_burst(r, ack, cc->cwnd);
	if (ack->sample.interval && ack->sample.before >= r->round_end)
		round_over(r, ack);
	if (drained(r, ack))
		enter(r, CRUISE, ack->now);
	steer(cc);
	size(cc, ack->acked);
}

void cv_rate_model_sent(
	struct cv_cc *cc, uint64_t bytes, uint64_t inflight, cv_time now)
{
	struct cv_cc_rate *r = &cc->model;
	if (inflight > bytes)
		return;
	r->agg_since = now;
	r->agg_acked = 0;
	if (r->state == UP)
		enter(r, CRUISE, now);
}

void cv_rate_model_init(struct cv_cc *cc, cv_time rtt, cv_time now)
{
	struct cv_cc_rate *r = &cc->model;
	memset(r, 0, sizeof *r);
	r->round_rtt = r->few_rtt = NO_RTT;
	r->min[0] = r->min[1] = r->min_rtt = r->base_rtt = NO_RTT;
	r->min_since = r->base_at = r->agg_since = now;
	r->gain = r->high = gains[STARTUP].pace;
	cc->cwnd = (uint64_t)CV_CC_INITIAL * cc->mss;
	cc->rate = first_rate(cc, rtt);
}

void cv_rate_model_reset(struct cv_cc *cc, cv_time now)
{
	cv_time rtt = cc->model.min_rtt;
	cv_rate_model_init(cc, rtt == NO_RTT ? 0 : rtt, now);
}

const char *cv_rate_model_state(const struct cv_cc *cc)
{
	static const char *const words[] = { "start-up", "drain", "cruise",
		"probe", "yield", "look", "deep-look" };
	return words[cc->model.state];
}
