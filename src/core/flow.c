/* SPDX-License-Identifier: MIT */
#include "core/flow.h"

#include <string.h>

/* a flow moves in the order of idleness at most this often */
#define COARSE CV_MS(500)

int cv_flows_init(struct cv_flows *t, const struct cv_env *env, size_t max)
{
	*t = (struct cv_flows){ .env = env,
		.max = max,
		.idle = CV_FLOW_IDLE,
		.max_source = CV_FLOWS_SOURCE };
	cv_list_init(&t->lru);
	cv_list_init(&t->kept);
	cv_list_init(&t->standing);
	env->random(env->user, t->key, sizeof t->key);
	if (cv_htab_init(&t->by_addr, env) || cv_htab_init(&t->by_id, env) ||
		cv_htab_init(&t->sources, env)) {
		cv_flows_clear(t);
		return CULVERT_ENOMEM;
	}
	return 0;
}

void cv_flows_clear(struct cv_flows *t)
{
	cv_htab_clear(&t->by_addr);
	cv_htab_clear(&t->by_id);
	cv_htab_clear(&t->sources);
}

struct addr_key {
	const struct cv_edge *edge;
	struct cv_addr src, dst;
};

struct id_key {
	const struct cv_session *session;
	uint64_t id;
};

struct cv_flow *cv_flow_find(struct cv_flows *t, const struct cv_edge *edge,
	const struct cv_addr *src, const struct cv_addr *dst)
{
	struct addr_key k = { edge, *src, *dst };
	struct cv_hnode *n =
		cv_htab_first(&t->by_addr, cv_siphash(t->key, &k, sizeof k));
	for (; n; n = cv_htab_next(n)) {
		struct cv_flow *f = CV_CONTAINER(n, struct cv_flow, by_addr);
		if (f->end[0].edge == edge && cv_addr_equal(&f->src, src) &&
			cv_addr_equal(&f->dst, dst))
			return f;
	}
	return NULL;
}

struct cv_flow *cv_flow_find_id(
	struct cv_flows *t, const struct cv_session *session, uint64_t id)
{
	struct id_key k = { session, id };
	struct cv_hnode *n =
		cv_htab_first(&t->by_id, cv_siphash(t->key, &k, sizeof k));
	for (; n; n = cv_htab_next(n)) {
		struct cv_flow *f = CV_CONTAINER(n, struct cv_flow, by_id);
		struct cv_end *e = cv_flow_end_in(f, session);
		if (e->session == session && e->id == id)
			return f;
	}
	return NULL;
}

static uint64_t source_hash(const struct cv_flows *t, struct cv_addr *a)
{
	a->port = 0;
	return cv_siphash(t->key, a, sizeof *a);
}

static struct cv_source *find_source(
	const struct cv_flows *t, const struct cv_addr *addr)
{
	struct cv_addr a = *addr;
	struct cv_hnode *n = cv_htab_first(&t->sources, source_hash(t, &a));
	for (; n; n = cv_htab_next(n)) {
		struct cv_source *s = CV_CONTAINER(n, struct cv_source, node);
		if (cv_addr_equal(&s->addr, &a))
			return s;
	}
	return NULL;
}

static struct cv_source *add_source(
	struct cv_flows *t, const struct cv_addr *addr)
{
	struct cv_source *s = t->env->alloc(t->env->user, sizeof *s);
	if (!s)
		return NULL;
	s->addr = *addr;
	cv_list_init(&s->flows);
	cv_htab_add(&t->sources, &s->node, source_hash(t, &s->addr));
	return s;
}

static void leave_source(struct cv_flows *t, struct cv_source *s)
{
	if (--s->count)
		return;
	cv_htab_del(&t->sources, &s->node);
	t->env->free(t->env->user, s, sizeof *s);
}

