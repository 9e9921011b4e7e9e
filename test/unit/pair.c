/* SPDX-License-Identifier: MIT */
#include "unit/pair.h"

#include "unit/check.h"

/* --- links --- */

static void flush(struct cv_link *link, cv_time now)
{
	struct end *e = CV_CONTAINER(link, struct end, link);
	struct cv_bufq got = { 0 };
	struct cv_buf *b;
	while (!link->blocked) {
		cv_node_output(&e->side->node, link, &got,
			e->narrow ? 1 : CV_OUT_BYTES, now);
		if (!got.head)
			break;
		link->blocked = e->narrow;
		while ((b = cv_bufq_pop(&got))) {
			b->time = now + e->pair->delay;
			cv_bufq_push(&e->out, b);
		}
	}
}

static void close_end(struct cv_link *link, const char *why)
{
	struct end *e = CV_CONTAINER(link, struct end, link);
	if (!e->open)
		return;
	e->open = false;
	e->why = why;
	e->far->closing = true;
	cv_node_link_down(&e->side->node, link, e->pair->now);
}

static void gauge(struct cv_link *link, struct cv_gauge *g)
{
	g->mending = CV_CONTAINER(link, struct end, link)->mending;
}

static const struct cv_link_ops link_ops = {
	.name = "wire",
	.flags = CV_LINK_RELIABLE,
	.flush = flush,
	.close = close_end,
	.gauge = gauge,
};

/* --- edges --- */

static int open_flow(struct cv_edge *edge, struct cv_end *end,
	const char *target, size_t len, cv_time now)
{
	struct edge *e = CV_CONTAINER(edge, struct edge, edge);
	(void)now;
	e->opens++;
	e->last = end;
	assert_true(len < sizeof e->target);
	if (len)
		memcpy(e->target, target, len);
	e->target[len] = '\0';
	return e->answer;
}

static int deliver(struct cv_edge *edge, struct cv_end *end,
	const struct cv_frame *f, cv_time now)
{
	struct edge *e = CV_CONTAINER(edge, struct edge, edge);
	uint32_t at = 0;
	(void)now;
	e->last = end;
	do {
		uint32_t n = f->len - at < f->seg ? f->len - at : f->seg;
		e->dgrams++;
		e->bytes += n;
		e->len = n;
		if (n)
			memcpy(e->data, f->data + at, n);
		if (e->take)
			e->take(e, end, e->data, n);
		at += n;
	} while (at < f->len);
	cv_node_edge_dirty(edge->node, edge);
	return e->blocked;
}

static void wait(struct cv_edge *edge, struct cv_end *end, struct cv_waiter *w)
{
	(void)end;
	CV_CONTAINER(edge, struct edge, edge)->waiter = w;
}

static void flush_edge(struct cv_edge *edge)
{
	CV_CONTAINER(edge, struct edge, edge)->flushes++;
}

static void close_flow(
	struct cv_edge *edge, struct cv_end *end, enum cv_reset why)
{
	struct edge *e = CV_CONTAINER(edge, struct edge, edge);
	e->closes++;
	e->why = why;
	if (e->last == end)
		e->last = NULL;
}

static const struct cv_edge_ops edge_ops = {
	.name = "fake",
	.open = open_flow,
	.dgram = deliver,
	.wait = wait,
	.flush = flush_edge,
	.close = close_flow,
};

/* --- nodes --- */

static void dial(void *user, struct cv_session *s)
{
	struct side *side = CV_CONTAINER(user, struct side, mem);
	(void)s;
	side->dials++;
}

static int init_side(struct pair *p, int i, uint64_t fail_at)
{
	struct side *x = &p->side[i];
	uint64_t seed = rnd(&p->seed);
	struct cv_env env = mem_env(&x->mem, seed);
	env.dial = dial;
	x->mem.fail_at = fail_at;
	int err = cv_node_init(&x->node, &env, CV_MEMORY, CV_FLOWS_MAX);
	if (err) {
		x->node.env.user = NULL; /* nothing to clear */
		return err;
	}
	x->node.began = p->now;
	x->node.plain = p->plain;
	x->node.accepts = i == B;
	memset(&x->edge, 0, offsetof(struct edge, data));
	x->edge.side = x;
	x->edge.edge.ops = &edge_ops;
	x->edge.edge.node = &x->node;
	cv_list_init(&x->edge.edge.dirty);
	if (i == B)
		x->node.out[0] = &x->edge.edge;
	return p->plain ? 0 : cv_node_set_key(&x->node, x->priv);
}

