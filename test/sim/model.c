/* SPDX-License-Identifier: MIT */
/* model.c - datagrams and the conservation law */
#include "sim/model.h"

#include "sim/local.h"
#include "sim/oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 16 }; /* sequence number, uid and direction, canary */

bool model_verbose;

struct model *model_new(struct world *w)
{
	struct model *m = calloc(1, sizeof *m);
	if (!m)
		abort();
	m->w = w;
	seals_begin(m);
	return m;
}

void model_free(struct model *m)
{
	for (size_t i = 0; i < m->gens; i++) {
		free(m->gen[i]->dir[0].v);
		free(m->gen[i]->dir[1].v);
		free(m->gen[i]);
	}
	for (unsigned c = 0; c <= CLIENTS; c++) {
		for (unsigned d = 0; d < 2; d++)
			free(m->way[c][d].up);
	}
	free(m->gen);
	free(m->index);
	seals_end(m);
	free(m);
}

const struct totals *model_totals(const struct model *m)
{
	return &m->sum;
}

void *grown(void *v, size_t n, size_t *room, size_t each)
{
	if (n < *room)
		return v;
	*room = *room ? 2 * *room : 16;
	v = realloc(v, *room * each);
	if (!v)
		abort();
	return v;
}

static uint64_t flow_name(uint64_t instance, uint64_t id)
{
	return mix64(instance ^ id << 32);
}

struct gen *model_gen(struct host *h, unsigned conv, const struct cv_flow *f)
{
	struct model *m = h->w->model;
	struct gen *g = calloc(1, sizeof *g);
	if (!g)
		abort();
	m->gen = grown(m->gen, m->gens, &m->gen_room, sizeof(*m->gen));
	m->gen[m->gens++] = g;
	g->uid = (uint32_t)m->gens;
	g->client = h->no;
	g->conv = conv;
	g->instance = h->node.instance;
	g->id = f->end[1].id;
	g->open = true;
	g->dir[0].last = g->dir[1].last = -1;
	index_of(m, flow_name(g->instance, g->id))->pair = g->uid;
	return g;
}

struct gen *model_find(struct world *w, uint64_t instance, uint64_t id)
{
	struct model *m = w->model;
	uint64_t uid = index_of(m, flow_name(instance, id))->pair;
	return uid ? m->gen[uid - 1] : NULL;
}

/* bytes @at.. of the datagram, eight at a time */
static uint64_t word(const struct gen *g, unsigned dir, uint64_t seq, size_t at)
{
	uint64_t who = (uint64_t)g->uid << 1 | dir;
	if (at == 0)
		return (uint64_t)(uint32_t)seq | who << 32;
	if (at == 8)
		return CANARY;
	return mix64(seq << 32 ^ who) + at * UINT64_C(0x9e3779b97f4a7c15);
}

static void fill(
	const struct gen *g, unsigned dir, uint64_t seq, uint8_t *p, size_t n)
{
	for (size_t at = 0; at < n; at += 8) {
		uint64_t x = word(g, dir, seq, at);
		memcpy(p + at, &x, n - at < 8 ? n - at : 8);
	}
}

static bool same(const struct gen *g, unsigned dir, uint64_t seq,
	const uint8_t *p, size_t n)
{
	for (size_t at = 0; at < n; at += 8) {
		uint64_t x = word(g, dir, seq, at);
		if (memcmp(p + at, &x, n - at < 8 ? n - at : 8))
			return false;
	}
	return true;
}

void model_hand(
	struct host *h, struct gen *g, unsigned dir, const struct cv_frame *f)
{
	struct model *m = h->w->model;
	uint32_t at = 0;
	do {
		uint32_t n = f->len - at < f->seg ? f->len - at : f->seg;
		size_t seq = g->dir[dir].n;
		g->dir[dir].v = grown(g->dir[dir].v, seq, &g->dir[dir].room,
			sizeof(struct dgram));
		g->dir[dir].v[seq] =
			(struct dgram){ .handed = h->w->now, .len = n };
		g->dir[dir].n++;
		fill(g, dir, seq, f->data + at, n);
		m->sum.handed++;
		m->sum.bytes += n;
		at += n;
	} while (at < f->len);
}

