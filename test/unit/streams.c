/* SPDX-License-Identifier: MIT */
#include "unit/streams.h"

#include "unit/check.h"

uint64_t streams_got(const struct cv_end *end)
{
	return (uintptr_t)end->ctx;
}

static void stream(struct cv_edge *edge, struct cv_end *end,
	const uint8_t *data, size_t len, bool fin)
{
	struct edge *e = CV_CONTAINER(edge, struct edge, edge);
	uint64_t at = streams_got(end);
	for (size_t i = 0; i < len && !e->any; i++)
		if (data[i] != streams_byte(at + i))
			fail_msg("byte %ju is wrong", (uintmax_t)(at + i));
	end->ctx = (void *)(uintptr_t)(at + len);
	e->streamed += len;
	e->fins += fin;
	if (!e->hoard)
		cv_flow_took(edge->node, end, len, *e->now);
}

static void resume(struct cv_edge *edge, struct cv_end *end)
{
	(void)end;
	CV_CONTAINER(edge, struct edge, edge)->resumes++;
}

void streams_on(struct pair *p)
{
	static struct cv_edge_ops ops;
	for (int i = 0; i < 2; i++) {
		struct edge *e = &p->side[i].edge;
		ops = *e->edge.ops;
		ops.stream = stream;
		ops.resume = resume;
		e->edge.ops = &ops;
		e->now = &p->now;
	}
}

struct cv_flow *streams_open(struct pair *p, unsigned n)
{
	struct side *x = &p->side[A];
	struct cv_opening o = { .kind = CV_KIND_STREAM,
		.edge = &x->edge.edge,
		.src = pair_client(n),
		.dst = pair_client(9),
		.session = x->s,
		.target = STREAM_TARGET };
	return cv_node_open(&x->node, &o, p->now);
}

size_t streams_write(struct pair *p, struct cv_end *from, size_t len)
{
	struct cv_node *n = from->edge->node;
	struct cv_stream *st = cv_end_flow(from)->stream;
	size_t done = 0;
	while (done < len) {
		size_t room = len - done;
		uint64_t at = st->tx.end;
		uint8_t *to = cv_flow_room(n, from, &room);
		if (!to)
			break;
		for (size_t i = 0; i < room; i++)
			to[i] = streams_byte(at + i);
		cv_flow_wrote(n, from, room, p->now);
		done += room;
	}
	return done;
}

void streams_finish(struct pair *p, struct cv_end *from)
{
	cv_flow_finish(from->edge->node, from, p->now);
}

void streams_take(struct pair *p, struct cv_end *end, size_t len)
{
	cv_flow_took(end->edge->node, end, len, p->now);
}
