/* SPDX-License-Identifier: MIT */
/* wire.c - what a node may say on the wire, and when */
#include "sim/oracle.h"

#include <stdlib.h>
#include <string.h>

static struct index *slot(struct index *v, size_t size, uint64_t name)
{
	size_t i = (size_t)mix64(name) & (size - 1);
	while (v[i].used && v[i].name != name)
		i = (i + 1) & (size - 1);
	return &v[i];
}

struct index *index_of(struct model *m, uint64_t name)
{
	if (2 * (m->indices + 1) > m->index_size) {
		size_t size = m->index_size ? 2 * m->index_size : 64;
		struct index *v = calloc(size, sizeof *v);
		if (!v)
			abort();
		for (size_t i = 0; i < m->index_size; i++) {
			if (m->index[i].used)
				*slot(v, size, m->index[i].name) = m->index[i];
		}
		free(m->index);
		m->index = v;
		m->index_size = size;
	}
	struct index *x = slot(m->index, m->index_size, name);
	if (!x->used) {
		x->used = true;
		x->name = name;
		m->indices++;
	}
	return x;
}

/*
 * doc/protocol.md, section 7: OPEN before the first datagram on every link,
 * until that server, in that life of it, said OPENED.
 */
static void check_open(struct end *e, uint8_t *p, uint8_t *end)
{
	struct world *w = e->host->w;
	struct cv_frame f;
	int r;
	while ((r = cv_frame_next(&p, end, &f)) > 0) {
		struct gen *g =
			e->side == 0
				? model_find(w, e->host->node.instance, f.flow)
				: NULL;
		if (!g)
			continue;
		if (f.type == CV_FRAME_OPEN)
			g->asked = e->conn->serial;
		if (f.type == CV_FRAME_DGRAM &&
			g->opened != e->conn->instance &&
			g->asked != e->conn->serial)
			broken(w, "flow %u: a datagram before its OPEN",
				g->uid);
	}
	if (r < 0)
		broken(w, "host %u sent a frame that is none", e->host->no);
}

/* section 4.1: a responder waits for the first packet under new keys */
static void check_confirmed(struct end *e, struct index *x)
{
	struct model *m = e->host->w->model;
	if (!x->pair || e->side == 0)
		return;
	if (!index_of(m, x->pair)->heard)
		broken(m->w, "the server used keys that are not confirmed");
}

static void check_data(struct end *e, struct cv_buf *b)
{
	struct model *m = e->host->w->model;
	uint8_t *p = cv_buf_data(b);
	struct index *x = index_of(m, cv_get64(p) & CV_INDEX_MASK);
	/* a key begins where the one before it ended: see section 12 */
	if (x->next && cv_get64(p + 8) != x->next)
		broken(m->w, "host %u: packet number %llu instead of %llu",
			e->host->no, (unsigned long long)cv_get64(p + 8),
			(unsigned long long)x->next);
	x->next = cv_get64(p + 8) + 1;
	check_confirmed(e, x);
	if (p[0] == CV_PACKET_PLAIN_DATA) {
		check_open(e, p + CV_DATA_HEAD, cv_buf_end(b));
		return;
	}
	uint64_t canary = CANARY;
	if (memmem(p, b->len, &canary, sizeof canary))
		broken(m->w, "host %u: plain text on the wire", e->host->no);
}

/* plain initiations can be repeated: the pair in use is the one that counts */
static void note_response(struct model *m, uint64_t to, uint64_t from)
{
	uint64_t had = index_of(m, to)->pair;
	if (!had || !index_of(m, had)->heard)
		index_of(m, to)->pair = from;
}

void model_pulled(struct end *e, struct cv_buf *b)
{
	struct host *h = e->host;
	struct world *w = h->w;
	struct model *m = w->model;
	struct pipe *p = &e->conn->pipe[e->side];
	uint8_t *q = cv_buf_data(b);
	uint64_t index = cv_get64(q) & CV_INDEX_MASK;
	bool data = q[0] == CV_PACKET_DATA || q[0] == CV_PACKET_PLAIN_DATA;
	if ((q[0] >= CV_PACKET_PLAIN_INIT) != w->cfg.plain)
		broken(w, "host %u: a packet of the other mode", h->no);
	if (data)
		check_data(e, b);
	if (!w->cfg.plain && !e->conn->end[0].host && data)
		broken(w, "the server talks to a stranger");
	if (q[0] == CV_PACKET_RESPONSE || q[0] == CV_PACKET_PLAIN_RESPONSE)
		note_response(m, index, cv_get64(q + 8) & CV_INDEX_MASK);
	p->tag = grown(p->tag, p->tags, &p->tag_room, sizeof(*p->tag));
	p->tag[p->tags++] = (struct tag){
		.start = e->queued,
		.len = b->len,
		.dgrams = b->dgrams,
		/* control packets say when they were sealed */
		.stamp = b->time ? b->time - h->offset
			 : data  ? w->now
				 : 0,
		.pulled = w->now,
	};
}

/* an initiation is good for one handshake in the life of a server */
void wire_init(struct model *m)
{
	struct index *x = index_of(m, m->cur.init);
	uint64_t life = m->w->host[0]->node.instance;
	if (x->pair == life)
		broken(m->w, "an initiation was good for two handshakes");
	x->pair = life;
}

/* in plain mode the oracle sees when a flow was confirmed */
void wire_in(struct end *e, uint8_t *p, uint32_t len)
{
	struct world *w = e->host->w;
	struct cv_frame f;
	if (p[0] == CV_PACKET_INIT && len == CV_INIT_SIZE)
		w->model->cur.init = mix64(cv_get64(p + CV_INIT_NOISE) ^
					   cv_get64(p + CV_INIT_MAC1));
	if (p[0] != CV_PACKET_PLAIN_DATA || e->side != 0 || len < CV_DATA_HEAD)
		return;
	uint8_t *end = p + len;
	p += CV_DATA_HEAD;
	while (cv_frame_next(&p, end, &f) > 0) {
		struct gen *g = f.type != CV_FRAME_OPENED
					? NULL
					: model_find(w, e->host->node.instance,
						  f.flow ^ 1);
		if (g)
			g->opened = e->conn->instance;
	}
}

void wire_accepted(struct end *e)
{
	struct model *m = e->host->w->model;
	if (e->side == 1)
		index_of(m, m->cur.index)->heard = true;
}
