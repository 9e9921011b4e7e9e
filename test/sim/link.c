/* SPDX-License-Identifier: MIT */
/**
 * link.c - a link on one end of a connection
 *
 * The same steps as link/link_tcp.c takes on a socket: pull only while the
 * pipe takes bytes, in small helpings behind a slow one; cut what arrives
 * into records and keep the rest; close strangers who say something wrong.
 */
#include "sim/model.h"
#include "sim/net.h"
#include "sim/stranger.h"

#include "core/record.h"

#include <stdlib.h>
#include <string.h>

enum { HELPING_MIN = 16 << 10 };

static struct end *end_of(struct cv_link *link)
{
	return CV_CONTAINER(link, struct end, link);
}

static void destroy(struct end *e, enum closing how)
{
	struct cv_pool *pool = &e->host->node.pool;
	cv_bufq_clear(&e->out, pool);
	cv_buf_free(pool, e->rest);
	e->rest = NULL;
	end_gone(e, how);
}

static void die(struct end *e, enum closing how)
{
	struct host *h = e->host;
	cv_node_link_down(&h->node, &e->link, host_now(h));
	destroy(e, how);
}

static enum closing some_close(struct end *e)
{
	return chance(&e->conn->w->rng, 50) ? CLOSE_FIN : CLOSE_RST;
}

static void written(struct end *e, size_t n)
{
	while (n) {
		struct cv_buf *b = e->out.head;
		size_t left = b->len - b->sent;
		if (n < left) {
			b->sent += (uint32_t)n;
			return;
		}
		n -= left;
		cv_buf_free(&e->host->node.pool, cv_bufq_pop(&e->out));
	}
}

/* whether everything was written */
static bool write_out(struct end *e)
{
	while (e->out.head) {
		struct cv_buf *b = e->out.head;
		size_t left = b->len - b->sent;
		size_t n = pipe_write(e, cv_buf_data(b) + b->sent, left);
		written(e, n);
		if (n < left)
			return false;
	}
	return true;
}

static void pull(struct end *e, cv_time now)
{
	struct cv_bufq got = { 0 };
	cv_node_output(&e->host->node, &e->link, &got, e->helping, now);
	for (struct cv_buf *b; (b = cv_bufq_pop(&got));) {
		model_pulled(e, b);
		cv_record_wrap(b);
		e->queued += b->len;
		cv_bufq_push(&e->out, b);
	}
}

static void flush(struct cv_link *link, cv_time now)
{
	struct end *e = end_of(link);
	bool all = true;
	while (all) {
		if (!e->out.head)
			pull(e, now);
		if (!e->out.head)
			return;
		all = write_out(e);
		if (all && e->helping < CV_OUT_BYTES)
			e->helping *= 2;
	}
	e->helping = HELPING_MIN;
	link->blocked = true;
	e->waiting = true;
	/* a short write without a full pipe: room at once */
	if (pipe_room(e) && !e->writable.place)
		event_set(e->conn->w, &e->writable, e->conn->w->now + 1);
}

void link_writable(struct end *e)
{
	struct host *h = e->host;
	if (write_out(e)) {
		cv_node_writable(&h->node, &e->link);
		host_turn(h);
		return;
	}
	e->waiting = true;
	if (pipe_room(e))
		event_set(e->conn->w, &e->writable, e->conn->w->now + 1);
}

/* one packet: 0, or the drop for which a stranger's stream is given up */
static int packet(struct end *e, uint8_t *p, uint32_t len, uint64_t at)
{
	struct host *h = e->host;
	uint8_t *again = NULL;
	/* plain initiations carry no proof of being new */
	if (e->conn->repeat && p[0] != CV_PACKET_PLAIN_INIT &&
		(again = malloc(len + CV_TAG)))
		memcpy(again, p, len);
	stranger_tapes(e, p, len);
	model_arriving(e, at, p, len);
	int drop = cv_node_input(&h->node, &e->link, p, len, host_now(h));
	model_arrived(e, drop);
	if (again && !e->dead) {
		e->conn->repeat = false;
		model_arriving(e, UINT64_MAX, again, len);
		int r = cv_node_input(
			&h->node, &e->link, again, len, host_now(h));
		model_arrived(e, r);
		if (!drop && !e->link.trusted)
			drop = r;
	}
	free(again);
	/* a stranger who is sent a cookie gets the time to use it */
	if (e->dead || e->link.trusted || drop == CV_DROP_UNDER_LOAD)
		return 0;
	return drop;
}

