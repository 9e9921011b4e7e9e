/* SPDX-License-Identifier: MIT */
#include "core/transport.h"

#include "core/node.h"
#include "core/trace.h"

#include <inttypes.h>

enum { PROBE_CONTROLS = 8 }; /* packets of which control frames go again */

/* what one ACK frame did, as it is worked off */
struct news {
	struct cv_sample sample;
	uint64_t acked, lost;
	cv_time lost_at; /* when the newest lost one left */
	cv_time now;
	struct cv_stream *stream; /* the last one that was looked up */
};

static struct cv_stream *stream_of(
	struct cv_transport *t, uint64_t id, struct cv_stream *hint)
{
	if (hint && hint->transport && hint->end->id == id)
		return hint;
	return cv_stream_find(t->session, id);
}

static void part_acked(
	struct cv_transport *t, struct cv_part *part, struct news *w)
{
	switch ((enum cv_part_type)part->type) {
	case CV_PART_STREAM:
		w->stream = stream_of(t, part->flow, w->stream);
		if (w->stream)
			cv_stream_acked(w->stream, part);
		break;
	case CV_PART_CONTROL:
		cv_buf_free(&t->session->node->pool, part->ctl);
		part->ctl = NULL;
		break;
	case CV_PART_PROBE:
		if (cv_pmtud_probe_acked(
			    &t->pmtud, (uint32_t)part->offset, w->now))
			cv_transport_resized(t, w->now);
		break;
	case CV_PART_WINDOW:
	case CV_PART_ACK:
		break;
	}
}

static void part_lost(
	struct cv_transport *t, struct cv_part *part, struct news *w)
{
	struct cv_session *s = t->session;
	switch ((enum cv_part_type)part->type) {
	case CV_PART_STREAM:
	case CV_PART_WINDOW:
		t->tell |= part->flow == CV_NO_FLOW;
		w->stream = stream_of(t, part->flow, w->stream);
		if (!w->stream)
			break;
		if (part->type == CV_PART_STREAM) {
			cv_stream_lost(w->stream, part, w->now);
		} else {
			w->stream->tell = true;
			cv_stream_wake(w->stream, w->now);
		}
		break;
	case CV_PART_CONTROL:
		if (part->ctl)
			cv_bufq_prepend(&s->ctl, part->ctl);
		part->ctl = NULL;
		break;
	case CV_PART_PROBE:
		cv_pmtud_probe_lost(&t->pmtud, (uint32_t)part->offset, w->now);
		break;
	case CV_PART_ACK:
		break;
	}
}

static void packet_acked(struct cv_transport *t, uint64_t number,
	struct cv_sent *x, struct news *w)
{
	bool here = t->path && x->path == t->generation;
	if (x->state == CV_SENT_LOST) {
		cv_trace(t, w->now, "spurious",
			"\"number\":%" PRIu64 ",\"late\":%" PRIu64, number,
			w->now - x->at);
		if (here) {
			cv_loss_spurious(
				&t->loss, &t->rtt, number, w->now - x->at);
			cv_cc_spurious(&t->cc, w->now);
		}
	} else {
		w->acked += here ? x->size : 0;
	}
	if (here) {
		cv_rate_acked(&t->rate, &w->sample, x, w->now);
		cv_loss_acked(&t->loss, number, x->at);
		cv_pmtud_acked(&t->pmtud, x->size);
	}
	for (unsigned i = 0; i < x->parts; i++)
		part_acked(t, cv_flights_part_of(&t->flights, x, i), w);
	cv_flights_set(&t->flights, x, CV_SENT_SETTLED);
}

void cv_transport_give_up(
	struct cv_transport *t, struct cv_sent *x, cv_time now)
{
	struct news w = { .now = now };
	cv_flights_set(&t->flights, x, CV_SENT_LOST);
	for (unsigned i = x->parts; i--;)
		part_lost(t, cv_flights_part_of(&t->flights, x, i), &w);
}

/* the packets of one range, oldest first */
static void range_acked(
	struct cv_transport *t, struct cv_range r, struct news *w)
{
	struct cv_flights *f = &t->flights;
	if (r.lo < f->first)
		r.lo = f->first;
	if (r.hi > f->next) /* what is not in the ring needs no answer */
		r.hi = f->next;
	for (uint64_t i = r.lo; i < r.hi; i++) {
		struct cv_sent *x = cv_flights_at(f, i);
		if (x && x->state != CV_SENT_SETTLED)
			packet_acked(t, i, x, w);
	}
}

static void detect(struct cv_transport *t, struct news *w)
{
	struct cv_sent *x;
	uint64_t from = t->flights.first;
	while ((x = cv_loss_next(
			&t->loss, &t->flights, &t->rtt, &from, w->now))) {
		bool here = x->path == t->generation && !x->ignored;
		uint32_t size = x->size;
		cv_trace(t, w->now, "lost", "\"bytes\":%u,\"number\":%" PRIu64,
			size, from - 1);
		if (here) {
			w->lost += size;
			if (x->at > w->lost_at)
				w->lost_at = x->at;
			cv_rate_lost(&t->rate, size);
			if (cv_pmtud_lost(&t->pmtud, size, w->now))
				cv_transport_resized(t, w->now);
		}
		cv_transport_give_up(t, x, w->now);
	}
}

static struct cv_cc_ack told(const struct cv_transport *t, const struct news *w)
{
	return (struct cv_cc_ack){
		.now = w->now,
		.sample = w->sample,
		.rtt = &t->rtt,
		.acked = w->acked,
		.lost = w->lost,
		.inflight = t->flights.inflight,
		.delivered = t->rate.delivered,
		.lost_sent_at = w->lost_at,
		.limited = t->rate.limited != 0,
	};
}

