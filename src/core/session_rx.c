/* SPDX-License-Identifier: MIT */
#include "core/node.h"

#include <string.h>

static void reset(
	struct cv_session *s, uint64_t id, enum cv_reset why, cv_time now)
{
	cv_session_control(s,
		&(struct cv_frame){
			.type = CV_FRAME_RESET, .flow = id, .value = why },
		now);
}

static void on_open(struct cv_session *s, struct cv_frame *f, cv_time now)
{
	struct cv_node *node = s->node;
	uint64_t id = f->flow ^ 1; /* as we write it */
	const char *target = (const char *)f->data;
	struct cv_edge *out = cv_node_out(node, target, f->len);
	struct cv_flow *flow = cv_flow_find_id(&node->flows, s, id);

	/* sent again over a new link, or with each datagram that waited */
	if (flow && flow->end[0].session == s) {
		if (flow->state == CV_FLOW_OPEN)
			cv_flow_opened(node, &flow->end[1], now);
		return;
	}
	if (flow || f->flow & 1 || f->kind != CV_KIND_DGRAM || !out ||
		node->draining) {
		reset(s, id, CV_RESET_REFUSED, now);
		return;
	}
	/* a peer is one source, whatever addresses it comes from */
	struct cv_addr source = { .family = CV_AF_NONE };
	memcpy(source.ip, s->pub, sizeof source.ip);
	flow = cv_node_flow(node, CV_KIND_DGRAM, &source, now);
	if (!flow) {
		reset(s, id, CV_RESET_LIMIT, now);
		return;
	}
	cv_flow_set_id(&node->flows, flow, 0, s, id);
	cv_session_own(s, flow);
	flow->end[1].edge = out;
	int r = out->ops->open(out, &flow->end[1], target, f->len, now);
	if (r == CULVERT_EFULL &&
		cv_node_give_way(node, cv_flows_oldest(&node->flows), now))
		r = out->ops->open(out, &flow->end[1], target, f->len, now);
	if (r == 0)
		cv_flow_opened(node, &flow->end[1], now);
	else if (r < 0)
		cv_flow_refused(node, &flow->end[1], r, now);
}

static void on_reset(struct cv_session *s, struct cv_frame *f, cv_time now)
{
	struct cv_flow *flow = cv_flow_find_id(&s->node->flows, s, f->flow ^ 1);
	if (!flow)
		return;
	if (f->value == CV_RESET_UNKNOWN && flow->end[1].session == s) {
		flow->state = CV_FLOW_OPENING;
		flow->epoch = s->epoch - 1;
		if (flow->pinned)
			cv_session_open(s, &flow->end[1]);
		return;
	}
	if (flow->end[1].session == s && f->value != CV_RESET_DONE)
		cv_log(s->node, CULVERT_WARN,
			"msg=\"peer refused a flow\" peer=%s target=\"%s\" "
			"reason=%s why=\"%s\"",
			s->name, flow->target, cv_reset_name(f->value),
			cv_reset_why(f->value));
	cv_flow_close(s->node, flow, cv_flow_end_in(flow, s),
		f->value < CV_RESET_N ? (enum cv_reset)f->value : CV_RESET_DONE,
		now);
}

static void on_opened(struct cv_session *s, const struct cv_frame *f)
{
	struct cv_flow *flow = cv_flow_find_id(&s->node->flows, s, f->flow ^ 1);
	if (!flow || flow->end[1].session != s || flow->state == CV_FLOW_OPEN)
		return;
	struct cv_edge *edge = flow->end[0].edge;
	flow->state = CV_FLOW_OPEN;
	if (edge->ops->opened)
		edge->ops->opened(edge, &flow->end[0]);
}

static void on_dgram(
	struct cv_session *s, struct cv_frame *f, bool late, cv_time now)
{
	struct cv_node *node = s->node;
	uint64_t n = cv_frame_count(f);
	uint64_t id = f->flow ^ 1;
	struct cv_flow *flow = cv_flow_find_id(&node->flows, s, id);

	if (!flow) {
		cv_session_drop(s, CV_DROP_UNKNOWN_FLOW, n);
		reset(s, id, CV_RESET_UNKNOWN, now);
		return;
	}
	if (late) {
		cv_session_drop(s, CV_DROP_LATE, n);
		return;
	}
	s->stats.rx_dgrams += n;
	s->stats.rx_dgram_bytes += f->len;
	node->stats.rx_dgrams += n;
	node->stats.rx_dgram_bytes += f->len;
	cv_flow_send(node, cv_flow_end_in(flow, s), f, now);
}