/* too short for a number: the next alike; over several links, the first */
static int64_t guess(struct host *h, struct gen *g, unsigned dir,
	const uint8_t *p, uint32_t n)
{
	bool ordered = h->w->cfg.links == 1;
	int64_t seq = ordered ? g->dir[dir].last + 1 : 0;
	for (; seq < (int64_t)g->dir[dir].n; seq++) {
		const struct dgram *d = &g->dir[dir].v[seq];
		if (!d->done && d->len == n &&
			same(g, dir, (uint64_t)seq, p, n))
			break;
	}
	return seq;
}

/* which one is it */
static int64_t identify(struct host *h, struct gen *g, unsigned dir,
	const uint8_t *p, uint32_t n)
{
	int64_t seq;
	if (n >= 8) {
		uint32_t who;
		uint32_t number;
		memcpy(&number, p, 4);
		memcpy(&who, p + 4, 4);
		if (who != (g->uid << 1 | dir)) {
			broken(h->w, "host %u: flow %u got a datagram of %u",
				h->no, g->uid, who >> 1);
			return -1;
		}
		seq = number;
	} else {
		seq = guess(h, g, dir, p, n);
	}
	if (seq >= (int64_t)g->dir[dir].n || g->dir[dir].v[seq].len != n ||
		!same(g, dir, (uint64_t)seq, p, n)) {
		broken(h->w, "host %u: flow %u: %u bytes nobody sent", h->no,
			g->uid, n);
		return -1;
	}
	return seq;
}

/*
 * One that waited longer than its sender lets it: from when it came, or from
 * when the session came up, before which it waits up to CV_HOLD_AGE.
 */
static void check_wait(
	struct host *h, struct gen *g, unsigned dir, const struct dgram *d)
{
	struct world *w = h->w;
	struct model *m = w->model;
	struct way *way = &m->way[g->client][dir];
	struct host *sender = dir ? w->host[0] : w->host[g->client];
	cv_time since = d->handed, pulled = m->cur.tag.pulled;
	for (size_t i = 0; i < way->ups; i++) {
		if (way->up[i] <= since || way->up[i] > pulled)
			continue;
		if (way->up[i] - since > CV_HOLD_AGE)
			broken(w, "flow %u: held for %llu us", g->uid,
				(unsigned long long)(way->up[i] - since));
		since = way->up[i];
	}
	if (pulled - since > sender->max_age)
		broken(w, "flow %u: waited %llu us, allowed are %llu", g->uid,
			(unsigned long long)(pulled - since),
			(unsigned long long)sender->max_age);
	if (pulled - d->handed > m->sum.longest_wait)
		m->sum.longest_wait = pulled - d->handed;
}

static void deliver(struct host *h, struct gen *g, unsigned dir, int64_t seq)
{
	struct model *m = h->w->model;
	struct dgram *d = &g->dir[dir].v[seq];
	if (d->done)
		broken(h->w, "flow %u: datagram %lld came twice", g->uid,
			(long long)seq);
	else if (seq <= g->dir[dir].last && h->w->cfg.links == 1)
		broken(h->w, "flow %u: datagram %lld came after %lld", g->uid,
			(long long)seq, (long long)g->dir[dir].last);
	d->done = true;
	if (seq > g->dir[dir].last)
		g->dir[dir].last = seq;
	m->sum.delivered++;
	m->cur.delivered++;
	if (!m->cur.on)
		broken(h->w, "flow %u: delivered out of nowhere", g->uid);
	else if (m->cur.matched && d->len >= 4)
		check_wait(h, g, dir, d);
}