/* on a datagram path: what the news say about it */
static void learn(struct cv_transport *t, struct news *w, bool progress)
{
	if (progress)
		cv_loss_progress(&t->loss);
	detect(t, w);
	cv_rate_sample(&t->rate, &w->sample, t->rtt.min, w->now);
	struct cv_cc_ack a = told(t, w);
	cv_cc_acked(&t->cc, &a);
	cv_trace_path(t, w->now);
}

/* a round trip is measured by the newest packet, if it is new */
static void measure(
	struct cv_transport *t, const struct cv_ack_walk *walk, cv_time now)
{
	struct cv_sent *x = cv_flights_at(&t->flights, walk->largest);
	if (!x || x->state != CV_SENT_FLYING || x->path != t->generation)
		return;
	cv_rtt_sample(&t->rtt, now - x->at, walk->delay);
	cv_loss_delayed(&t->loss, walk->delay);
}

int cv_transport_acked(
	struct cv_transport *t, const struct cv_frame *f, cv_time now)
{
	struct cv_ack_walk walk;
	struct cv_range r;
	struct news w = { .now = now };
	uint8_t *p = f->data;
	uint32_t flying = t->flights.flying;
	if (cv_ack_read(&p, f->data + f->len, &walk) ||
		walk.largest >= t->session->number)
		return CULVERT_EPROTO;
	if (t->path)
		measure(t, &walk, now);
	while (cv_ack_range(&walk, &r) && r.hi > t->flights.first)
		range_acked(t, r, &w);
	if (t->path)
		learn(t, &w, t->flights.flying < flying);
	cv_flights_trim(&t->flights,
		now - cv_earlier(now, 3 * cv_rtt_smoothed(&t->rtt)));
	return 0;
}

/* --- by the clock --- */

static bool has_control(struct cv_transport *t, const struct cv_sent *x)
{
	for (unsigned i = 0; i < x->parts; i++) {
		const struct cv_part *p = cv_flights_part_of(&t->flights, x, i);
		if (p->type == CV_PART_CONTROL && p->ctl)
			return true;
	}
	return false;
}

/*
 * The kernel of a probe: what the newest packets held goes once more.  Control
 * frames move on with it, or there would be ever more of them.
 */
static void copy(struct cv_transport *t, struct cv_sent *x, cv_time now)
{
	struct news w = { .now = now };
	for (unsigned i = x->parts; i--;) {
		struct cv_part *part = cv_flights_part_of(&t->flights, x, i);
		if (part->type != CV_PART_PROBE)
			part_lost(t, part, &w);
	}
}

/*
 * A peer that lacks an OPEN acknowledges nothing of its stream, so however old
 * the packets are, what opens and ends flows has to go too.
 */
static void copy_control(struct cv_transport *t, cv_time now)
{
	struct cv_flights *f = &t->flights;
	unsigned most = PROBE_CONTROLS;
	for (uint64_t i = cv_flights_oldest(f); i < f->next && most; i++) {
		struct cv_sent *x = cv_flights_at(f, i);
		if (x->state != CV_SENT_FLYING || !has_control(t, x))
			continue;
		copy(t, x, now);
		most--;
	}
}

/* nothing else to send, and what is under way is worth sending twice */
static bool limited(struct cv_transport *t)
{
	const struct cv_sent *x = cv_flights_at(&t->flights, t->fresh);
	return x && x->parts && x->state == CV_SENT_FLYING &&
	       cv_transport_when(t, 0) == CV_NEVER &&
	       t->flights.inflight < t->cc.cwnd;
}

cv_time cv_transport_probe_at(struct cv_transport *t)
{
	const struct cv_flights *f = &t->flights;
	if (t->path->left || t->path->link->blocked ||
		!cv_roam_allowance(t->path))
		return CV_NEVER;
	cv_time at = cv_loss_probe_at(
		&t->loss, f, &t->rtt, CV_ACK_DELAY, limited(t));
	/* what says nothing may wait for the slowest acknowledgement: lone
	   PINGs would follow each other for ever */
	if (at != CV_NEVER && f->next_part == f->first_part)
		at += CV_ACK_DELAY;
	return at;
}

static void probe(struct cv_transport *t, cv_time now)
{
	struct cv_flights *f = &t->flights;
	bool idle = limited(t);
	unsigned want = idle && !t->loss.probes ? 2 : 1;
	cv_loss_probed(&t->loss, idle);
	cv_trace(t, now, "pto", "\"early\":%s,\"probes\":%u,\"flying\":%u",
		idle ? "true" : "false", t->loss.probes, f->flying);
	if (t->loss.probes)
		cv_transport_doubt(t, now);
	if (cv_loss_persistent(&t->loss))
		cv_cc_reset(&t->cc, now);
	t->probes = want;
	t->ping = true;
	t->copies = idle;
	if (idle)
		t->fresh = UINT64_MAX;
	t->loss.asked = now; /* even if it cannot leave yet */
	if (t->loss.probes > 1)
		copy_control(t, now);
	for (uint64_t i = f->next; want && i > f->first && f->next - i < 64;) {
		struct cv_sent *x = cv_flights_at(f, --i);
		if (x->state != CV_SENT_FLYING || !x->parts)
			continue;
		copy(t, x, now);
		want--;
	}
}

void cv_transport_lapse(struct cv_transport *t, cv_time now)
{
	if (t->loss.deadline <= now) {
		struct news w = { .now = now };
		detect(t, &w);
		struct cv_cc_ack a = told(t, &w);
		if (w.lost)
			cv_cc_lost(&t->cc, &a);
	}
	if (cv_transport_probe_at(t) <= now)
		probe(t, now);
}
