/* SPDX-License-Identifier: MIT */
/* test_flow.c - the table of flows, against an array of all of them */
#include "unit/check.h"

#include "core/edge.h"
#include "core/flow.h"
#include "core/session.h"
#include "unit/env.h"

enum { N = 400, SOURCES = 5, PORTS = 40, MAX = 100, PER_SOURCE = 30 };

struct fix {
	struct mem mem;
	struct cv_env env;
	struct cv_flows t;
	struct cv_edge edge[2];
	struct cv_session *session[2]; /* only their addresses matter */
	struct cv_flow *flow[N];       /* the model, longest idle first */
	size_t count;
	cv_time now;
	uint64_t seed, next_id;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	assert_non_null(f);
	f->env = mem_env(&f->mem, 5);
	f->seed = 21;
	f->now = CV_SEC(100);
	for (int i = 0; i < 2; i++) {
		f->session[i] = calloc(1, sizeof **f->session);
		assert_non_null(f->session[i]);
	}
	assert_int_equal(cv_flows_init(&f->t, &f->env, MAX), 0);
	f->t.max_source = PER_SOURCE;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	while (f->count)
		cv_flow_free(&f->t, f->flow[--f->count]);
	assert_int_equal(f->t.count, 0);
	cv_flows_clear(&f->t);
	size_t left = f->mem.blocks + f->mem.bytes;
	free(f->session[0]);
	free(f->session[1]);
	free(f);
	return left ? -1 : 0;
}

static struct cv_addr addr(unsigned host, unsigned port)
{
	return (struct cv_addr){ .ip = { 10, 0, 0, (uint8_t)host },
		.port = (uint16_t)port,
		.family = CV_AF_INET };
}

static size_t of_source(const struct fix *f, const struct cv_addr *a)
{
	size_t n = 0;
	for (size_t i = 0; i < f->count; i++)
		n += cv_addr_same_ip(&f->flow[i]->src, a);
	return n;
}

static struct cv_flow *add(struct fix *f, const struct cv_edge *edge,
	const struct cv_addr *src, const struct cv_addr *dst)
{
	struct cv_flow *x = cv_flow_new(&f->t, CV_KIND_DGRAM, src, f->now);
	bool want = f->count < MAX && of_source(f, src) < PER_SOURCE;
	assert_int_equal(x != NULL, want);
	if (!x)
		return NULL;
	cv_flow_set_addr(&f->t, x, (struct cv_edge *)(uintptr_t)edge, src, dst);
	cv_flow_set_id(&f->t, x, 1, f->session[f->next_id & 1], f->next_id / 2);
	f->next_id++;
	f->flow[f->count++] = x;
	return x;
}

static size_t index_of(const struct fix *f, const struct cv_flow *x)
{
	size_t i = 0;
	while (f->flow[i] != x)
		assert_true(++i < f->count);
	return i;
}

static void take_out(struct fix *f, size_t i)
{
	memmove(&f->flow[i], &f->flow[i + 1],
		(--f->count - i) * sizeof *f->flow);
}

static struct cv_flow *oldest(const struct fix *f, const struct cv_addr *src)
{
	for (size_t i = 0; i < f->count; i++) {
		if (!f->flow[i]->pinned &&
			(!src || cv_addr_same_ip(&f->flow[i]->src, src)))
			return f->flow[i];
	}
	return NULL;
}

static void check(const struct fix *f, const struct cv_addr *src)
{
	struct cv_flow *old = oldest(f, NULL);
	assert_int_equal(f->t.count, f->count);
	assert_ptr_equal(cv_flows_oldest(&f->t), old);
	assert_ptr_equal(cv_flows_oldest_of(&f->t, src),
		of_source(f, src) >= PER_SOURCE ? oldest(f, src) : NULL);
	assert_int_equal(cv_flows_deadline(&f->t),
		old ? old->used + CV_FLOW_IDLE : CV_NEVER);
}

static void touch(struct fix *f, struct cv_flow *x)
{
	cv_time was = x->used;
	cv_flow_touch(&f->t, x, f->now);
	/* it moves, but not at every datagram */
	bool moves = f->now - was >= CV_MS(500);
	assert_int_equal(x->used, moves ? f->now : was);
	if (!moves || x->pinned)
		return;
	take_out(f, index_of(f, x));
	f->flow[f->count++] = x;
}