struct seen model_delivered(
	struct host *h, struct gen *g, unsigned dir, const struct cv_frame *f)
{
	struct seen s = { 0 };
	uint32_t at = 0;
	do {
		uint32_t n = f->len - at < f->seg ? f->len - at : f->seg;
		int64_t seq = identify(h, g, dir, f->data + at, n);
		if (seq < 0)
			return s;
		deliver(h, g, dir, seq);
		s.seq = (uint32_t)seq;
		s.handed = g->dir[dir].v[seq].handed;
		at += n;
	} while (at < f->len);
	return s;
}

static void lose(struct model *m, const struct tag *t)
{
	m->sum.lost += t->dgrams;
}

void model_lost(struct model *m, struct pipe *p)
{
	for (size_t i = 0; i < p->tags; i++)
		lose(m, &p->tag[i]);
	p->tags = 0;
}

/* the tag of the record at @at; tags before it belong to garbled records */
static bool match(struct model *m, struct pipe *p, uint64_t at, uint32_t len)
{
	size_t n = 0;
	while (n < p->tags && p->tag[n].start < at)
		lose(m, &p->tag[n++]);
	if (n && !m->w->faults[FAULT_FLIP])
		broken(m->w, "records were skipped");
	bool found =
		n < p->tags && p->tag[n].start == at && p->tag[n].len == len;
	if (found)
		m->cur.tag = p->tag[n++];
	p->tags -= n;
	if (n)
		memmove(p->tag, p->tag + n, p->tags * sizeof(*p->tag));
	return found;
}

void model_arriving(struct end *e, uint64_t at, uint8_t *p, uint32_t len)
{
	struct model *m = e->host->w->model;
	const struct cv_stats *st = &e->host->node.stats;
	m->cur = (struct current){
		.on = true,
		.again = at == UINT64_MAX,
		.session = e->link.session,
		.late = st->drop[CV_DROP_LATE],
		.unknown = st->drop[CV_DROP_UNKNOWN_FLOW],
		.type = p[0],
		.index = cv_get64(p) & CV_INDEX_MASK,
	};
	if (!m->cur.again)
		m->cur.matched = match(m, &e->conn->pipe[!e->side], at, len);
	wire_in(e, p, len);
}

/* without an adversary every packet is a good one */
static void check_drop(struct end *e, int drop)
{
	static const enum fault odd[] = { FAULT_FLIP, FAULT_REPEAT,
		FAULT_STRANGER, FAULT_TWO_IDS, FAULT_FLOOD };
	struct world *w = e->host->w;
	for (size_t i = 0; i < CV_COUNT(odd); i++) {
		if (w->faults[odd[i]])
			return;
	}
	/* a late initiation of a connection that was given up is stale, and
	   those that a rekeying repeats arrive together behind a stall */
	if (drop == CV_DROP_UNKNOWN_INDEX || drop == CV_DROP_STALE_HELLO ||
		(drop == CV_DROP_FLOOD &&
			(w->faults[FAULT_STALL] || w->faults[FAULT_SLOW])) ||
		(drop == CV_DROP_NO_BUFFER && w->cfg.on[FAULT_MEMORY]) ||
		(drop == CV_DROP_UNKNOWN_PEER && e->host->node.draining))
		return;
	broken(w, "host %u: dropped an honest packet: %s", e->host->no,
		cv_drop_name((enum cv_drop)drop));
}

void model_arrived(struct end *e, int drop)
{
	struct world *w = e->host->w;
	struct model *m = w->model;
	const struct cv_stats *st = &e->host->node.stats;
	struct current *c = &m->cur;
	uint64_t late = st->drop[CV_DROP_LATE] - c->late;
	uint64_t unknown = st->drop[CV_DROP_UNKNOWN_FLOW] - c->unknown;
	c->on = false;
	m->sum.records++;
	if (drop) {
		check_drop(e, drop);
		if (e->link.session != c->session)
			broken(w, "host %u: a dropped packet moved a session",
				e->host->no);
		m->sum.packets[drop]++;
		m->sum.in_packet[drop] += c->tag.dgrams;
		if (c->delivered)
			broken(w, "delivered out of a dropped packet");
		return;
	}
	bool data =
		c->type == CV_PACKET_DATA || c->type == CV_PACKET_PLAIN_DATA;
	if (data && c->again)
		broken(w, "host %u: took a packet twice", e->host->no);
	if (c->delivered + late + unknown != c->tag.dgrams)
		broken(w, "host %u: %u datagrams came in, %llu came out",
			e->host->no, c->tag.dgrams,
			(unsigned long long)(c->delivered + late + unknown));
	if (data)
		wire_accepted(e);
	if (c->init)
		wire_init(m);
	if (c->matched && c->tag.stamp)
		check_late(e, late);
}