int pair_session(struct pair *p, int i)
{
	struct side *x = &p->side[i], *y = &p->side[!i];
	uint8_t pub[CV_KEY];
	if (x->s)
		cv_session_free(x->s);
	x->s = NULL;
	if (p->plain && i == B)
		return 0;
	memcpy(pub, y->node.pub, CV_KEY);
	if (p->plain)
		rnd_fill(&p->seed, pub, CV_KEY);
	else if (cv_crypto_public(pub, y->priv))
		return CULVERT_ECRYPTO;
	x->s = cv_session_new(&x->node, pub, p->plain);
	if (!x->s)
		return CULVERT_ENOMEM;
	x->s->dials = i == A;
	if (i == A) /* as many as are dialled */
		x->s->allowed = 1;
	strcpy(x->s->name, i == A ? "b" : "a");
	return 0;
}

int pair_init(struct pair *p, bool plain, const uint64_t fail_at[2])
{
	for (int i = 0; i < 2; i++)
		memset(&p->side[i], 0, offsetof(struct side, edge.data));
	memset(p->wire, 0, sizeof *p - offsetof(struct pair, wire));
	p->plain = plain;
	p->now = CV_SEC(1000);
	p->seed = 20260;
	for (int i = 0; i < 2; i++)
		rnd_fill(&p->seed, p->side[i].priv, CV_KEY);
	for (int i = 0; i < 2; i++) {
		int err = init_side(p, i, fail_at[i]);
		if (err)
			return err;
	}
	int err = pair_session(p, A);
	return err ? err : pair_session(p, B);
}

struct pair *pair_new(bool plain)
{
	struct pair *p = malloc(sizeof *p);
	assert_non_null(p);
	assert_int_equal(pair_init(p, plain, (uint64_t[2]){ 0 }), 0);
	return p;
}

static void drop_out(struct end *e)
{
	if (e->side)
		cv_bufq_clear(&e->out, &e->side->node.pool);
}

void pair_cut(struct pair *p, struct wire *w)
{
	(void)p;
	for (int i = 0; i < 2; i++) {
		struct end *e = &w->end[i];
		if (e->open)
			close_end(&e->link, "cut");
		drop_out(e);
		e->closing = false;
	}
}

static void clear_side(struct side *x)
{
	cv_node_input_done(&x->node);
	cv_node_clear(&x->node);
	x->node.env.user = NULL;
	x->s = NULL;
	assert_int_equal(x->mem.blocks, 0);
	assert_int_equal(x->mem.bytes, 0);
}

void pair_clear(struct pair *p)
{
	for (int i = 0; i < WIRES; i++)
		pair_cut(p, &p->wire[i]);
	for (int i = 0; i < 2; i++) {
		if (p->side[i].node.env.user)
			clear_side(&p->side[i]);
	}
}

void pair_free(struct pair *p)
{
	pair_clear(p);
	free(p);
}

void pair_restart(struct pair *p, int i)
{
	struct side *x = &p->side[i];
	for (int w = 0; w < WIRES; w++)
		pair_cut(p, &p->wire[w]);
	clear_side(x);
	assert_int_equal(init_side(p, i, 0), 0);
	assert_int_equal(pair_session(p, i), 0);
}

/* --- wires --- */

struct wire *pair_join(struct pair *p, struct cv_session *s, unsigned number)
{
	struct wire *w = p->wire;
	while (w->end[A].open || w->end[B].open || w->end[A].out.head ||
		w->end[B].out.head) {
		assert_true(w < &p->wire[WIRES - 1]);
		w++;
	}
	memset(w, 0, sizeof *w);
	for (int i = 0; i < 2; i++) {
		struct end *e = &w->end[i];
		e->pair = p;
		e->side = &p->side[i];
		e->far = &w->end[!i];
		e->open = true;
		e->link.ops = &link_ops;
		e->link.number = number;
		e->link.local = pair_client(1000u + (unsigned)i);
		e->link.remote = pair_client(1001u - (unsigned)i);
	}
	cv_node_link_up(&p->side[B].node, &w->end[B].link, NULL, p->now);
	cv_node_link_up(&p->side[A].node, &w->end[A].link, s, p->now);
	return w;
}

struct wire *pair_wire(struct pair *p, struct cv_session *s)
{
	return pair_join(p, s, 0);
}

struct wire *pair_up(struct pair *p)
{
	struct wire *w = pair_wire(p, p->side[A].s);
	pair_settle(p);
	assert_true(cv_session_up(p->side[A].s));
	return w;
}

