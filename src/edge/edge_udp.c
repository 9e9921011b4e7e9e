/* SPDX-License-Identifier: MIT */
/**
 * edge_udp.c - local clients in, their answers out
 *
 * DOC: A flow is one client address and, on a port bound to every address,
 * the local address the client asked, from which it is answered.  The flow
 * of the last train is remembered: most trains follow one of their own.
 */
#include "edge/edge_udp.h"

#include "loop/sock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REOPEN 5. /* seconds until a refused known client is tried again */

struct cv_udp_port {
	struct cv_edge edge;
	struct cv_udp_sock sock;
	struct cv_loop *loop;
	struct cv_udp_route route;
	struct cv_addr peer_asked; /* what the known client asked */
	ev_timer reopen;
	struct cv_flow *last;
	struct sockaddr_storage last_from;
	struct cv_addr last_to;
};

static struct cv_udp_port *port_of(struct cv_edge *e)
{
	return CV_CONTAINER(e, struct cv_udp_port, edge);
}

static bool same_from(
	const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	/* what recvmmsg() fills in of either family, family and port first */
	size_t n = a->ss_family == AF_INET ? 8 : 28;
	return !memcmp(a, b, n);
}

static struct cv_flow *open_flow(struct cv_udp_port *p,
	const struct cv_addr *from, const struct cv_addr *to, cv_time now)
{
	struct cv_opening o = {
		.edge = &p->edge,
		.src = *from,
		.dst = *to,
		.session = p->route.via,
		.far = p->route.far,
		.target = p->route.target,
	};
	return cv_node_open(&p->loop->node, &o, now);
}

static struct cv_flow *flow_of(
	struct cv_udp_port *p, const struct cv_udp_msg *m, cv_time now)
{
	struct cv_node *node = &p->loop->node;
	const struct cv_addr none = { 0 };
	struct cv_addr from;
	if (p->last && same_from(m->from, &p->last_from) &&
		cv_addr_equal(&m->to, &p->last_to))
		return p->last;
	cv_sock_from(m->from, &from);
	struct cv_flow *f = cv_flow_find(&node->flows, &p->edge, &from, &m->to);
	/* the known client's flow was opened before it asked any address */
	if (!f && cv_addr_equal(&from, &p->route.peer)) {
		f = cv_flow_find(&node->flows, &p->edge, &from, &none);
		p->peer_asked = m->to;
	}
	if (!f)
		f = open_flow(p, &from, &m->to, now);
	p->last = f;
	p->last_to = m->to;
	p->last_from = *m->from;
	return f;
}

static struct cv_end *input(struct cv_udp_sock *s, unsigned n)
{
	struct cv_udp_port *p = CV_CONTAINER(s, struct cv_udp_port, sock);
	struct cv_node *node = &p->loop->node;
	cv_time now = cv_now();
	struct cv_end *blocked = NULL;
	bool all = true;
	for (unsigned i = 0; i < n; i++) {
		struct cv_udp_msg m;
		cv_udp_msg(s, i, &m);
		struct cv_flow *f = flow_of(p, &m, now);
		if (!f)
			node->stats.drop[CV_DROP_FLOW_LIMIT] +=
				cv_frame_count(&m.train);
		else if (cv_flow_send(node, &f->end[0], &m.train, now))
			blocked = &f->end[0];
		else
			all = false;
	}
	return all ? blocked : NULL;
}

static void reopen_later(struct cv_udp_port *p)
{
	ev_timer_set(&p->reopen, REOPEN, 0.);
	ev_timer_start(p->loop->ev, &p->reopen);
}

static void open_peer(struct cv_udp_port *p)
{
	cv_time now = cv_now();
	struct cv_flow *f =
		open_flow(p, &p->route.peer, &(struct cv_addr){ 0 }, now);
	if (f)
		cv_flow_pin(&p->loop->node, f);
	else
		reopen_later(p);
}

static void on_reopen(struct ev_loop *ev, ev_timer *w, int events)
{
	(void)ev;
	(void)events;
	open_peer(w->data);
}

static int dgram(struct cv_edge *e, struct cv_end *end,
	const struct cv_frame *train, cv_time now)
{
	struct cv_udp_port *p = port_of(e);
	struct cv_flow *f = cv_end_flow(end);
	const struct cv_addr *asked = f->pinned ? &p->peer_asked : &f->dst;
	(void)now;
	cv_udp_send(p->sock.udp, p->sock.io.fd, &f->src,
		asked->family ? asked : NULL, train);
	cv_node_edge_dirty(&p->loop->node, e);
	return 0;
}

static void flush(struct cv_edge *e)
{
	cv_udp_flush(port_of(e)->sock.udp);
}

static void close_end(struct cv_edge *e, struct cv_end *end, enum cv_reset why)
{
	struct cv_udp_port *p = port_of(e);
	struct cv_flow *f = cv_end_flow(end);
	(void)why;
	if (p->last == f)
		p->last = NULL;
	if (f->pinned && !p->loop->node.draining)
		reopen_later(p);
}

static const struct cv_edge_ops ops = {
	.name = "udp",
	.dgram = dgram,
	.flush = flush,
	.close = close_end,
};

struct cv_udp_port *cv_udp_listen(
	struct cv_udp_io *io, const struct cv_addr *at)
{
	struct cv_udp_port *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	int fd = cv_udp_local(cv_udp_io_loop(io), at);
	if (fd < 0) {
		int e = errno;
		free(p);
		errno = e;
		return NULL;
	}
	p->loop = cv_udp_io_loop(io);
	p->edge.ops = &ops;
	p->edge.node = &p->loop->node;
	cv_list_init(&p->edge.dirty);
	ev_timer_init(&p->reopen, on_reopen, REOPEN, 0.);
	p->reopen.data = p;
	cv_udp_start(&p->sock, io, fd, input);
	return p;
}

static void close_flows(struct cv_udp_port *p)
{
	cv_node_close_edge(&p->loop->node, &p->edge, NULL, cv_now());
	ev_timer_stop(p->loop->ev, &p->reopen);
}

void cv_udp_route(struct cv_udp_port *p, const struct cv_udp_route *r)
{
	if (p->route.via == r->via && p->route.far == r->far &&
		!strcmp(p->route.target, r->target) &&
		cv_addr_equal(&p->route.peer, &r->peer))
		return;
	close_flows(p);
	p->route = *r;
	if (r->peer.family)
		open_peer(p);
}

void cv_udp_unlisten(struct cv_udp_port *p)
{
	close_flows(p);
	cv_list_del(&p->edge.dirty);
	cv_udp_stop(&p->sock);
	free(p);
}
