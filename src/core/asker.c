/* SPDX-License-Identifier: MIT */
#include "core/asker.h"

#include <string.h>

enum { ROUNDS = 4 };

/* a schedule: when to ask, and over how long answers are spread */
struct plan {
	uint16_t at[ROUNDS], window[ROUNDS];
};

static const struct plan all = { { 0, 700, 1300, 2100 },
	{ 500, 400, 400, 500 } };
static const struct plan one = { { 0, 300, 1000, 1800 }, { 0 } };

#define PERIOD CV_MS(2000) /* between questions of a long search */
#define WATCH CV_SEC(5)    /* ... of a watch */
#define SILENCE CV_SEC(16) /* three of these were not answered */
#define APART CV_MS(100)
#define EARLY CV_MS(1800) /* two questions in vain: nobody is missing */
#define LATEST CV_MS(2900)
#define SECOND CV_MS(250) /* for another server with the wanted id */

static const struct plan *plan_of(const struct cv_asker *a)
{
	return a->wanted ? &one : &all;
}

void cv_asker_init(struct cv_asker *a, const struct cv_env *env,
	enum cv_search kind, uint32_t wanted, cv_time now)
{
	*a = (struct cv_asker){
		.env = env,
		.kind = kind,
		.wanted = wanted,
		.start = now,
		.next = now,
	};
}

void cv_asker_free(struct cv_asker *a, struct cv_found *f)
{
	a->env->free(a->env->user, f, sizeof *f);
}

void cv_asker_clear(struct cv_asker *a)
{
	for (unsigned i = 0; i < a->n; i++)
		cv_asker_free(a, a->found[i]);
	if (a->found)
		a->env->free(
			a->env->user, a->found, a->room * sizeof *a->found);
	a->found = NULL;
	a->n = a->room = 0;
}

/* --- questions --- */

static bool watching(const struct cv_asker *a)
{
	return a->kind == CV_SEARCH_WATCH && a->round >= ROUNDS;
}

/* the newest, if there are more than fit; who watches wants to hear all */
static uint16_t list(const struct cv_asker *a, uint32_t tag[CV_KNOWN_MAX])
{
	unsigned n = a->n < CV_KNOWN_MAX ? a->n : CV_KNOWN_MAX;
	if (watching(a))
		return 0;
	for (unsigned i = 0; i < n; i++)
		tag[i] = cv_answer_tag(&a->found[a->n - n + i]->says);
	return (uint16_t)n;
}

static cv_time after(const struct cv_asker *a, cv_time now)
{
	if (a->round < ROUNDS)
		return a->start + CV_MS(plan_of(a)->at[a->round]);
	if (a->kind == CV_SEARCH_QUICK)
		return CV_NEVER;
	return now + (a->kind == CV_SEARCH_WATCH ? WATCH : PERIOD);
}

/* of the schedule; a watch asks by the best way again, and by the next */
static uint8_t round_of(const struct cv_asker *a)
{
	unsigned r = a->extra && a->round ? a->round - 1 : a->round;
	if (watching(a))
		return r % 2;
	return (uint8_t)(r < ROUNDS ? r : ROUNDS - 1);
}

static uint16_t window(const struct cv_asker *a)
{
	unsigned r = a->round < ROUNDS ? a->round : ROUNDS - 1;
	return plan_of(a)->window[r];
}

static void schedule(struct cv_asker *a, cv_time now)
{
	if (!a->extra)
		a->round++;
	a->extra = false;
	a->next = after(a, now);
}

bool cv_asker_next(struct cv_asker *a, cv_time now, uint8_t out[CV_QUESTION])
{
	uint32_t tag[CV_KNOWN_MAX];
	unsigned i = a->asked % CV_ASKER_SENT;
	if (now < a->next)
		return false;
	struct cv_question q = {
		.wanted = a->wanted,
		.window = window(a),
		.round = round_of(a),
		.knowns = list(a, tag),
	};
	a->env->random(a->env->user, &q.nonce, sizeof q.nonce);
	a->sent[i].nonce = q.nonce;
	a->sent[i].at = now;
	a->asked++;
	cv_question_put(out, &q, tag);
	schedule(a, now);
	return true;
}

