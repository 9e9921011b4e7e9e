/* SPDX-License-Identifier: MIT */
#include "unit/cc_path.h"

#include <stdlib.h>
#include <string.h>

#include "unit/cc_bbr1.h"
#include "unit/cc_events.h"
#include "unit/env.h"

enum { QUEUE = 1 << 16 }; /* packets; the bytes are bounded by the path */
enum { SERVE, ARRIVE, ACK, SEND, ALARM, DELACK, LOOK, TALK };
#define ACK_DELAY CV_MS(25)

struct flow {
	enum path_kind kind;
	struct cv_cc cc;
	struct bbr1 bbr;
	struct cv_pacer pacer;
	struct cv_rate rate;
	struct cv_rtt rtt;
	struct cv_sent *sent;
	uint32_t *log; /* numbers as they arrived */
	uint32_t room, next, oldest, top;
	uint32_t logged, seen; /* by the receiver, by the sender */
	uint64_t inflight, budget, chunk;
	cv_time every, extra, last_sent, last_arrival, last_ack;
	cv_time send_at, alarm_at, ack_at, look_at; /* timers; 0: none */
	cv_time lost_first, lost_sent;
	uint32_t expected, unacked, looked;
	unsigned probes, probe_now, resets;
	uint64_t payload, wrong;
	bool reordered;
};

struct path {
	struct path_cfg cfg;
	uint64_t seed, bytes;
	cv_time now, begun, tokens_at;
	double rest;               /* of a µs */
	double tokens, queue_rate; /* what the queue was sized for */
	struct events events;
	struct {
		uint32_t n;
		uint8_t flow;
		cv_time at;
	} queue[QUEUE];
	uint32_t head, tail;
	bool serving, bad;
	struct flow flow[PATH_FLOWS];
	unsigned flows;
	uint64_t delay[PATH_DELAYS], passed, dropped;
};

/* --- events --- */

static void *more(void *old, size_t size)
{
	void *new = realloc(old, size);
	if (!new)
		abort();
	return new;
}

static void post(
	struct path *p, cv_time at, uint8_t type, unsigned flow, uint32_t n)
{
	struct event e = { .at = at, .type = type, .n = n };
	e.flow = (uint8_t)flow;
	events_put(&p->events, &e);
}

/* --- the path --- */

static bool chance(struct path *p, double share)
{
	return share > 0 && (double)rnd_below(&p->seed, 1u << 30) <
				    share * (double)(1u << 30);
}

static bool is_lost(struct path *p)
{
	if (p->cfg.burst <= 0)
		return chance(p, p->cfg.loss);
	if (p->bad)
		p->bad = !chance(p, 1 / p->cfg.burst);
	else
		p->bad = chance(
			p, p->cfg.loss / (1 - p->cfg.loss) / p->cfg.burst);
	return p->bad;
}

static bool policed(struct path *p)
{
	double most = p->cfg.police * p->cfg.bucket_ms * 125;
	if (p->cfg.police <= 0)
		return false;
	p->tokens += p->cfg.police * (double)(p->now - p->tokens_at) / 8;
	p->tokens_at = p->now;
	if (p->tokens > most)
		p->tokens = most;
	if (p->tokens < PATH_FRAME)
		return true;
	p->tokens -= PATH_FRAME;
	return false;
}

static void serve(struct path *p)
{
	double takes = PATH_FRAME * 8 / p->cfg.rate + p->rest;
	cv_time whole = (cv_time)takes;
	p->rest = takes - (double)whole;
	p->serving = true;
	post(p, p->now + whole, SERVE, 0, 0);
}

static void enqueue(struct path *p, unsigned flow, uint32_t n)
{
	double ms = p->cfg.queue_ms > 0 ? p->cfg.queue_ms : 100;
	double most = ms * 125 * p->queue_rate;
	p->passed++;
	if (policed(p) || p->tail - p->head == QUEUE ||
		(double)p->bytes + PATH_FRAME > most) {
		p->dropped++;
		return;
	}
	p->queue[p->tail % QUEUE].n = n;
	p->queue[p->tail % QUEUE].flow = (uint8_t)flow;
	p->queue[p->tail++ % QUEUE].at = p->now;
	p->bytes += PATH_FRAME;
	if (!p->serving)
		serve(p);
}