/* hand over what has arrived; true if anything has */
static bool arrive(struct pair *p, struct end *from)
{
	struct end *to = from->far;
	struct cv_buf *b;
	bool any = false;
	while ((b = from->out.head) && b->time <= p->now) {
		any = true;
		cv_bufq_pop(&from->out);
		uint8_t *data = cv_buf_data(b);
		if (to->open && (!p->tap || p->tap(p, to, data, b->len)))
			cv_node_input(&to->side->node, &to->link, data, b->len,
				p->now);
		cv_buf_free(&from->side->node.pool, b);
	}
	if (!from->out.head && to->closing && to->open) {
		any = true;
		close_end(&to->link, "closed by the far end");
	}
	return any;
}

/* every session knows how many flows it has */
static void check_flows(const struct cv_node *n)
{
	for (const struct cv_list *l = n->sessions.next; l != &n->sessions;
		l = l->next) {
		const struct cv_session *s =
			CV_CONTAINER(l, struct cv_session, all);
		size_t count = 0;
		for (const struct cv_list *f = s->flows.next; f != &s->flows;
			f = f->next)
			count++;
		assert_int_equal(s->nflows, count);
	}
}

void pair_settle(struct pair *p)
{
	bool busy = true;
	while (busy) {
		busy = false;
		for (int i = 0; i < 2; i++)
			cv_node_flush(&p->side[i].node, p->now);
		for (int i = 0; i < 2 * WIRES; i++) {
			struct end *e = &p->wire[i / 2].end[i % 2];
			busy |= e->pair && arrive(p, e);
		}
		for (int i = 0; i < 2; i++)
			cv_node_input_done(&p->side[i].node);
	}
	for (int i = 0; i < 2; i++)
		check_flows(&p->side[i].node);
}

static cv_time next_event(const struct pair *p)
{
	cv_time t = CV_NEVER;
	for (int i = 0; i < 2; i++) {
		cv_time d = cv_node_deadline(&p->side[i].node);
		t = d < t ? d : t;
	}
	for (int i = 0; i < 2 * WIRES; i++) {
		const struct cv_buf *b = p->wire[i / 2].end[i % 2].out.head;
		t = b && b->time < t ? b->time : t;
	}
	return t;
}

void pair_run(struct pair *p, cv_time until)
{
	for (;;) {
		pair_settle(p);
		cv_time t = next_event(p);
		if (t > until)
			break;
		if (t > p->now)
			p->now = t;
		for (int i = 0; i < 2; i++)
			cv_node_tick(&p->side[i].node, p->now);
	}
	p->now = until;
	pair_settle(p);
}

void pair_block(struct end *e)
{
	e->link.blocked = true;
	cv_list_del(&e->link.dirty);
}

void pair_unblock(struct end *e)
{
	cv_node_writable(&e->side->node, &e->link);
}

/* --- traffic --- */

struct cv_addr pair_client(unsigned n)
{
	return (struct cv_addr){ .ip = { 127, 0, (uint8_t)(n >> 24),
					 (uint8_t)(1 + (n >> 16)) },
		.port = (uint16_t)n,
		.family = CV_AF_INET };
}

struct cv_flow *pair_open(struct pair *p, unsigned n, const char *target)
{
	struct side *x = &p->side[A];
	struct cv_opening o = { .edge = &x->edge.edge,
		.src = pair_client(n),
		.dst = pair_client(9),
		.session = x->s,
		.target = target };
	struct cv_flow *f =
		cv_flow_find(&x->node.flows, o.edge, &o.src, &o.dst);
	return f ? f : cv_node_open(&x->node, &o, p->now);
}

int pair_send(struct pair *p, struct cv_end *from, const void *data, size_t len,
	size_t seg)
{
	struct cv_frame f = {
		.type = CV_FRAME_DGRAM,
		.seg = (uint32_t)seg,
		.len = (uint32_t)len,
		.data = (uint8_t *)(uintptr_t)data,
	};
	return cv_flow_send(from->edge->node, from, &f, p->now);
}

int pair_say(struct pair *p, struct cv_flow *f, size_t len)
{
	static uint8_t data[CV_DGRAM_MAX];
	rnd_fill(&p->seed, data, len < 16 ? len : 16);
	return pair_send(p, &f->end[0], data, len, len);
}

uint64_t pair_drop(const struct pair *p, int side, enum cv_drop why)
{
	return p->side[side].node.stats.drop[why];
}

uint64_t pair_drops(const struct pair *p, int side)
{
	uint64_t n = 0;
	for (int i = 0; i < CV_DROP_N; i++)
		n += p->side[side].node.stats.drop[i];
	return n;
}
