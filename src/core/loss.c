/* SPDX-License-Identifier: MIT */
#include "core/loss.h"

#include "core/acks.h"

void cv_loss_init(struct cv_loss *l)
{
	*l = (struct cv_loss){ .deadline = CV_NEVER };
}

void cv_loss_acked(struct cv_loss *l, uint64_t number, cv_time at)
{
	if (number >= l->largest) {
		l->largest = number + 1;
		l->largest_at = at;
	} else if (number + CV_LOSS_PACKETS < l->before) {
		/* that one was there when the last ACK was written */
		l->quiet = 0;
	}
}

static cv_time later(cv_time a, cv_time b)
{
	return a > b ? a : b;
}

static cv_time less(cv_time a, cv_time b)
{
	return a > b ? a - b : 0;
}

void cv_loss_spurious(struct cv_loss *l, const struct cv_rtt *rtt,
	uint64_t number, cv_time late)
{
	cv_time smoothed = cv_rtt_smoothed(rtt);
	/* that the present sample is long is no reason to need less */
	cv_time need = less(late, smoothed + smoothed / 8);
	cv_time extra = later(l->extra, rtt->min / 4);
	if (!l->reorders)
		l->round_end = l->largest;
	else if (need <= l->extra && number >= l->raised)
		extra = l->extra + rtt->min / 4;
	if (number >= l->raised)
		l->raised = l->largest;
	extra = later(extra, need + need / 4);
	l->extra = cv_earlier(extra, smoothed);
	l->reorders = true;
	l->calm = l->quiet = 0;
	l->spurious++;
}

static void count_rounds(
	struct cv_loss *l, const struct cv_flights *f, cv_time min)
{
	l->before = l->largest;
	if (!l->reorders || l->largest <= l->round_end)
		return;
	l->round_end = f->next;
	if (++l->calm >= CV_LOSS_CALM) {
		l->calm = 0;
		l->extra = cv_earlier(l->extra, later(l->extra / 2, min / 4));
	}
	if (++l->quiet >= CV_LOSS_QUIET) {
		l->reorders = false;
		l->extra = 0;
	}
}

struct cv_sent *cv_loss_next(struct cv_loss *l, struct cv_flights *f,
	const struct cv_rtt *rtt, uint64_t *from, cv_time now)
{
	cv_time base = later(rtt->latest, cv_rtt_smoothed(rtt));
	cv_time wait = base + base / 8 + l->extra;
	uint64_t n = later(*from, cv_flights_oldest(f));
	uint64_t end = cv_earlier(l->largest, f->next);
	l->deadline = CV_NEVER;
	for (; n < end; n++) {
		struct cv_sent *s = cv_flights_at(f, n);
		if (s->state != CV_SENT_FLYING)
			continue;
		bool far = !l->reorders && n + CV_LOSS_PACKETS < l->largest;
		if (!far && s->at + wait > now) {
			l->deadline = s->at + wait;
			break;
		}
		*from = n + 1;
		return s;
	}
	count_rounds(l, f, rtt->min);
	return NULL;
}

void cv_loss_delayed(struct cv_loss *l, cv_time delay)
{
	l->held = later(delay, l->held - l->held / 8);
}

static cv_time patience(
	const struct cv_loss *l, const struct cv_rtt *rtt, cv_time ack_delay)
{
	cv_time usual = later(cv_rtt_smoothed(rtt) / 4, CV_ACK_FLOOR);
	usual = later(usual, l->held);
	return cv_earlier(ack_delay, usual);
}

static cv_time early_after(const struct cv_rtt *rtt, cv_time ack_delay)
{
	cv_time quarter = cv_rtt_smoothed(rtt) / 4;
	cv_time wait = quarter + ack_delay;
	return wait + cv_earlier(quarter, CV_GRANULARITY);
}

cv_time cv_loss_probe_at(const struct cv_loss *l, const struct cv_flights *f,
	const struct cv_rtt *rtt, cv_time ack_delay, bool limited)
{
	cv_time delay = patience(l, rtt, ack_delay), wait, most;
	if (!f->flying)
		return CV_NEVER;
	if (limited && !l->early && !l->probes)
		return l->asked + later(early_after(rtt, delay), CV_PROBE_MIN);
	wait = later(cv_rtt_pto(rtt, delay), CV_PROBE_MIN);
	most = later(wait, CV_PROBE_MAX);
	for (unsigned i = 0; i < l->probes && wait < most; i++)
		wait *= 2;
	return l->asked + cv_earlier(wait, most);
}

void cv_loss_probed(struct cv_loss *l, bool limited)
{
	if (limited && !l->early && !l->probes)
		l->early = true;
	else
		l->probes++;
}

void cv_loss_progress(struct cv_loss *l)
{
	l->probes = 0;
	l->early = false;
}

bool cv_loss_persistent(const struct cv_loss *l)
{
	return l->probes >= CV_LOSS_PERSISTENT;
}