static void served(struct path *p)
{
	uint32_t n = p->queue[p->head % QUEUE].n;
	unsigned flow = p->queue[p->head % QUEUE].flow;
	cv_time at = p->now + p->cfg.rtt / 2;
	cv_time waited = (p->now - p->queue[p->head++ % QUEUE].at) / 100;
	p->delay[waited < PATH_DELAYS ? waited : PATH_DELAYS - 1]++;
	p->bytes -= PATH_FRAME;
	p->serving = false;
	if (p->head != p->tail)
		serve(p);
	if (is_lost(p) || p->cfg.dark)
		return;
	if (p->cfg.jitter) {
		struct flow *f = &p->flow[flow];
		at += rnd_below(&p->seed, p->cfg.jitter);
		if (at < f->last_arrival)
			at = f->last_arrival;
		f->last_arrival = at;
	}
	if (chance(p, p->cfg.late))
		at += CV_MS(2);
	post(p, at, ARRIVE, flow, n);
}

/* --- the receiver --- */

static void acknowledge(struct path *p, unsigned i)
{
	struct flow *f = &p->flow[i];
	cv_time at = p->now + p->cfg.rtt / 2;
	f->unacked = 0;
	f->ack_at = 0;
	if (p->cfg.dark)
		return;
	if (p->cfg.ack_gap)
		at = (at / p->cfg.ack_gap + 1) * p->cfg.ack_gap;
	if (p->cfg.noise)
		at += rnd_below(&p->seed, p->cfg.noise);
	if (at < f->last_ack)
		at = f->last_ack;
	f->last_ack = at;
	post(p, at, ACK, i, f->logged);
}

static void take(struct path *p, unsigned i, uint32_t n)
{
	struct flow *f = &p->flow[i];
	bool gap = n != f->expected;
	unsigned every = p->cfg.noise ? 45 : 2;
	f->log[f->logged++] = n;
	f->payload += PATH_PAYLOAD;
	if (n >= f->expected)
		f->expected = n + 1;
	if (++f->unacked >= every || (gap && !p->cfg.noise)) {
		acknowledge(p, i);
	} else if (!f->ack_at) {
		f->ack_at =
			p->now + (p->cfg.rtt / 4 < ACK_DELAY ? p->cfg.rtt / 4
							     : ACK_DELAY);
		post(p, f->ack_at, DELACK, i, 0);
	}
}

static void arrived(struct path *p, unsigned i, uint32_t n)
{
	struct flow *f = &p->flow[i];
	if (!p->cfg.noise) {
		take(p, i, n);
		return;
	}
	/* kept in the socket until the process runs */
	f->log[f->logged + f->looked++] = n;
	if (f->look_at)
		return;
	f->look_at = p->now + rnd_below(&p->seed, p->cfg.noise);
	post(p, f->look_at, LOOK, i, 0);
}

static void look(struct path *p, unsigned i)
{
	struct flow *f = &p->flow[i];
	uint32_t n = f->looked;
	f->look_at = 0;
	f->looked = 0;
	while (n--)
		take(p, i, f->log[f->logged]);
	if (f->unacked)
		acknowledge(p, i);
}

/* --- the sender --- */

static void room(struct flow *f)
{
	if (f->next < f->room)
		return;
	f->room = f->room ? 2 * f->room : 4096;
	f->sent = more(f->sent, f->room * sizeof *f->sent);
	f->log = more(f->log, f->room * sizeof *f->log);
}

static void send_one(struct path *p, unsigned i)
{
	struct flow *f = &p->flow[i];
	struct cv_sent *s;
	room(f);
	s = &f->sent[f->next];
	memset(s, 0, sizeof *s);
	s->at = p->now;
	s->size = PATH_MSS;
	s->state = CV_SENT_FLYING;
	cv_rate_sent(&f->rate, s, f->inflight, p->now);
	f->inflight += s->size;
	if (f->kind != PATH_BBR1)
		cv_cc_sent(&f->cc, s->size, f->inflight, p->now);
	f->last_sent = p->now;
	enqueue(p, i, f->next++);
}

static cv_time loss_delay(const struct flow *f)
{
	cv_time rtt = f->rtt.latest > f->rtt.smoothed ? f->rtt.latest
						      : f->rtt.smoothed;
	return rtt + rtt / 8 + f->extra + (rtt < 1000 ? rtt / 4 + 10 : 1000);
}

static void arm(struct path *p, unsigned i)
{
	struct flow *f = &p->flow[i];
	cv_time at = 0;
	if (f->oldest < f->next && f->oldest < f->top)
		at = f->sent[f->oldest].at + loss_delay(f);
	else if (f->inflight)
		at = f->last_sent +
		     (cv_rtt_pto(&f->rtt, ACK_DELAY) << f->probes);
	if (at && at <= p->now)
		at = p->now + 1;
	if (at == f->alarm_at)
		return;
	f->alarm_at = at;
	if (at)
		post(p, at, ALARM, i, 0);
}

static bool may_send(const struct flow *f)
{
	if (f->probe_now)
		return true;
	return f->inflight + PATH_MSS <= f->cc.cwnd && f->budget;
}

