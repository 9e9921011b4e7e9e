/* SPDX-License-Identifier: MIT */
#include "core/responder.h"

#include "core/limits.h"

enum { LEAST = 20 }; /* ms: copies come by then */

void cv_responder_init(struct cv_responder *r, const struct cv_env *env,
	uint32_t id, uint32_t tag)
{
	*r = (struct cv_responder){ .env = env, .id = id, .tag = tag };
}

static cv_time jitter(const struct cv_responder *r, uint16_t window)
{
	uint32_t v;
	cv_time span = CV_MS(window > LEAST ? window : LEAST);
	r->env->random(r->env->user, &v, sizeof v);
	return (span * v) >> 32;
}

static int find(const struct cv_responder *r, uint64_t nonce, uint32_t ifindex)
{
	for (int i = 0; i < CV_RESPONDER_SLOTS; i++) {
		const struct cv_waiting *w = &r->wait[i];
		if (w->used && w->nonce == nonce && w->ifindex == ifindex)
			return i;
	}
	return -1;
}

/* an empty slot, or that of the one that is due last */
static int roomiest(const struct cv_responder *r)
{
	int best = 0;
	for (int i = 0; i < CV_RESPONDER_SLOTS; i++) {
		if (!r->wait[i].used)
			return i;
		if (r->wait[i].due > r->wait[best].due)
			best = i;
	}
	return best;
}

static bool seen(const struct cv_responder *r, uint64_t nonce, uint32_t ifindex)
{
	for (unsigned i = 0; i < CV_RESPONDER_SEEN; i++) {
		if (r->seen[i].ifindex == ifindex && r->seen[i].nonce == nonce)
			return true;
	}
	return false;
}

static void remember(struct cv_responder *r, uint64_t nonce, uint32_t ifindex)
{
	unsigned i = r->next_seen++ % CV_RESPONDER_SEEN;
	r->seen[i].nonce = nonce;
	r->seen[i].ifindex = ifindex;
}

enum cv_drop cv_responder_asked(struct cv_responder *r,
	const struct cv_question *q, uint32_t ifindex, cv_time now, int *slot)
{
	*slot = find(r, q->nonce, ifindex);
	if (*slot >= 0 || (q->wanted && q->wanted != r->id) ||
		cv_question_knows(q, r->tag) || seen(r, q->nonce, ifindex))
		return CV_DROP_NONE;
	cv_time due = now + jitter(r, q->window);
	int i = roomiest(r);
	bool full = r->wait[i].used;
	if (full && r->wait[i].due <= due)
		return CV_DROP_FLOOD;
	remember(r, q->nonce, ifindex);
	r->wait[i] = (struct cv_waiting){
		.nonce = q->nonce,
		.ifindex = ifindex,
		.round = q->round,
		.used = true,
		.heard = now,
		.due = due,
	};
	*slot = i;
	return full ? CV_DROP_FLOOD : CV_DROP_NONE;
}

/* the one that is due first; -1: none waits */
static int first(const struct cv_responder *r)
{
	int best = -1;
	for (int i = 0; i < CV_RESPONDER_SLOTS; i++) {
		const struct cv_waiting *w = &r->wait[i];
		if (w->used && (best < 0 || w->due < r->wait[best].due))
			best = i;
	}
	return best;
}

cv_time cv_responder_deadline(const struct cv_responder *r)
{
	int i = first(r);
	return i < 0 ? CV_NEVER : r->wait[i].due;
}

static bool may_send(struct cv_responder *r, cv_time now)
{
	cv_time *oldest = &r->sent[r->next_sent];
	if (*oldest && now - *oldest < CV_SEC(1))
		return false;
	*oldest = now;
	r->next_sent = (r->next_sent + 1) % CV_RESPONDER_RATE;
	return true;
}

int cv_responder_due(struct cv_responder *r, cv_time now,
	struct cv_waiting *out, enum cv_drop *drop)
{
	int i = first(r);
	if (i < 0 || r->wait[i].due > now)
		return -1;
	*out = r->wait[i];
	r->wait[i].used = false;
	*drop = may_send(r, now) ? CV_DROP_NONE : CV_DROP_FLOOD;
	return i;
}
