/* SPDX-License-Identifier: MIT */
#include "core/node.h"
#include "core/transport.h"

#include <string.h>

static void reset(
	struct cv_session *s, uint64_t id, enum cv_reset why, cv_time now)
{
	cv_session_control(s,
		&(struct cv_frame){
			.type = CV_FRAME_RESET, .flow = id, .value = why },
		now);
}

/* one that the peer had opened and that is over; DGRAM ones may come again */
static bool closed(struct cv_session *s, uint64_t id)
{
	if (id & 1) /* it was ours, if there ever was one */
		return id < s->next_id << 1;
	return s->transport && cv_ranges_has(&s->transport->opened, id >> 1);
}

static void note_opened(struct cv_session *s, uint64_t id)
{
	if (s->transport)
		cv_ranges_cover(&s->transport->opened, &s->node->env, id >> 1,
			(id >> 1) + 1, CV_OPENED_RANGES);
}

/* the flow that a peer asks for, its end here still to be opened */
static struct cv_flow *new_flow(struct cv_session *s, const struct cv_frame *f,
	struct cv_edge *out, cv_time now)
{
	struct cv_node *node = s->node;
	/* a peer is one source, whatever addresses it comes from */
	struct cv_addr source = { .family = CV_AF_NONE };
	memcpy(source.ip, s->pub, sizeof source.ip);
	struct cv_flow *flow =
		cv_node_flow(node, (enum cv_kind)f->kind, &source, now);
	if (!flow)
		return NULL;
	cv_flow_set_id(&node->flows, flow, 0, s, f->flow ^ 1);
	cv_session_own(s, flow);
	if (f->kind == CV_KIND_STREAM) {
		cv_flow_stand(&node->flows, flow);
		if (cv_stream_new(flow, &flow->end[0])) {
			cv_session_disown(flow);
			cv_flow_free(&node->flows, flow);
			return NULL;
		}
	}
	note_opened(s, f->flow);
	flow->end[1].edge = out;
	return flow;
}

static bool possible(const struct cv_frame *f, const struct cv_edge *out)
{
	if (f->flow & 1 || !out)
		return false;
	return f->kind == CV_KIND_DGRAM ||
	       (f->kind == CV_KIND_STREAM && out->ops->stream);
}

static void on_open(struct cv_session *s, struct cv_frame *f, cv_time now)
{
	struct cv_node *node = s->node;
	uint64_t id = f->flow ^ 1; /* as we write it */
	const char *target = (const char *)f->data;
	struct cv_edge *out =
		cv_node_out(node, (enum cv_kind)f->kind, target, f->len);
	struct cv_flow *flow = cv_flow_find_id(&node->flows, s, id);

	/* sent again over a new link, or with each datagram that waited */
	if (flow && flow->end[0].session == s) {
		if (flow->state == CV_FLOW_OPEN)
			cv_flow_opened(node, &flow->end[1], now);
		return;
	}
	if (f->kind == CV_KIND_STREAM && !(f->flow & 1) && closed(s, f->flow))
		return;
	if (flow || !possible(f, out) || node->stopping || node->draining) {
		note_opened(s, f->flow);
		reset(s, id, CV_RESET_REFUSED, now);
		return;
	}
	flow = new_flow(s, f, out, now);
	if (!flow) {
		note_opened(s, f->flow);
		reset(s, id, CV_RESET_LIMIT, now);
		return;
	}
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
	if (f->value == CV_RESET_UNKNOWN && flow->end[1].session == s &&
		!flow->stream) {
		flow->state = CV_FLOW_OPENING;
		flow->epoch = s->epoch - 1;
		if (flow->pinned)
			cv_session_open(s, &flow->end[1]);
		return;
	}
	/* a stream that is broken off is its program's affair */
	if (flow->end[1].session == s && f->value != CV_RESET_DONE &&
		f->value != CV_RESET_ABORTED)
		cv_log(s->node, CULVERT_WARN,
			"msg=\"peer refused a flow\" peer=%s target=\"%s\" "
			"reason=%s why=\"%s\"",
			s->name, flow->target, cv_reset_name(f->value),
			cv_reset_why(f->value));
	cv_flow_close(s->node, flow, cv_flow_end_in(flow, s),
		f->value < CV_RESET_N ? (enum cv_reset)f->value : CV_RESET_DONE,
		now);
}

static void on_opened(
	struct cv_session *s, const struct cv_frame *f, cv_time now)
{
	struct cv_flow *flow = cv_flow_find_id(&s->node->flows, s, f->flow ^ 1);
	if (!flow && s->transport) /* an OPEN came later than our RESET */
		reset(s, f->flow ^ 1, CV_RESET_DONE, now);
	if (!flow || flow->end[1].session != s || flow->state == CV_FLOW_OPEN)
		return;
	struct cv_edge *edge = flow->end[0].edge;
	flow->state = CV_FLOW_OPEN;
	if (edge->ops->opened)
		edge->ops->opened(edge, &flow->end[0]);
}

