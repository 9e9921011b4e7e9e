/* SPDX-License-Identifier: MIT */
/* node_flow.c - flows as edges use them: opened, sent on, closed */
#include "core/node.h"
#include "core/transport.h"

#include <string.h>

/* a flow that was idle this long may give way to a new one */
#define GIVES_WAY CV_SEC(10)

bool cv_node_give_way(struct cv_node *n, struct cv_flow *f, cv_time now)
{
	if (!f || now - f->used < GIVES_WAY)
		return false;
	cv_flow_close(n, f, NULL, CV_RESET_DONE, now);
	return true;
}

struct cv_flow *cv_node_flow(struct cv_node *n, enum cv_kind kind,
	const struct cv_addr *source, cv_time now)
{
	struct cv_flows *t = &n->flows;
	if (t->count >= t->max)
		cv_node_give_way(n, cv_flows_oldest(t), now);
	struct cv_flow *f = cv_flow_new(t, kind, source, now);
	if (!f && cv_node_give_way(n, cv_flows_oldest_of(t, source), now))
		f = cv_flow_new(t, kind, source, now);
	return f;
}

static int open_in_session(
	struct cv_node *n, struct cv_flow *f, struct cv_session *s, cv_time now)
{
	cv_flow_set_id(&n->flows, f, 1, s, s->next_id << 1);
	f->state = CV_FLOW_OPENING;
	f->epoch = s->epoch - 1;
	int err = f->kind == CV_KIND_STREAM ? cv_stream_new(f, &f->end[1]) : 0;
	if (err)
		return err;
	s->next_id++;
	cv_session_own(s, f);
	if (!f->stream)
		return 0;
	cv_flow_stand(&n->flows, f);
	cv_stream_wake(f->stream, now);
	return 0;
}

static int open_on_edge(struct cv_flow *f, struct cv_edge *far, cv_time now)
{
	struct cv_end *e = &f->end[1];
	e->edge = far;
	int r = far->ops->open(far, e, f->target, strlen(f->target), now);
	f->state = r > 0 ? CV_FLOW_OPENING : CV_FLOW_OPEN;
	if (r < 0)
		e->edge = NULL; /* it never opened there */
	return r;
}

struct cv_flow *cv_node_open(
	struct cv_node *n, const struct cv_opening *o, cv_time now)
{
	struct cv_flow *f = cv_node_flow(
		n, o->kind ? o->kind : CV_KIND_DGRAM, &o->src, now);
	if (!f)
		return NULL;
	cv_flow_set_addr(&n->flows, f, o->edge, &o->src, &o->dst);
	f->target = o->target;
	int r = o->session ? open_in_session(n, f, o->session, now)
			   : open_on_edge(f, o->far, now);
	if (r >= 0)
		return f;
	cv_flow_free(&n->flows, f);
	return NULL;
}

int cv_flow_send(struct cv_node *n, struct cv_end *from,
	const struct cv_frame *train, cv_time now)
{
	struct cv_flow *f = cv_end_flow(from);
	struct cv_end *to = cv_end_other(from);
	uint64_t count = cv_frame_count(train);

	if (train->seg > CV_DGRAM_MAX) { /* IPv6 has room for more */
		n->stats.drop[CV_DROP_TOO_BIG] += count;
		return 0;
	}
	if (!to->session && !to->edge) { /* its peer was restarted */
		n->stats.drop[CV_DROP_UNKNOWN_FLOW] += count;
		return 0;
	}
	cv_flow_touch(&n->flows, f, now);
	if (from->side)
		f->rx += count;
	else
		f->tx += count;
	if (to->session)
		return cv_session_dgram(to->session, to, train, now);
	return to->edge->ops->dgram(to->edge, to, train, now);
}

void cv_flow_wait(struct cv_end *from, struct cv_waiter *w)
{
	struct cv_end *to = cv_end_other(from);
	if (to->session)
		cv_list_append(&to->session->waiters, &w->list);
	else
		to->edge->ops->wait(to->edge, to, w);
}

void cv_flow_close(struct cv_node *n, struct cv_flow *f,
	const struct cv_end *but, enum cv_reset why, cv_time now)
{
	for (int i = 0; i < 2; i++) {
		struct cv_end *e = &f->end[i];
		if (e->edge)
			e->edge->ops->close(e->edge, e, why);
		else if (e->session && e != but &&
			 (i == 0 || f->state == CV_FLOW_OPEN ||
				 f->epoch == e->session->epoch))
			cv_session_control(e->session,
				&(struct cv_frame){ .type = CV_FRAME_RESET,
					.flow = e->id,
					.value = why },
				now);
	}
	cv_session_disown(f);
	cv_stream_free(f->stream, n);
	cv_flow_free(&n->flows, f);
}

void cv_node_close_edge(struct cv_node *n, struct cv_edge *edge,
	bool (*gone)(struct cv_edge *, struct cv_end *), cv_time now)
{
	struct cv_list *const all[] = { &n->flows.lru, &n->flows.standing,
		&n->flows.kept },
			      *next;
	for (unsigned i = 0; i < CV_COUNT(all); i++) {
		for (struct cv_list *l = all[i]->next; l != all[i]; l = next) {
			struct cv_flow *f =
				CV_CONTAINER(l, struct cv_flow, lru);
			struct cv_end *e = &f->end[f->end[0].edge != edge];
			next = l->next;
			if (e->edge == edge && (!gone || gone(edge, e)))
				cv_flow_close(n, f, NULL, CV_RESET_DONE, now);
		}
	}
}

void cv_flow_opened(struct cv_node *n, struct cv_end *e, cv_time now)
{
	struct cv_end *peer = cv_end_other(e);
	(void)n;
	cv_end_flow(e)->state = CV_FLOW_OPEN;
	if (peer->session)
		cv_session_control(peer->session,
			&(struct cv_frame){
				.type = CV_FRAME_OPENED, .flow = peer->id },
			now);
}

void cv_flow_refused_why(
	struct cv_node *n, struct cv_end *e, enum cv_reset why, cv_time now)
{
	e->edge = NULL; /* it never opened there */
	cv_flow_close(n, cv_end_flow(e), NULL, why, now);
}

void cv_flow_refused(struct cv_node *n, struct cv_end *e, int err, cv_time now)
{
	cv_flow_refused_why(n, e, cv_reset_of(err), now);
}

void cv_flow_pin(struct cv_node *n, struct cv_flow *f)
{
	struct cv_session *ours = f->end[1].session;
	struct cv_session *s = ours ? ours : f->end[0].session;
	cv_flow_keep(&n->flows, f);
	if (s)
		cv_list_prepend(&s->flows, &f->peers);
	if (ours)
		cv_session_open(ours, &f->end[1]);
}
