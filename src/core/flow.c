/* SPDX-License-Identifier: MIT */
#include "core/flow.h"

#include <string.h>

/* a flow moves in the order of idleness at most this often */
#define COARSE CV_MS(500)

int cv_flows_init(struct cv_flows *t, const struct cv_env *env, size_t max)
{
	*t = (struct cv_flows){ .env = env, .max = max, .idle = CV_FLOW_IDLE };
	cv_list_init(&t->lru);
	env->random(env->user, t->key, sizeof t->key);
	if (cv_htab_init(&t->by_addr, env) || cv_htab_init(&t->by_id, env)) {
		cv_flows_clear(t);
		return CULVERT_ENOMEM;
	}
	return 0;
}

void cv_flows_clear(struct cv_flows *t)
{
	cv_htab_clear(&t->by_addr);
	cv_htab_clear(&t->by_id);
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
	struct cv_hnode *n = cv_htab_first(
		&t->by_addr, cv_siphash(t->key, &k, sizeof k));
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
		struct cv_end *e = &f->end[f->end[0].session != session];
		if (e->session == session && e->id == id)
			return f;
	}
	return NULL;
}

struct cv_flow *cv_flow_new(struct cv_flows *t, enum cv_kind kind, cv_time now)
{
	if (t->count >= t->max)
		return NULL;
	struct cv_flow *f = t->env->alloc(t->env->user, sizeof *f);
	if (!f)
		return NULL;
	f->kind = (uint8_t)kind;
	f->end[1].side = 1;
	f->used = now;
	cv_list_init(&f->lru);
	cv_list_init(&f->peers);
	cv_list_append(&t->lru, &f->lru);
	t->count++;
	return f;
}

void cv_flow_set_addr(struct cv_flows *t, struct cv_flow *f,
	struct cv_edge *edge, const struct cv_addr *src,
	const struct cv_addr *dst)
{
	struct addr_key k = { edge, *src, *dst };
	f->end[0].edge = edge;
	f->src = *src;
	f->dst = *dst;
	cv_htab_add(&t->by_addr, &f->by_addr,
		cv_siphash(t->key, &k, sizeof k));
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
	cv_list_append(&t->lru, &f->lru);
}

void cv_flow_free(struct cv_flows *t, struct cv_flow *f)
{
	if (f->src.family)
		cv_htab_del(&t->by_addr, &f->by_addr);
	if (f->end[0].session || f->end[1].session)
		cv_htab_del(&t->by_id, &f->by_id);
	cv_list_del(&f->lru);
	cv_list_del(&f->peers);
	t->count--;
	t->env->free(t->env->user, f, sizeof *f);
}

cv_time cv_flows_deadline(const struct cv_flows *t)
{
	if (cv_list_empty(&t->lru) || !t->idle)
		return CV_NEVER;
	return CV_CONTAINER(t->lru.next, struct cv_flow, lru)->used + t->idle;
}
