/* SPDX-License-Identifier: MIT */
#include "core/rate.h"

void cv_rate_sent(
	struct cv_rate *r, struct cv_sent *p, uint64_t inflight, cv_time now)
{
	/* from idle: the pause is not the path's */
	if (!inflight)
		r->first_at = r->delivered_at = now;
	p->delivered = r->delivered;
	p->delivered_at = r->delivered_at;
	p->first_at = r->first_at;
	p->inflight = (uint32_t)(inflight + p->size);
	p->lost = (uint32_t)r->lost;
	p->limited = r->limited != 0;
}

void cv_rate_acked(struct cv_rate *r, struct cv_sample *s,
	const struct cv_sent *p, cv_time now)
{
	cv_time rtt = now > p->at ? now - p->at : 1;
	r->delivered += p->size;
	r->delivered_at = now;
	if (s->rtt &&
		(rtt > s->rtt || (rtt == s->rtt && p->delivered <= s->before)))
		return;
	s->rtt = rtt;
	s->before = p->delivered;
	s->inflight = p->inflight;
	s->limited = p->limited;
	s->interval = p->at - p->first_at;
	s->delivered = p->delivered_at;
	s->lost = p->lost;
	/* a late packet does not bring an old flight back */
	if (r->first_at < p->at)
		r->first_at = p->at;
}

void cv_rate_lost(struct cv_rate *r, uint64_t bytes)
{
	r->lost += bytes;
}

void cv_rate_sample(
	struct cv_rate *r, struct cv_sample *s, cv_time min_rtt, cv_time now)
{
	if (r->limited && r->delivered > r->limited)
		r->limited = 0;
	if (!s->rtt)
		return;
	/* neither bursts sent nor acknowledgements that come in one are the
	   path's rate: the longer of the two */
	if (s->interval < now - s->delivered)
		s->interval = now - s->delivered;
	if (s->interval < min_rtt)
		s->interval = 0;
	s->delivered = r->delivered - s->before;
	s->lost = (uint32_t)r->lost - (uint32_t)s->lost;
}

void cv_rate_limited(struct cv_rate *r, uint64_t inflight)
{
	r->limited = r->delivered + inflight;
	if (!r->limited)
		r->limited = 1;
}