static void try_send(struct path *p, unsigned i)
{
	struct flow *f = &p->flow[i];
	uint64_t rate = f->cc.rate, left, bytes;
	while (may_send(f)) {
		cv_time when = cv_pacer_when(&f->pacer);
		if (when > p->now && !f->probe_now) {
			if (f->send_at == when)
				return;
			f->send_at = when;
			post(p, when, SEND, i, 0);
			return;
		}
		left = cv_pacer_quantum(rate, PATH_MSS);
		for (bytes = 0; may_send(f) && bytes + PATH_MSS <= left;
			bytes += PATH_MSS) {
			if (f->budget != UINT64_MAX && f->budget)
				f->budget -= f->budget < PATH_PAYLOAD
						     ? f->budget
						     : PATH_PAYLOAD;
			f->probe_now -= f->probe_now != 0;
			send_one(p, i);
		}
		cv_pacer_sent(&f->pacer, bytes, rate, p->now);
	}
	if (!f->budget)
		cv_rate_limited(&f->rate, f->inflight);
}

static uint64_t find_lost(struct path *p, struct flow *f)
{
	cv_time delay = loss_delay(f);
	uint64_t lost = 0;
	for (uint32_t n = f->oldest; n < f->top; n++) {
		struct cv_sent *s = &f->sent[n];
		if (s->state != CV_SENT_FLYING)
			continue;
		if (s->at + delay > p->now && (f->reordered || n + 3 > f->top))
			break;
		s->state = CV_SENT_LOST;
		lost += s->size;
		if (!f->lost_first)
			f->lost_first = s->at;
		f->lost_sent = s->at;
	}
	f->inflight -= lost;
	cv_rate_lost(&f->rate, lost);
	while (f->oldest < f->next &&
		f->sent[f->oldest].state != CV_SENT_FLYING)
		f->oldest++;
	return lost;
}

static void tell(struct flow *f, const struct cv_cc_ack *a)
{
	if (f->kind == PATH_BBR1)
		bbr1_acked(&f->bbr, &f->cc, a);
	else if (a->acked)
		cv_cc_acked(&f->cc, a);
	else
		cv_cc_lost(&f->cc, a);
}

/* one packet of an ACK; whether it was in flight */
static bool settle(
	struct path *p, struct flow *f, uint32_t n, struct cv_sample *sample)
{
	struct cv_sent *s = &f->sent[n];
	bool flying = s->state == CV_SENT_FLYING;
	if (!flying) {
		cv_time late = p->now - s->at;
		f->wrong++;
		f->reordered = true;
		if (late > f->rtt.smoothed + f->rtt.smoothed / 8)
			f->extra = f->rtt.min / 4;
		if (f->kind != PATH_BBR1)
			cv_cc_spurious(&f->cc, p->now);
		s->state = CV_SENT_SETTLED;
		return false;
	}
	cv_rate_acked(&f->rate, sample, s, p->now);
	f->inflight -= s->size;
	s->state = CV_SENT_SETTLED;
	if (n > f->top)
		f->top = n;
	return true;
}

static void acked(struct path *p, unsigned i, uint32_t upto)
{
	struct flow *f = &p->flow[i];
	struct cv_cc_ack a = { .now = p->now, .rtt = &f->rtt };
	cv_time span = 3 * cv_rtt_pto(&f->rtt, ACK_DELAY);
	for (; f->seen < upto; f->seen++)
		if (settle(p, f, f->log[f->seen], &a.sample))
			a.acked += PATH_MSS;
	if (!a.acked)
		return;
	if (a.sample.rtt)
		cv_rtt_sample(&f->rtt, a.sample.rtt, 0);
	f->lost_first = f->lost_sent = 0;
	a.lost = find_lost(p, f);
	cv_rate_sample(&f->rate, &a.sample, f->rtt.min, p->now);
	a.lost_sent_at = f->lost_sent;
	a.inflight = f->inflight;
	a.delivered = f->rate.delivered;
	a.limited = !f->budget;
	if (f->probes && a.lost && f->lost_sent - f->lost_first > span &&
		f->kind != PATH_BBR1) {
		cv_cc_reset(&f->cc, p->now);
		f->resets++;
	}
	f->probes = 0;
	tell(f, &a);
	try_send(p, i);
	arm(p, i);
}

static void alarm_rang(struct path *p, unsigned i)
{
	struct flow *f = &p->flow[i];
	struct cv_cc_ack a = { .now = p->now, .rtt = &f->rtt };
	bool loss = f->oldest < f->top;
	f->alarm_at = 0;
	f->lost_first = f->lost_sent = 0;
	a.lost = find_lost(p, f);
	a.lost_sent_at = f->lost_sent;
	a.inflight = f->inflight;
	a.delivered = f->rate.delivered;
	if (a.lost) {
		tell(f, &a);
	} else if (!loss && f->inflight) {
		f->probes += f->probes < 8;
		f->probe_now = 2;
	}
	try_send(p, i);
	arm(p, i);
}