struct cv_flow *cv_flow_new(struct cv_flows *t, enum cv_kind kind,
	const struct cv_addr *source, cv_time now)
{
	struct cv_source *s = find_source(t, source);
	if (t->count >= t->max || (s && s->count >= t->max_source))
		return NULL;
	if (!s)
		s = add_source(t, source);
	if (!s)
		return NULL;
	s->count++;
	struct cv_flow *f = t->env->alloc(t->env->user, sizeof *f);
	if (!f) {
		leave_source(t, s);
		return NULL;
	}
	f->kind = (uint8_t)kind;
	f->end[1].side = 1;
	f->source = s;
	f->used = now;
	cv_list_init(&f->lru);
	cv_list_init(&f->peers);
	cv_list_init(&f->siblings);
	cv_list_append(&t->lru, &f->lru);
	cv_list_append(&s->flows, &f->siblings);
	t->count++;
	t->streams += kind == CV_KIND_STREAM;
	return f;
}

void cv_flow_keep(struct cv_flows *t, struct cv_flow *f)
{
	f->source->pinned += !f->pinned;
	f->pinned = true;
	cv_list_append(&t->kept, &f->lru);
	cv_list_del(&f->siblings);
}

void cv_flow_stand(struct cv_flows *t, struct cv_flow *f)
{
	f->standing = true;
	cv_list_append(&t->standing, &f->lru);
}

static struct cv_flow *first_of(const struct cv_list *l)
{
	return cv_list_empty(l) ? NULL
				: CV_CONTAINER(l->next, struct cv_flow, lru);
}

struct cv_flow *cv_flows_expired(const struct cv_flows *t, cv_time now)
{
	return cv_flows_deadline(t) <= now ? first_of(&t->lru) : NULL;
}

struct cv_flow *cv_flows_oldest(const struct cv_flows *t)
{
	struct cv_flow *a = first_of(&t->lru), *b = first_of(&t->standing);
	return !a || (b && b->used < a->used) ? b : a;
}

struct cv_flow *cv_flows_oldest_of(
	const struct cv_flows *t, const struct cv_addr *source)
{
	struct cv_source *s = find_source(t, source);
	if (!s || s->count < t->max_source || cv_list_empty(&s->flows))
		return NULL;
	return CV_CONTAINER(s->flows.next, struct cv_flow, siblings);
}

void cv_flow_set_addr(struct cv_flows *t, struct cv_flow *f,
	struct cv_edge *edge, const struct cv_addr *src,
	const struct cv_addr *dst)
{
	struct addr_key k = { edge, *src, *dst };
	f->end[0].edge = edge;
	f->src = *src;
	f->dst = *dst;
	cv_htab_add(&t->by_addr, &f->by_addr, cv_siphash(t->key, &k, sizeof k));
}

void cv_flow_set_id(struct cv_flows *t, struct cv_flow *f, unsigned side,
	struct cv_session *session, uint64_t id)
{
	struct id_key k = { session, id };
	f->end[side].session = session;
	f->end[side].id = id;
	cv_htab_add(&t->by_id, &f->by_id, cv_siphash(t->key, &k, sizeof k));
}

void cv_flow_touch(struct cv_flows *t, struct cv_flow *f, cv_time now)
{
	if (now - f->used < COARSE)
		return;
	f->used = now;
	if (f->pinned)
		return;
	cv_list_append(f->standing ? &t->standing : &t->lru, &f->lru);
	cv_list_append(&f->source->flows, &f->siblings);
}

void cv_flow_orphan(struct cv_flows *t, struct cv_flow *f, struct cv_list *to)
{
	struct cv_end *e = &f->end[f->end[0].session == NULL];
	cv_htab_del(&t->by_id, &f->by_id);
	e->session = NULL;
	cv_list_append(to, &f->peers);
}

void cv_flow_free(struct cv_flows *t, struct cv_flow *f)
{
	f->source->pinned -= f->pinned;
	if (f->end[0].edge)
		cv_htab_del(&t->by_addr, &f->by_addr);
	if (f->end[0].session || f->end[1].session)
		cv_htab_del(&t->by_id, &f->by_id);
	cv_list_del(&f->lru);
	cv_list_del(&f->peers);
	cv_list_del(&f->siblings);
	leave_source(t, f->source);
	t->count--;
	t->streams -= f->kind == CV_KIND_STREAM;
	t->env->free(t->env->user, f, sizeof *f);
}

cv_time cv_flows_deadline(const struct cv_flows *t)
{
	if (cv_list_empty(&t->lru) || !t->idle)
		return CV_NEVER;
	return first_of(&t->lru)->used + t->idle;
}