void cv_asker_again(struct cv_asker *a, cv_time now)
{
	if (!a->asked)
		return;
	cv_time last = a->sent[(a->asked - 1) % CV_ASKER_SENT].at;
	cv_time at = now < last + APART ? last + APART : now;
	if (at >= a->next)
		return;
	a->extra = true;
	a->next = at;
}

static cv_time end(const struct cv_asker *a)
{
	if (a->kind != CV_SEARCH_QUICK)
		return CV_NEVER;
	if (a->wanted && a->news)
		return a->news + SECOND;
	if (a->news && a->news < a->start + CV_MS(all.at[1]))
		return a->start + EARLY;
	return a->start + LATEST;
}

bool cv_asker_done(const struct cv_asker *a, cv_time now)
{
	return now >= end(a);
}

cv_time cv_asker_deadline(const struct cv_asker *a)
{
	return cv_earlier(a->next, end(a));
}

/* --- answers --- */

/* when it was asked, or CV_NEVER */
static cv_time asked(const struct cv_asker *a, uint64_t nonce)
{
	for (unsigned i = 0; i < CV_ASKER_SENT && i < a->asked; i++) {
		if (a->sent[i].nonce == nonce)
			return a->sent[i].at;
	}
	return CV_NEVER;
}

static struct cv_found *find(
	const struct cv_asker *a, const struct cv_answer *says)
{
	for (unsigned i = 0; i < a->n; i++) {
		if (cv_answer_same(&a->found[i]->says, says))
			return a->found[i];
	}
	return NULL;
}

static int grow(struct cv_asker *a)
{
	const struct cv_env *e = a->env;
	unsigned room = a->room ? a->room * 2 : 16;
	if (a->n < a->room)
		return 0;
	struct cv_found **p =
		e->alloc(e->user, room * sizeof(struct cv_found *));
	if (!p)
		return CULVERT_ENOMEM;
	if (a->found) {
		memcpy(p, a->found, a->n * sizeof *p);
		e->free(e->user, a->found, a->room * sizeof *p);
	}
	a->found = p;
	a->room = room;
	return 0;
}

static int add(struct cv_asker *a, cv_time now, struct cv_found **out)
{
	const struct cv_env *e = a->env;
	if (a->n == CV_ASKER_SERVERS)
		return CULVERT_EFULL;
	int err = grow(a);
	if (err)
		return err;
	*out = e->alloc(e->user, sizeof **out);
	if (!*out)
		return CULVERT_ENOMEM;
	a->found[a->n++] = *out;
	a->news = now;
	return 0;
}

/* 1 if it is new */
static int merge(struct cv_found *f, const struct cv_found_way *way)
{
	for (unsigned i = 0; i < f->ways; i++) {
		struct cv_found_way *w = &f->way[i];
		if (w->ifindex != way->ifindex || w->frame != way->frame ||
			!cv_addr_same_ip(&w->from, &way->from))
			continue;
		w->rtt = cv_earlier(w->rtt, way->rtt);
		return 0;
	}
	if (f->ways == CV_ASKER_WAYS)
		return 0;
	f->way[f->ways++] = *way;
	return 1;
}

int cv_asker_heard(struct cv_asker *a, const struct cv_answer *says,
	const struct cv_found_way *way, cv_time now, struct cv_found **out)
{
	cv_time at = asked(a, says->nonce);
	struct cv_found *f = find(a, says);
	struct cv_found_way w = *way;
	bool is_new = !f;
	if (at == CV_NEVER || at > now || (a->wanted && says->id != a->wanted))
		return CULVERT_EPROTO;
	int err = f ? 0 : add(a, now, &f);
	if (err)
		return err;
	w.rtt = now - at > says->held ? now - at - says->held : 0;
	f->says = *says;
	f->heard = now;
	int more = merge(f, &w);
	*out = f;
	return is_new ? 2 : more;
}

struct cv_found *cv_asker_gone(struct cv_asker *a, cv_time now)
{
	for (unsigned i = 0; i < a->n; i++) {
		struct cv_found *f = a->found[i];
		if (a->kind != CV_SEARCH_WATCH || now - f->heard <= SILENCE)
			continue;
		a->found[i] = a->found[--a->n];
		return f;
	}
	return NULL;
}