static void talk(struct path *p, unsigned i)
{
	struct flow *f = &p->flow[i];
	if (!f->every)
		return;
	f->budget += f->chunk;
	post(p, p->now + f->every, TALK, i, 0);
	try_send(p, i);
	arm(p, i);
}

static void start(struct path *p, unsigned i)
{
	struct flow *f = &p->flow[i];
	cv_cc_init(&f->cc, f->kind == PATH_CUBIC ? CV_CC_CUBIC : CV_CC_RATE,
		PATH_MSS, p->cfg.rtt, p->now);
	if (f->kind == PATH_BBR1)
		bbr1_init(&f->bbr, &f->cc);
	cv_rtt_sample(&f->rtt, p->cfg.rtt + 1, 0);
	cv_pacer_reset(&f->pacer, p->now);
	f->budget = UINT64_MAX;
	try_send(p, i);
	arm(p, i);
}

/* --- what tests call --- */

static void handle(struct path *p, const struct event *e)
{
	struct flow *f = &p->flow[e->flow];
	if (e->type == SERVE) {
		served(p);
	} else if (e->type == ARRIVE) {
		arrived(p, e->flow, e->n);
	} else if (e->type == ACK) {
		acked(p, e->flow, e->n);
	} else if (e->type == SEND && e->n) {
		start(p, e->flow);
	} else if (e->type == SEND && f->send_at == e->at) {
		f->send_at = 0;
		try_send(p, e->flow);
		arm(p, e->flow);
	} else if (e->type == ALARM && f->alarm_at == e->at) {
		alarm_rang(p, e->flow);
	} else if (e->type == DELACK && f->ack_at == e->at) {
		acknowledge(p, e->flow);
	} else if (e->type == LOOK) {
		look(p, e->flow);
	} else if (e->type == TALK) {
		talk(p, e->flow);
	}
}

void path_run(struct path *p, cv_time until)
{
	struct event e;
	while (events_take(&p->events, until, &e)) {
		p->now = e.at;
		handle(p, &e);
	}
	p->now = until;
}

struct path *path_new(const struct path_cfg *cfg, uint64_t seed)
{
	struct path *p = calloc(1, sizeof *p);
	if (!p)
		abort();
	p->cfg = *cfg;
	p->queue_rate = cfg->rate;
	p->seed = seed;
	return p;
}

void path_free(struct path *p)
{
	for (unsigned i = 0; i < p->flows; i++) {
		free(p->flow[i].sent);
		free(p->flow[i].log);
	}
	free(p->events.heap);
	free(p);
}

struct path_cfg *path_cfg(struct path *p)
{
	return &p->cfg;
}

unsigned path_flow(struct path *p, enum path_kind kind, cv_time at)
{
	struct flow *f = &p->flow[p->flows];
	f->kind = kind;
	/* the handshake takes its round trip */
	post(p, (at > p->now ? at : p->now) + p->cfg.rtt, SEND, p->flows, 1);
	return p->flows++;
}

void path_talk(struct path *p, unsigned i, uint64_t bytes, cv_time every)
{
	struct flow *f = &p->flow[i];
	f->chunk = bytes;
	f->every = every;
	f->budget = every ? 0 : UINT64_MAX;
	if (every) {
		post(p, p->now + every, TALK, i, 0);
	} else {
		try_send(p, i);
		arm(p, i);
	}
}

void path_mark(struct path *p)
{
	p->begun = p->now;
	for (unsigned i = 0; i < p->flows; i++)
		p->flow[i].payload = p->flow[i].wrong = 0;
	memset(p->delay, 0, sizeof p->delay);
	p->passed = p->dropped = 0;
}

double path_payload(const struct path *p, unsigned i)
{
	const struct flow *f = &p->flow[i];
	uint64_t bytes = f->payload - f->wrong * PATH_PAYLOAD;
	return (double)bytes * 8 / (double)(p->now - p->begun);
}

double path_delay(const struct path *p, double share)
{
	uint64_t all = 0, sum = 0;
	unsigned i;
	for (i = 0; i < PATH_DELAYS; i++)
		all += p->delay[i];
	for (i = 0; i < PATH_DELAYS - 1; i++) {
		sum += p->delay[i];
		if ((double)sum >= share * (double)all)
			break;
	}
	return i / 10.0;
}

double path_lost(const struct path *p)
{
	return p->passed ? (double)p->dropped / (double)p->passed : 0;
}

const struct cv_cc *path_cc(const struct path *p, unsigned i)
{
	return &p->flow[i].cc;
}

unsigned path_resets(const struct path *p, unsigned i)
{
	return p->flow[i].resets;
}