/* whether the stream goes on */
static bool records(struct end *e, uint8_t *area, uint8_t **p, uint8_t *end)
{
	uint64_t at = e->parsed;
	uint32_t len = 0;
	for (;;) {
		uint8_t *before = *p;
		uint32_t max = e->link.trusted || e->link.dialled
				       ? CV_PACKET_MAX
				       : CV_STRANGER_RECORD;
		uint8_t *q = e->dead ? NULL : cv_record_next(p, end, max, &len);
		if (!q)
			break;
		if (packet(e, q, len, at + (uint64_t)(before - area)))
			return false;
	}
	e->parsed = at + (uint64_t)(*p - area);
	if (e->dead || len != UINT32_MAX)
		return true;
	model_bad_length(e);
	return false;
}

static bool keep_rest(struct end *e, const uint8_t *p, size_t n)
{
	struct cv_pool *pool = &e->host->node.pool;
	if (!n)
		return true;
	e->rest = n <= CV_SMALL ? cv_buf_small(pool) : cv_buf_large(pool);
	if (!e->rest)
		return false;
	memcpy(e->rest->data, p, n);
	e->rest->len = (uint32_t)n;
	return true;
}

void link_readable(struct end *e, uint8_t *area, size_t n)
{
	struct host *h = e->host;
	uint8_t *p = area;
	size_t kept = e->rest ? e->rest->len : 0;
	if (kept)
		memcpy(area, e->rest->data, kept);
	cv_buf_free(&h->node.pool, e->rest);
	e->rest = NULL;
	uint8_t *end = area + kept + n;
	e->reading = true;
	bool good = records(e, area, &p, end);
	cv_node_input_done(&h->node);
	e->reading = false;
	if (e->dead) {
		destroy(e, some_close(e));
	} else {
		if (e->link.trusted)
			event_set(h->w, &e->first, CV_NEVER);
		if (!good || !keep_rest(e, p, (size_t)(end - p)))
			die(e, some_close(e));
	}
	host_turn(h);
}

void link_eof(struct end *e, const char *why)
{
	struct host *h = e->host;
	(void)why;
	if (!h) {
		end_gone(e, CLOSE_RST);
		return;
	}
	die(e, CLOSE_RST);
	host_turn(h);
}

void link_cut(struct end *e, enum closing how)
{
	die(e, how);
	if (!e->host->stopping)
		host_turn(e->host);
}

static void on_silent(struct event *ev)
{
	struct end *e = CV_CONTAINER(ev, struct end, first);
	link_eof(e, "a stranger that said nothing");
}

static void close_link(struct cv_link *link, const char *why)
{
	struct end *e = end_of(link);
	struct host *h = e->host;
	(void)why;
	cv_node_link_down(&h->node, link, host_now(h));
	if (e->reading)
		e->dead = true;
	else
		destroy(e, some_close(e));
}

static void gauge(struct cv_link *link, struct cv_gauge *g)
{
	const struct conn *c = end_of(link)->conn;
	g->rtt = 2 * c->delay;
	g->mending = c->w->now < c->stalled_until;
}

static const struct cv_link_ops ops = {
	.name = "sim",
	.flags = CV_LINK_RELIABLE,
	.flush = flush,
	.close = close_link,
	.gauge = gauge,
};

void link_open(struct end *e, struct cv_session *s, unsigned number)
{
	struct host *h = e->host;
	e->link.ops = &ops;
	e->link.number = number;
	e->helping = HELPING_MIN;
	e->first.fire = on_silent;
	cv_list_append(&h->ends, &e->of_host);
	cv_node_link_up(&h->node, &e->link, s, host_now(h));
	if (!s)
		event_set(h->w, &e->first, h->w->now + CV_FIRST_PACKET);
	host_turn(h);
}
