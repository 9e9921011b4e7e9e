/* SPDX-License-Identifier: MIT */
/**
 * link_app.c - records in and out of bytes that somebody else moves
 *
 * DOC: In: bytes are copied behind those that did not make a record yet, and
 * packets opened in place; before the bytes move the edges have made use of
 * them, and so the program was called, which may have closed this very link.
 * Out: packets are pulled only when the program asks,
 * as many as it has room for; until it asks again the link counts as blocked,
 * so that what waits may be dropped for its age.
 */
#include "link/link_app.h"

#include "core/record.h"

#include <stdlib.h>
#include <string.h>

struct culvert_link {
	struct cv_link link;
	struct cv_list all; /* of its set */
	struct cv_applinks *set;
	struct cv_bufq out; /* pulled, not yet asked for */
	uint8_t *part;      /* bytes in that make no record yet */
	size_t len, cap;
	bool down;          /* the node is done with it */
	bool reading, gone; /* closed by the program while it reads */
};

/* a record, and as much again as one call brings */
enum { PART = CV_PACKET_MAX + 4, KEEP = 4096 };

static void flush(struct cv_link *link, cv_time now)
{
	(void)link;
	(void)now;
}

static void close_link(struct cv_link *link, const char *why)
{
	struct culvert_link *l = CV_CONTAINER(link, struct culvert_link, link);
	struct cv_node *n = link->node;
	struct cv_session *s = link->session;
	cv_log(n, CULVERT_INFO,
		"msg=\"link down\" link=app:// peer=%s reason=\"%s\"",
		s && *s->name ? s->name : "-", why);
	cv_node_link_down(n, link, l->set->now);
	l->down = true;
}

static const struct cv_link_ops ops = {
	.name = "app",
	.flags = CV_LINK_RELIABLE,
	.flush = flush,
	.close = close_link,
};

culvert_link *cv_applink_new(struct cv_applinks *set, struct cv_session *s)
{
	struct culvert_link *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	l->link.ops = &ops;
	l->set = set;
	cv_list_init(&l->all);
	cv_list_append(&set->all, &l->all);
	cv_node_link_up(set->node, &l->link, s, set->now);
	return l;
}

struct cv_applinks *cv_applink_set(const culvert_link *l)
{
	return l->set;
}

static void destroy(struct culvert_link *l)
{
	struct cv_node *n = l->link.node;
	for (struct cv_buf *b; (b = cv_bufq_pop(&l->out));) {
		n->stats.drop[CV_DROP_LINK_LOST] += b->dgrams;
		cv_buf_free(&n->pool, b);
	}
	free(l->part);
	free(l);
}

void cv_applink_free(culvert_link *l)
{
	if (!l->down)
		cv_node_link_down(l->link.node, &l->link, l->set->now);
	l->down = true;
	cv_list_del(&l->all);
	if (l->reading)
		l->gone = true;
	else
		destroy(l);
}

void cv_applinks_clear(struct cv_applinks *set)
{
	struct cv_list *next;
	for (struct cv_list *l = set->all.next; l != &set->all; l = next) {
		next = l->next;
		cv_applink_free(CV_CONTAINER(l, struct culvert_link, all));
	}
}

/* @len bytes behind those that wait; false without memory */
static bool take(struct culvert_link *l, const uint8_t *data, size_t len)
{
	if (l->len + len > l->cap) {
		uint8_t *more = realloc(l->part, l->len + len);
		if (!more)
			return false;
		l->part = more;
		l->cap = l->len + len;
	}
	memcpy(l->part + l->len, data, len);
	l->len += len;
	return true;
}

/* what is left goes to the front; a large buffer is not kept for nothing */
static void keep(struct culvert_link *l, const uint8_t *p)
{
	l->len -= (size_t)(p - l->part);
	memmove(l->part, p, l->len);
	if (l->len || l->cap <= KEEP)
		return;
	free(l->part);
	l->part = NULL;
	l->cap = 0;
}

/* the packets that are whole; NULL, or why the stream is of no use */
static const char *records(struct culvert_link *l, uint8_t **p)
{
	struct cv_node *n = l->link.node;
	uint8_t *packet;
	uint32_t len = 0;
	while (!l->down) {
		bool known = l->link.trusted || l->link.dialled;
		packet = cv_record_next(p, l->part + l->len,
			known ? CV_PACKET_MAX : CV_STRANGER_RECORD, &len);
		if (!packet)
			break;
		int drop = cv_node_input(n, &l->link, packet, len, l->set->now);
		/* a cookie is an answer: the next initiation comes here */
		if (drop && drop != CV_DROP_UNDER_LOAD && !l->link.trusted)
			return cv_drop_name((enum cv_drop)drop);
	}
	if (len != UINT32_MAX)
		return NULL;
	n->stats.drop[CV_DROP_MALFORMED]++;
	return "this is not culvert's protocol";
}

/* what one call brings, in helpings that bound the buffer */
static int read_some(struct culvert_link *l, const uint8_t *data, size_t len)
{
	bool room = take(l, data, len);
	uint8_t *p = l->part;
	const char *why = room ? records(l, &p) : "out of memory";
	cv_node_input_done(l->link.node);
	if (why && !l->down)
		close_link(&l->link, why);
	if (room)
		keep(l, p);
	return !room ? CULVERT_ENOMEM : l->down ? CULVERT_EPROTO : 0;
}

int cv_applink_input(culvert_link *l, const uint8_t *data, size_t len)
{
	int err = l->down ? CULVERT_EPROTO : 0;
	l->reading = true;
	while (len && !err) {
		size_t n = len < PART ? len : PART;
		err = read_some(l, data, n);
		data += n;
		len -= n;
	}
	l->reading = false;
	if (l->gone)
		destroy(l);
	return err;
}

/* as much of what was pulled as there is room for */
static size_t give(struct culvert_link *l, uint8_t *data, size_t size)
{
	size_t done = 0;
	struct cv_buf *b;
	while (done < size && (b = l->out.head)) {
		size_t n = b->len - b->sent;
		if (n > size - done)
			n = size - done;
		memcpy(data + done, cv_buf_data(b) + b->sent, n);
		b->sent += (uint32_t)n;
		done += n;
		if (b->sent == b->len)
			cv_buf_free(&l->link.node->pool, cv_bufq_pop(&l->out));
	}
	return done;
}

size_t cv_applink_output(culvert_link *l, uint8_t *data, size_t size)
{
	struct cv_node *n = l->link.node;
	size_t done = 0, more = 1;
	if (l->down)
		return 0;
	cv_node_writable(n, &l->link);
	while (done < size && more) {
		struct cv_bufq got = { 0 };
		if (!l->out.head)
			cv_node_output(
				n, &l->link, &got, size - done, l->set->now);
		for (struct cv_buf *b; (b = cv_bufq_pop(&got));) {
			cv_record_wrap(b);
			cv_bufq_push(&l->out, b);
		}
		more = give(l, data + done, size - done);
		done += more;
	}
	l->link.blocked = done == size;
	return done;
}
