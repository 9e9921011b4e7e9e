/* SPDX-License-Identifier: MIT */
#include "core/acks.h"

#include "core/frame.h"

enum {
	PACE = 16,     /* acknowledgements in a round trip, about */
	HEAD = 32,     /* everything before the second range */
	RANGE = 8 + 8, /* another one */
};

void cv_acks_init(struct cv_acks *a, const struct cv_env *env)
{
	*a = (struct cv_acks){
		.env = env, .due = CV_NEVER, .every = CV_ACK_EVERY_MIN
	};
}

void cv_acks_clear(struct cv_acks *a)
{
	cv_ranges_clear(&a->got, a->env);
	cv_acks_init(a, a->env);
}

/* false: it will not be acknowledged, as if it had been lost */
static bool remember(struct cv_acks *a, uint64_t number)
{
	const struct cv_env *env = a->env;
	struct cv_ranges *got = &a->got;
	if (!cv_ranges_add(got, env, number, number + 1, CV_ACK_KEPT))
		return true;
	if (!got->count || number < got->r[0].lo)
		return false;
	/* the oldest makes room; nothing is allocated */
	cv_ranges_below(got, got->r[0].hi);
	return !cv_ranges_add(got, env, number, number + 1, CV_ACK_KEPT);
}

/* packets of the last round say how often to tell in the next */
static void pace(struct cv_acks *a, cv_time rtt, cv_time now)
{
	cv_time round = rtt > CV_ACK_ROUND ? rtt : CV_ACK_ROUND;
	cv_time took = now - a->round;
	uint64_t every;
	a->recent++;
	if (took < round)
		return;
	every = rtt ? a->recent * round / took / PACE : 0;
	if (every < CV_ACK_EVERY_MIN)
		every = CV_ACK_EVERY_MIN;
	if (every > CV_ACK_EVERY_MAX)
		every = CV_ACK_EVERY_MAX;
	a->every = (uint32_t)every;
	a->recent = 0;
	a->round = now;
}

static cv_time patience(cv_time rtt)
{
	if (!rtt || rtt / 4 > CV_ACK_DELAY)
		return CV_ACK_DELAY;
	return rtt / 4 > CV_ACK_FLOOR ? rtt / 4 : CV_ACK_FLOOR;
}

void cv_acks_got(
	struct cv_acks *a, uint64_t number, bool asks, cv_time rtt, cv_time now)
{
	uint32_t ranges = a->got.count;
	bool jumps = a->largest && number > a->largest;
	if (!remember(a, number))
		return;
	if (jumps || (a->largest && a->got.count != ranges))
		a->gap = true;
	if (number >= a->largest) {
		a->largest = number + 1;
		a->largest_at = now;
	}
	if (!asks)
		return;
	pace(a, rtt, now);
	if (!a->pending++)
		a->due = now + patience(rtt);
	if (a->gap || a->pending >= a->every)
		a->due = cv_earlier(a->due, now);
}

void cv_acks_told(struct cv_acks *a, uint64_t largest)
{
	/* the newest stays, or there would be nothing to write */
	if (a->largest)
		cv_ranges_below(&a->got, cv_earlier(largest, a->largest - 1));
}

cv_time cv_acks_due(const struct cv_acks *a)
{
	return a->due;
}

bool cv_acks_pending(const struct cv_acks *a)
{
	return a->pending > 0;
}

/* the ranges below the newest one, which begins at @lo */
static uint8_t *put_ranges(
	const struct cv_acks *a, uint8_t *p, uint64_t n, uint64_t lo)
{
	const struct cv_range *r = &a->got.r[a->got.count - 1];
	while (n--) {
		r--;
		p += cv_varint_put(p, lo - r->hi - 1);
		p += cv_varint_put(p, r->hi - r->lo - 1);
		lo = r->lo;
	}
	return p;
}

size_t cv_acks_put(struct cv_acks *a, uint8_t *p, size_t room, cv_time now)
{
	uint8_t *start = p;
	const struct cv_range *top;
	uint64_t more;
	if (!a->got.count || room < HEAD)
		return 0;
	top = &a->got.r[a->got.count - 1];
	more = cv_earlier(a->got.count, CV_ACK_RANGES) - 1;
	more = cv_earlier(more, (room - HEAD) / RANGE);
	*p++ = CV_ACK_TYPE;
	p += cv_varint_put(p, top->hi - 1);
	p += cv_varint_put(p, now - a->largest_at);
	p += cv_varint_put(p, more);
	p += cv_varint_put(p, top->hi - top->lo - 1);
	p = put_ranges(a, p, more, top->lo);
	a->pending = 0;
	a->due = CV_NEVER;
	a->gap = false;
	return (size_t)(p - start);
}

/* the next range, with everything about it checked */
static bool take(struct cv_ack_walk *w, struct cv_range *r)
{
	uint64_t gap = 0, len, hi = w->next;
	if (!w->first) {
		if (!cv_varint_get(&w->p, w->end, &gap) || gap + 1 >= hi)
			return false;
		hi -= gap + 1;
	}
	if (!cv_varint_get(&w->p, w->end, &len) || len >= hi)
		return false;
	*r = (struct cv_range){ hi - len - 1, hi };
	w->next = r->lo;
	w->first = false;
	w->left--;
	return true;
}

int cv_ack_read(uint8_t **p, uint8_t *end, struct cv_ack_walk *out)
{
	struct cv_ack_walk w = { .p = *p, .end = end, .first = true }, all;
	struct cv_range r;
	if (!cv_varint_get(&w.p, end, &w.largest) ||
		!cv_varint_get(&w.p, end, &w.delay) ||
		!cv_varint_get(&w.p, end, &w.left))
		return CULVERT_EPROTO;
	w.next = w.largest + 1;
	w.left++;
	for (all = w; all.left;)
		if (!take(&all, &r))
			return CULVERT_EPROTO;
	w.end = all.p;
	*p = all.p;
	*out = w;
	return 0;
}

bool cv_ack_range(struct cv_ack_walk *w, struct cv_range *r)
{
	return w->left && take(w, r);
}