void model_bad_length(struct end *e)
{
	struct world *w = e->host->w;
	if (!w->faults[FAULT_FLIP] && e->conn->end[!e->side].host)
		broken(w, "host %u: an honest record has a bad length",
			e->host->no);
}

static uint64_t queued_by(const struct host *h)
{
	uint64_t n = 0;
	const struct cv_list *all = &h->node.sessions;
	for (const struct cv_list *l = all->next; l != all; l = l->next) {
		struct cv_session *s = CV_CONTAINER(l, struct cv_session, all);
		for (struct cv_buf *b = s->txq.q.head; b; b = b->next)
			n += b->dgrams;
	}
	return n;
}

static uint64_t under_way(struct world *w)
{
	uint64_t n = 0;
	for (struct cv_list *l = w->conns.next; l != &w->conns; l = l->next) {
		struct conn *c = CV_CONTAINER(l, struct conn, all);
		for (unsigned i = 0; i < 2; i++) {
			for (size_t k = 0; k < c->pipe[i].tags; k++)
				n += c->pipe[i].tag[k].dgrams;
		}
	}
	return n;
}

/* drops of datagrams: all drops but those of whole packets */
static void add_drops(struct totals *t, const struct host *h)
{
	for (int i = 0; i < CV_DROP_N; i++)
		t->drop[i] += h->node.stats.drop[i];
	t->handshakes += h->node.stats.handshakes;
}

void model_audit(struct world *w)
{
	struct model *m = w->model;
	struct totals t = m->sum;
	uint64_t queued = 0, dropped = 0, flying = under_way(w);
	for (unsigned i = 0; i < w->hosts; i++) {
		struct host *h = w->host[i];
		if (!h->running)
			continue;
		add_drops(&t, h);
		queued += queued_by(h);
		if (h->node.pool.bytes > w->cfg.memory)
			broken(w, "host %u: more memory than allowed", i);
		if (h->allocated > w->cfg.memory + (16u << 20))
			broken(w, "host %u: %zu bytes allocated", i,
				h->allocated);
		if (h->node.flows.count > w->cfg.flows)
			broken(w, "host %u: more flows than allowed", i);
	}
	for (int i = 0; i < CV_DROP_N; i++)
		dropped += t.drop[i] - t.packets[i] + t.in_packet[i];
	if (t.handed != t.delivered + dropped + t.lost + queued + flying)
		broken(w,
			"handed over %llu, but delivered %llu + dropped %llu "
			"+ lost %llu + queued %llu + under way %llu",
			(unsigned long long)t.handed,
			(unsigned long long)t.delivered,
			(unsigned long long)dropped, (unsigned long long)t.lost,
			(unsigned long long)queued, (unsigned long long)flying);
}

void model_stopped(struct host *h)
{
	struct model *m = h->w->model;
	struct cv_node *n = &h->node;
	add_drops(&m->sum, h);
	if (n->flows.count || n->nsessions || n->pool.bytes)
		broken(h->w, "host %u: cleared, and yet has something", h->no);
	way_stopped(h);
}

void model_log(struct host *h, enum culvert_log_level level, const char *line)
{
	if (model_verbose)
		printf("# %12.6f host%u <%d> %s\n", (double)h->w->now / 1e6,
			h->no, (int)level, line);
}