static int on_dgram(
	struct cv_session *s, struct cv_frame *f, bool late, cv_time now)
{
	struct cv_node *node = s->node;
	uint64_t n = cv_frame_count(f);
	uint64_t id = f->flow ^ 1;
	struct cv_flow *flow = cv_flow_find_id(&node->flows, s, id);

	if (!flow) {
		cv_session_drop(s, CV_DROP_UNKNOWN_FLOW, n);
		reset(s, id, CV_RESET_UNKNOWN, now);
		return 0;
	}
	if (flow->kind == CV_KIND_STREAM)
		return CULVERT_EPROTO;
	if (late) {
		cv_session_drop(s, CV_DROP_LATE, n);
		return 0;
	}
	s->stats.rx_dgrams += n;
	s->stats.rx_dgram_bytes += f->len;
	node->stats.rx_dgrams += n;
	node->stats.rx_dgram_bytes += f->len;
	cv_flow_send(node, cv_flow_end_in(flow, s), f, now);
	return 0;
}

/* a datagram that was put together: valid until edges have written it */
static uint8_t *keep(struct cv_node *node, struct cv_buf *b)
{
	struct cv_bufq *q = &node->wholes;
	if (!q->tail || cv_buf_room(q->tail) < b->len) {
		cv_bufq_push(q, b);
		return cv_buf_data(b);
	}
	uint8_t *at = cv_buf_end(q->tail);
	memcpy(at, cv_buf_data(b), b->len);
	cv_bufq_grew(q, q->tail, b->len);
	cv_buf_free(&node->pool, b);
	return at;
}

static int on_part(struct cv_path *p, const struct cv_frame *f, cv_time now)
{
	struct cv_session *s = p->link->session;
	struct cv_transport *t = s->transport;
	struct cv_frame all = { .type = CV_FRAME_DGRAM, .flow = f->flow };
	struct cv_buf *b = NULL;
	if (!cv_path_datagram(p) || !t)
		return CULVERT_EPROTO;
	bool begins = cv_parts_begins(&t->whole, f->taken);
	if (begins && !cv_flow_find_id(&s->node->flows, s, f->flow ^ 1)) {
		cv_parts_skip(&t->whole, f->taken);
		return on_dgram(s, &all, false, now);
	}
	int r = cv_parts_add(&t->whole, &s->node->pool, f, now, &b);
	cv_transport_count_lost(t);
	if (r == CULVERT_ENOMEM)
		cv_session_drop(s, CV_DROP_NO_BUFFER, 1);
	if (begins && t->whole.q.count == 1)
		cv_transport_schedule(t, now);
	if (r == CULVERT_EPROTO)
		return r;
	if (r <= 0)
		return 0;
	all.seg = all.len = b->len;
	all.data = keep(s->node, b);
	return on_dgram(s, &all, false, now);
}

/* 0, CULVERT_EPROTO, or another error: it could not be kept */
static int on_stream(
	struct cv_session *s, const struct cv_frame *f, cv_time now)
{
	struct cv_node *node = s->node;
	struct cv_flow *flow = cv_flow_find_id(&node->flows, s, f->flow ^ 1);
	if (!flow) /* its OPEN is still to come, or it is over */
		return closed(s, f->flow) ? 0 : CULVERT_ESTATE;
	if (!flow->stream || !flow->stream->transport)
		return flow->stream ? 0 : CULVERT_EPROTO;
	flow->rx += flow->end[0].session == s ? 0 : f->len;
	flow->tx += flow->end[0].session == s ? f->len : 0;
	cv_flow_touch(&node->flows, flow, now);
	return cv_stream_input(flow->stream, f, now);
}

static int on_window(
	struct cv_session *s, const struct cv_frame *f, cv_time now)
{
	struct cv_transport *t = s->transport;
	struct cv_stream *st;
	uint64_t most = f->type == CV_FRAME_WINDOW ? CV_STREAM_WINDOW_MAX
						   : CV_SESSION_WINDOW_MAX;
	if (f->value > most)
		return CULVERT_EPROTO;
	if (!t)
		return 0;
	if (f->type == CV_FRAME_WINDOW) {
		st = cv_stream_find(s, f->flow ^ 1);
		return st ? cv_stream_window(st, f, now) : 0;
	}
	if (f->value > t->tx_window)
		t->tx_window = f->value;
	cv_transport_relax(t);
	return 0;
}

