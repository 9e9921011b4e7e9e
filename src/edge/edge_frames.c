/* SPDX-License-Identifier: MIT */
/**
 * edge_frames.c - connections of foreign programs in, each a flow
 *
 * DOC: Nobody who connects here has proved anything.  A flow lives as long as
 * its connection, however silent; where connections are no longer to be had
 * the one that has been silent longest gives way to a new one, and one that
 * never sent a frame before all others.
 */
#include "edge/edge_frames.h"

#include "edge/framed.h"
#include "loop/accept.h"

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
	char text[CV_URL_TEXT]; /* the URL's scheme */
	struct cv_list silent;  /* longest here first */
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
		p->text, cv_addr_format(from, at), why);
}

static void lost(struct cv_framed *c, const char *why)
{
	bool strange = c->framing.start != CV_FRAMING_BARE && why;
	say(port_of(c), strange ? CULVERT_WARN : CULVERT_DEBUG,
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

static void close_end(struct cv_edge *e, struct cv_end *end)
{
	struct cv_framed *c = end->ctx;
	(void)e;
	if (!c)
		return;
	c->end = end->ctx = NULL;
	if (!c->up) {
		gone(c);
		return;
	}
	say(port_of(c), CULVERT_DEBUG, &conn_of(c)->from, "its flow ended");
	cv_framed_down(c);
}