static void on_control(struct cv_path *p, struct cv_frame *f, cv_time now)
{
	struct cv_session *s = p->link->session;
	switch (f->type) {
	case CV_FRAME_PING:
		f->type = CV_FRAME_PONG;
		/* behind what was answered before, as far as links have an
		   order */
		if (s->ready > 1)
			cv_path_control(p, f);
		else
			cv_session_control(s, f, now);
		break;
	case CV_FRAME_PONG:
		if (now - f->value < CV_DEAD)
			p->rtt = now - f->value;
		break;
	case CV_FRAME_OPEN:
		on_open(s, f, now);
		break;
	case CV_FRAME_OPENED:
		on_opened(s, f);
		break;
	case CV_FRAME_RESET:
		on_reset(s, f, now);
		break;
	default:
		break;
	}
}

/* LINK leads the first packet on a link, or comes right behind TIME */
static uint64_t number_of(uint8_t *p, uint8_t *end)
{
	struct cv_frame f = { 0 };
	if (cv_frame_next(&p, end, &f) > 0 && f.type == CV_FRAME_TIME)
		cv_frame_next(&p, end, &f);
	return f.type == CV_FRAME_LINK ? f.value : 0;
}

/*
 * Whether this packet may add its link.  What was sealed before the peer
 * moved says nothing of where it is now.
 */
static bool may_join(const struct cv_keys *k, uint64_t number)
{
	const struct cv_session *s = k->session;
	return number < k->links && !(k == s->prev && s->cur->fresh);
}

/* a link's packet shows that the peer is there, and where */
static struct cv_path *alive(
	struct cv_keys *k, struct cv_link *link, uint64_t number, cv_time now)
{
	struct cv_session *s = k->session;
	bool moved = k == s->next && k->fresh;
	link->trusted = true;
	if (!k->confirmed || k == s->next)
		cv_keys_confirmed(s, k);
	if (moved)
		cv_path_evict(s, link->path, now);
	struct cv_path *p = link->path;
	if (!p)
		p = cv_path_take(s, (unsigned)number, link, now);
	s->rx_at = p->rx_at = now;
	p->ping_at = 0;
	s->stats.rx_packets++;
	if (!p->ready && s->hs_path != p) {
		cv_session_ready(s, p, now);
		cv_session_schedule(s, now);
	}
	return p;
}

/* more control frames than any packet of ours has */
static bool too_many(
	const struct cv_frame *f, unsigned *opens, unsigned *controls)
{
	*opens += f->type == CV_FRAME_OPEN;
	*controls += f->type != CV_FRAME_PADDING;
	return *opens > CV_PACKET_OPENS || *controls > CV_PACKET_CONTROLS;
}

int cv_session_input(struct cv_keys *k, struct cv_link *link, uint8_t *p,
	size_t len, cv_time now)
{
	struct cv_session *s = k->session;
	uint8_t *end = p + len;
	uint64_t dgrams = 0, limit;
	unsigned opens = 0, controls = 0;
	struct cv_frame f;
	bool late = false;
	uint64_t number = link->path ? 0 : number_of(p, end);
	int r;

	if (!link->path && !may_join(k, number))
		return CULVERT_EPROTO;
	struct cv_path *path = alive(k, link, number, now);
	s->stats.rx_bytes += len;
	limit = (uint64_t)k->hello.max_age * CV_LATE_FACTOR;
	while ((r = cv_frame_next(&p, end, &f)) > 0) {
		if (f.type == CV_FRAME_DGRAM) {
			dgrams += cv_frame_count(&f);
			if (dgrams > CV_PACKET_DGRAMS)
				cv_session_drop(
					s, CV_DROP_FLOOD, cv_frame_count(&f));
			else
				on_dgram(s, &f, late, now);
		} else if (too_many(&f, &opens, &controls)) {
			return CULVERT_EPROTO;
		} else if (f.type == CV_FRAME_TIME) {
			late = limit &&
			       cv_late(&path->late, f.time, limit, now);
		} else if (f.type == CV_FRAME_CLOSE) {
			return CULVERT_EREFUSED;
		} else {
			on_control(path, &f, now);
		}
	}
	return r;
}