static void on_control(struct cv_path *p, struct cv_frame *f, cv_time now)
{
	struct cv_session *s = p->link->session;
	switch (f->type) {
	case CV_FRAME_PING:
		if (cv_path_datagram(p)) /* an ACK will do */
			break;
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
	case CV_FRAME_CHALLENGE:
		f->type = CV_FRAME_ECHO;
		cv_path_control(p, f);
		break;
	case CV_FRAME_ECHO:
		if (p->link->ops->echoed)
			p->link->ops->echoed(p->link, f->value, now);
		else
			cv_roam_answered(p, f->value);
		break;
	case CV_FRAME_OPEN:
		on_open(s, f, now);
		break;
	case CV_FRAME_OPENED:
		on_opened(s, f, now);
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

/* whether the sender waits to hear that a frame has arrived */
static bool asks(
	const struct cv_session *s, const struct cv_path *p, uint8_t type)
{
	switch (type) {
	case CV_FRAME_PADDING:
	case CV_FRAME_TIME:
	case CV_FRAME_ACK:
	case CV_FRAME_CLOSE:
		return false;
	case CV_FRAME_OPEN:
	case CV_FRAME_OPENED:
	case CV_FRAME_RESET:
	case CV_FRAME_WINDOW:
	case CV_FRAME_SESSION_WINDOW:
	case CV_FRAME_STREAM:
		return s->transport != NULL;
	default:
		return cv_path_datagram(p);
	}
}

/* the frames of one packet, as they are worked off */
struct frames {
	struct cv_path *path;
	uint64_t dgrams, limit;
	unsigned opens, controls;
	bool late, asks;
	bool lost; /* something could not be kept: it is to be sent again */
};

static int take_dgrams(struct frames *w, struct cv_frame *f, cv_time now)
{
	struct cv_session *s = w->path->link->session;
	w->dgrams += cv_frame_count(f);
	if (w->dgrams <= CV_PACKET_DGRAMS)
		return on_dgram(s, f, w->late, now);
	cv_session_drop(s, CV_DROP_FLOOD, cv_frame_count(f));
	return 0;
}

static int take_frame(struct frames *w, struct cv_frame *f, cv_time now)
{
	struct cv_session *s = w->path->link->session;
	int r = 0;
	if (f->type == CV_FRAME_DGRAM) {
		r = take_dgrams(w, f, now);
	} else if (too_many(f, &w->opens, &w->controls)) {
		r = CULVERT_EPROTO;
	} else if (f->type == CV_FRAME_PART) {
		r = on_part(w->path, f, now);
	} else if (f->type == CV_FRAME_STREAM) {
		r = on_stream(s, f, now);
		w->lost |= r < 0;
		r = r == CULVERT_EPROTO ? r : 0;
	} else if (f->type == CV_FRAME_ACK) {
		if (s->transport)
			r = cv_transport_acked(s->transport, f, now);
	} else if (f->type == CV_FRAME_WINDOW ||
		   f->type == CV_FRAME_SESSION_WINDOW) {
		r = on_window(s, f, now);
	} else if (f->type == CV_FRAME_TIME) {
		w->late = w->limit &&
			  cv_late(&w->path->late, f->time, w->limit, now);
	} else if (f->type == CV_FRAME_CLOSE) {
		r = CULVERT_EREFUSED;
	} else {
		on_control(w->path, f, now);
	}
	w->asks |= asks(s, w->path, f->type);
	return r;
}

/* it was wholly taken */
static void taken(struct frames *w, const struct cv_packet *packet, cv_time now)
{
	struct cv_session *s = w->path->link->session;
	struct cv_transport *t = s->transport;
	if (!t)
		return;
	if (!w->lost)
		cv_acks_got(&t->acks, packet->number, w->asks,
			cv_rtt_smoothed(&t->rtt), now);
	if (t->path == w->path)
		cv_transport_heard(t, packet->len, now);
	cv_transport_stir(t, now);
}

int cv_session_input(struct cv_keys *k, struct cv_link *link,
	const struct cv_packet *packet, cv_time now)
{
	struct cv_session *s = k->session;
	uint8_t *p = packet->p, *end = p + packet->len;
	struct cv_frame f;
	uint64_t number = link->path ? 0 : number_of(p, end);
	int r;

	if (!link->path && !may_join(k, number))
		return CULVERT_EPROTO;
	struct frames w = { .path = alive(k, link, number, now) };
	s->stats.rx_bytes += packet->len;
	w.limit = (uint64_t)k->hello.max_age * CV_LATE_FACTOR;
	while ((r = cv_frame_next(&p, end, &f)) > 0) {
		r = take_frame(&w, &f, now);
		if (r)
			return r;
	}
	if (!r)
		taken(&w, packet, now);
	return r;
}