static void test_model(void **state)
{
	struct fix *f = *state;
	for (int i = 0; i < 30000; i++) {
		struct cv_addr src =
			addr((unsigned)rnd_below(&f->seed, SOURCES),
				(unsigned)rnd_below(&f->seed, PORTS));
		struct cv_addr dst = addr(99, (unsigned)rnd_below(&f->seed, 2));
		const struct cv_edge *edge = &f->edge[rnd_below(&f->seed, 2)];
		struct cv_flow *x = cv_flow_find(&f->t, edge, &src, &dst),
			       *want = NULL;
		for (size_t k = 0; k < f->count; k++) {
			if (f->flow[k]->end[0].edge == edge &&
				cv_addr_equal(&f->flow[k]->src, &src) &&
				cv_addr_equal(&f->flow[k]->dst, &dst))
				want = f->flow[k];
		}
		assert_ptr_equal(x, want);
		if (!x)
			add(f, edge, &src, &dst);
		else if (!rnd_below(&f->seed, 4)) {
			take_out(f, index_of(f, x));
			cv_flow_free(&f->t, x);
		} else if (!rnd_below(&f->seed, 40))
			cv_flow_keep(&f->t, x);
		else
			touch(f, x);
		check(f, &src);
		f->now += rnd_below(&f->seed, CV_MS(200));
	}
	assert_true(f->next_id > 1000);
}

static void test_find_by_id(void **state)
{
	struct fix *f = *state;
	struct cv_addr a = addr(1, 1);
	for (unsigned i = 0; i < 20; i++) {
		a.ip[3] = (uint8_t)i;
		add(f, &f->edge[0], &a, &a);
	}
	for (uint64_t id = 0; id < 12; id++) {
		for (int s = 0; s < 2; s++) {
			struct cv_flow *x =
				cv_flow_find_id(&f->t, f->session[s], id);
			assert_ptr_equal(x,
				id < 10 ? f->flow[2 * id + (uint64_t)s] : NULL);
			if (x)
				assert_ptr_equal(cv_end_flow(&x->end[1]), x);
		}
	}
}

static void test_ends(void **state)
{
	struct cv_flow x = { .end[1].side = 1 };
	(void)state;
	assert_ptr_equal(cv_end_flow(&x.end[0]), &x);
	assert_ptr_equal(cv_end_flow(&x.end[1]), &x);
	assert_ptr_equal(cv_end_other(&x.end[0]), &x.end[1]);
	assert_ptr_equal(cv_end_other(&x.end[1]), &x.end[0]);
}

/* a peer's flow is found by id alone and has no local address */
static void test_flow_of_a_peer(void **state)
{
	struct fix *f = *state;
	struct cv_addr src = { .ip = { 1, 2, 3 } };
	struct cv_flow *x = cv_flow_new(&f->t, CV_KIND_DGRAM, &src, f->now);
	assert_non_null(x);
	cv_flow_set_id(&f->t, x, 0, f->session[0], 7);
	f->flow[f->count++] = x;
	assert_ptr_equal(cv_flow_find_id(&f->t, f->session[0], 7), x);
	assert_null(cv_flow_find_id(&f->t, f->session[1], 7));
	assert_null(cv_flow_find_id(&f->t, f->session[0], 6));
}

static void test_idle_off(void **state)
{
	struct fix *f = *state;
	struct cv_addr a = addr(1, 1);
	assert_int_equal(cv_flows_deadline(&f->t), CV_NEVER);
	add(f, &f->edge[0], &a, &a);
	assert_int_equal(cv_flows_deadline(&f->t), f->now + CV_FLOW_IDLE);
	f->t.idle = 0;
	assert_int_equal(cv_flows_deadline(&f->t), CV_NEVER);
}

static void test_no_memory(void **state)
{
	struct fix *f = *state;
	struct cv_addr a = addr(1, 1);
	size_t blocks = f->mem.blocks;
	for (uint64_t i = 1; i <= 2; i++) {
		f->mem.fail_at = f->mem.calls + i;
		assert_null(cv_flow_new(&f->t, CV_KIND_DGRAM, &a, f->now));
		assert_int_equal(f->mem.blocks, blocks);
		assert_int_equal(f->t.count, 0);
	}
	assert_non_null(add(f, &f->edge[0], &a, &a));
	for (uint64_t i = 1; i <= 3; i++) {
		struct mem mem;
		struct cv_env env = mem_env(&mem, 1);
		struct cv_flows t;
		mem.fail_at = i;
		assert_int_equal(cv_flows_init(&t, &env, 10), CULVERT_ENOMEM);
		assert_int_equal(mem.blocks, 0);
	}
}

static void test_nameless_source(void **state)
{
	struct fix *f = *state;
	struct cv_addr none = { 0 }, to = addr(1, 1);
	struct cv_flow *flow = add(f, &f->edge[0], &none, &to);
	assert_non_null(flow);
	f->count--;
	cv_flow_free(&f->t, flow);
	assert_int_equal(f->t.by_addr.used, 0);
	assert_null(cv_flow_find(&f->t, &f->edge[0], &none, &to));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_model),
		T(test_find_by_id),
		T(test_ends),
		T(test_flow_of_a_peer),
		T(test_idle_off),
		T(test_nameless_source),
		T(test_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
