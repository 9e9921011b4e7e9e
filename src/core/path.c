/* SPDX-License-Identifier: MIT */
#include "core/node.h"
#include "core/transport.h"

unsigned cv_path_number(const struct cv_path *p)
{
	return (unsigned)(p - p->link->session->path);
}

struct cv_path *cv_path_next(struct cv_session *s, struct cv_path *p)
{
	struct cv_path *end = s->path + s->places;
	for (p = p ? p + 1 : s->path; p < end; p++) {
		if (p->link)
			return p;
	}
	return NULL;
}

const struct cv_path *cv_path_shown(const struct cv_session *s)
{
	return s->turn ? s->turn : &s->path[s->places ? s->places - 1 : 0];
}

struct cv_path *cv_path_on(struct cv_session *s, const struct cv_link *link)
{
	struct cv_path *p = NULL;
	while ((p = cv_path_next(s, p))) {
		if (p->link == link || p->link->port == link)
			break;
	}
	return p;
}

bool cv_path_datagram(const struct cv_path *p)
{
	return !(p->link->ops->flags & CV_LINK_RELIABLE);
}

static struct cv_path *another(struct cv_session *s, const struct cv_path *but)
{
	struct cv_path *p = NULL;
	while ((p = cv_path_next(s, p))) {
		if (p->ready && p != but)
			break;
	}
	return p;
}

void cv_path_clear(struct cv_path *p)
{
	struct cv_session *s = p->link->session;
	if (s->hs_path == p)
		cv_handshake_stop(s);
	if (s->turn == p) {
		/* the peer may not have the OPEN that the next chunk needs */
		if (s->bound)
			cv_session_drop_queue(s, CV_DROP_LINK_LOST);
		s->turn = another(s, p);
	}
	cv_bufq_clear(&p->ctl, &s->node->pool);
	s->ready -= p->ready;
	s->links--;
	if (!s->ready && !s->transport)
		cv_bufq_clear(&s->ctl, &s->node->pool);
	cv_session_new_epoch(s);
	if (s->transport)
		cv_transport_link_lost(s->transport, p, s->rx_at);
	p->link->path = NULL;
	*p = (struct cv_path){ .failures = p->failures };
	while (s->places && !s->path[s->places - 1].link)
		s->places--;
}

static void evict(struct cv_path *p)
{
	struct cv_link *link = p->link;
	cv_path_clear(p);
	link->ops->close(link, "the peer moved to another link");
}

void cv_path_evict(struct cv_session *s, const struct cv_path *but, cv_time now)
{
	struct cv_path *p = NULL;
	bool young = false;
	while ((p = cv_path_next(s, p))) {
		if (p == but || !(p->ready || p->joining))
			continue;
		young |= now - p->link->up < CV_LINK_YOUNG;
		evict(p);
	}
	if (young)
		cv_log(s->node, CULVERT_WARN,
			"msg=\"two nodes use this peer's key; give each its "
			"own\" peer=%s",
			s->name);
}

struct cv_path *cv_path_take(struct cv_session *s, unsigned number,
	struct cv_link *link, cv_time now)
{
	struct cv_path *p = &s->path[number];
	if (p->link)
		evict(p);
	p->link = link;
	p->rx_at = now;
	link->path = p;
	link->session = s;
	s->links++;
	if (s->places <= number)
		s->places = number + 1;
	return p;
}

void cv_path_control(struct cv_path *p, const struct cv_frame *f)
{
	struct cv_node *node = p->link->session->node;
	struct cv_buf *b = p->ctl.tail;
	if (!b || cv_buf_room(b) < CV_FRAME_SHORT) {
		b = p->ctl.count < CV_PATH_BUFS ? cv_buf_small(&node->pool)
						: NULL;
		if (!b)
			return;
		cv_bufq_push(&p->ctl, b);
	}
	cv_bufq_grew(&p->ctl, b, cv_frame_put(cv_buf_end(b), f));
	cv_node_dirty(node, p->link);
	/* it waits for no window: what opens that may depend on it */
	struct cv_transport *t = p->link->session->transport;
	if (t && t->path == p && !t->probes)
		t->probes = 1;
}

void cv_path_greet(struct cv_path *p, cv_time now)
{
	if (p->link->session->cur->links > 1)
		cv_path_control(p, &(struct cv_frame){ .type = CV_FRAME_LINK,
					   .value = cv_path_number(p) });
	cv_path_control(
		p, &(struct cv_frame){ .type = CV_FRAME_PING, .value = now });
}

static void measure(struct cv_path *p, cv_time now)
{
	if (p->gauged && now - p->gauged < CV_GAUGE)
		return;
	p->gauged = now;
	if (p->link->ops->gauge)
		p->link->ops->gauge(p->link, &p->gauge);
}

static bool better(const struct cv_path *a, const struct cv_path *b)
{
	if (a->gauge.mending != b->gauge.mending)
		return b->gauge.mending;
	return a->used < b->used;
}

struct cv_path *cv_path_turn(struct cv_session *s, cv_time now)
{
	struct cv_path *best = NULL, *p = NULL;
	if (s->ready <= 1 || s->bound)
		return s->turn;
	while ((p = cv_path_next(s, p))) {
		if (!p->ready || p->link->blocked)
			continue;
		measure(p, now);
		if (!best || better(p, best))
			best = p;
	}
	if (best)
		s->turn = best;
	return s->turn;
}

void cv_path_unblocked(struct cv_path *p)
{
	struct cv_session *s = p->link->session;
	if (p->ready && s->turn->link->blocked && !s->bound)
		s->turn = p;
}
