/* SPDX-License-Identifier: MIT */
/**
 * edge_frames.c - connections of foreign programs in, each a flow
 *
 * DOC: Nobody who connects here has proved anything.  A flow lives as long as
 * its connection, however silent; where connections are no longer to be had
 * one that never sent a frame gives way to a new one at once, or a flood of
 * them would keep everybody out, and else the one silent longest.
 */
#include "edge/edge_frames.h"

#include "edge/framed.h"
#include "loop/accept.h"
#include "loop/sock.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct conn {
	struct cv_framed framed;
	struct cv_list silent; /* of the port: has sent no frame */
	struct cv_addr from;
};

struct cv_frames_port {
	struct cv_framed_set set;
	struct cv_accept accept;
	bool accepting;
	struct cv_edge *out;
	const char *scheme;
	struct cv_list silent; /* longest here first */
	size_t count, max;
};

static struct cv_frames_port *port_of(const struct cv_framed *c)
{
	return CV_CONTAINER(c->set, struct cv_frames_port, set);
}

static struct conn *conn_of(struct cv_framed *c)
{
	return CV_CONTAINER(c, struct conn, framed);
}

static void say(struct cv_frames_port *p, enum culvert_log_level level,
	const struct cv_addr *from, const char *why)
{
	char at[CV_ADDRTEXT];
	cv_log(&p->set.loop->node, level,
		"msg=\"connection closed\" link=%s from=%s reason=\"%s\"",
		p->scheme, cv_addr_format(from, at), why);
}

static void lost(struct cv_framed *c, const char *why)
{
	say(port_of(c), c->refused ? CULVERT_WARN : CULVERT_DEBUG,
		&conn_of(c)->from, why ? why : "closed by the other end");
}

static void gone(struct cv_framed *c)
{
	struct cv_frames_port *p = port_of(c);
	struct cv_end *end = c->end;
	cv_list_del(&conn_of(c)->silent);
	cv_framed_clear(c);
	p->count--;
	free(conn_of(c));
	if (!end)
		return;
	end->ctx = NULL;
	cv_flow_close(&p->set.loop->node, cv_end_flow(end), NULL, CV_RESET_DONE,
		cv_now());
}

static void close_end(struct cv_edge *e, struct cv_end *end, enum cv_reset why)
{
	struct cv_framed *c = end->ctx;
	(void)e;
	(void)why;
	if (!c)
		return;
	c->end = NULL;
	end->ctx = NULL;
	if (!c->up) {
		gone(c);
		return;
	}
	say(port_of(c), CULVERT_DEBUG, &conn_of(c)->from, "its flow ended");
	cv_framed_down(c);
}

static const struct cv_edge_ops ops = {
	.name = "frames",
	.dgram = cv_framed_dgram,
	.wait = cv_framed_wait,
	.flush = cv_framed_flush,
	.close = close_end,
};

/* who has been here longest without a frame; of one address or of any */
static struct cv_flow *most_silent(
	struct cv_frames_port *p, const struct cv_addr *from)
{
	struct cv_list *l = p->silent.next, *next;
	for (; l != &p->silent; l = next) {
		struct conn *c = CV_CONTAINER(l, struct conn, silent);
		next = l->next;
		if (c->framed.framing.frames)
			cv_list_del(&c->silent);
		else if (!from || cv_addr_same_ip(&c->from, from))
			return cv_end_flow(c->framed.end);
	}
	return NULL;
}

static void make_room(
	struct cv_frames_port *p, const struct cv_addr *from, cv_time now)
{
	struct cv_node *n = &p->set.loop->node;
	struct cv_flow *own = cv_flows_oldest_of(&n->flows, from);
	bool full = p->count >= p->max || n->flows.count >= n->flows.max;
	if (!own && !full)
		return;
	struct cv_flow *f = most_silent(p, own ? from : NULL);
	if (!f) {
		cv_node_give_way(
			n, own ? own : cv_flows_oldest(&n->flows), now);
		return;
	}
	n->stats.drop[CV_DROP_STRANGER]++;
	cv_flow_close(n, f, NULL, CV_RESET_DONE, now);
}

static struct conn *open_conn(struct cv_frames_port *p,
	const struct cv_addr *from, const struct cv_addr *to, cv_time now)
{
	struct cv_node *n = &p->set.loop->node;
	struct cv_opening o = {
		.edge = &p->set.edge,
		.src = *from,
		.dst = *to,
		.far = p->out,
		.target = "",
	};
	struct conn *c = calloc(1, sizeof *c);
	struct cv_flow *f = c ? cv_node_open(n, &o, now) : NULL;
	if (!f) {
		free(c);
		return NULL;
	}
	cv_flow_stand(&n->flows, f);
	cv_framed_init(&c->framed, &p->set, &f->end[0]);
	c->from = *from;
	cv_list_init(&c->silent);
	cv_list_append(&p->silent, &c->silent);
	p->count++;
	return c;
}

static void accepted(struct cv_accept *a, int fd)
{
	struct cv_frames_port *p =
		CV_CONTAINER(a, struct cv_frames_port, accept);
	struct cv_addr from = { 0 }, to = { 0 };
	struct conn *c = NULL;
	cv_time now = cv_now();
	cv_sock_ends(fd, &to, &from);
	make_room(p, &from, now);
	if (p->count < p->max)
		c = open_conn(p, &from, &to, now);
	if (c) {
		cv_framed_up(&c->framed, fd, now);
		return;
	}
	p->set.loop->node.stats.drop[CV_DROP_FLOW_LIMIT]++;
	say(p, CULVERT_WARN, &from, "no room for another flow, or no target");
	close(fd);
}

struct cv_frames_port *cv_frames_listen(struct cv_loop *loop,
	const struct cv_url *url, struct cv_edge *out, size_t max,
	char why[CV_SOCK_WHY])
{
	struct cv_addr at = { 0 };
	struct cv_frames_port *p = calloc(1, sizeof *p);
	*why = '\0';
	if (!p || cv_url_addr(url, &at))
		goto fail;
	p->accept.accepted = accepted;
	if (cv_accept_start(&p->accept, loop, &at, url, why))
		goto fail;
	cv_framed_set_init(&p->set, loop, url->scheme);
	p->set.edge.ops = &ops;
	p->set.lost = lost;
	p->set.gone = gone;
	p->scheme = p->set.led ? "udptunnel+tcp" : "frames+tcp";
	p->accepting = true;
	p->out = out;
	p->max = max;
	cv_list_init(&p->silent);
	return p;
fail:;
	int e = errno;
	free(p);
	errno = e;
	return NULL;
}

void cv_frames_pause(struct cv_frames_port *p)
{
	if (p->accepting)
		cv_accept_stop(&p->accept);
	p->accepting = false;
}

void cv_frames_unlisten(struct cv_frames_port *p)
{
	cv_frames_pause(p);
	cv_framed_set_clear(&p->set);
	free(p);
}
