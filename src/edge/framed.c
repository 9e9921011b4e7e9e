/* SPDX-License-Identifier: MIT */
#include "edge/framed.h"

#include <string.h>
#include <sys/socket.h>

/* of a frame that may always wait for its rest; who sends halves of longer ones
   over many connections must not have the memory of all */
enum { LITTLE = 2048 };

static struct cv_framed *framed_of(struct cv_conn *s)
{
	return CV_CONTAINER(s, struct cv_framed, conn);
}

static struct cv_node *node_of(const struct cv_framed *c)
{
	return &c->set->loop->node;
}

static void expire(struct cv_framed *c, cv_time now)
{
	struct cv_node *n = node_of(c);
	cv_time age = n->max_age;
	if (c->up)
		cv_frameq_expire(&c->conn.out, &n->pool,
			now > age ? now - age : 0, n->stats.drop);
	else
		cv_frameq_trim_held(&c->held, &n->pool, now, n->stats.drop);
}

static void is_fast(struct cv_framed *c)
{
	struct cv_node *n = node_of(c);
	if (cv_list_empty(&c->slow))
		return;
	cv_list_del(&c->slow);
	n->backlog -= c->up;
	while (!cv_list_empty(&c->waiters))
		cv_list_append(&n->resumed, c->waiters.next);
}

/* datagrams that nothing follows age as well, and give their memory back */
static void on_age(struct ev_loop *ev, ev_timer *w, int events)
{
	struct cv_framed_set *set = w->data;
	struct cv_list *l = set->slow.next, *next;
	cv_time now = cv_now();
	(void)events;
	for (; l != &set->slow; l = next) {
		struct cv_framed *c = CV_CONTAINER(l, struct cv_framed, slow);
		next = l->next;
		expire(c, now);
		if (!c->up && !c->held.head)
			is_fast(c);
	}
	if (cv_list_empty(&set->slow))
		ev_timer_stop(ev, w);
}

static void is_slow(struct cv_framed *c)
{
	struct cv_framed_set *set = c->set;
	if (!cv_list_empty(&c->slow))
		return;
	cv_list_append(&set->slow, &c->slow);
	node_of(c)->backlog += c->up;
	if (ev_is_active(&set->age))
		return;
	set->age.repeat = (double)node_of(c)->max_age / 1e6;
	ev_timer_again(set->loop->ev, &set->age);
}

static void fill(struct cv_conn *s, size_t bytes, cv_time now)
{
	(void)bytes; /* the stream writes from the queue itself */
	expire(framed_of(s), now);
}

static void count_too_big(struct cv_framed *c, uint64_t before)
{
	node_of(c)->stats.drop[CV_DROP_TOO_BIG] += c->framing.too_big - before;
}

static void deliver(struct cv_framed *c, struct cv_frame *train, cv_time now)
{
	struct cv_stats *st = &node_of(c)->stats;
	st->rx_dgrams += cv_frame_count(train);
	st->rx_dgram_bytes += train->len;
	cv_flow_send(node_of(c), c->end, train, now);
}

static const char *refuse(
	struct cv_framed *c, enum cv_drop drop, const char *why)
{
	c->refused = true;
	node_of(c)->stats.drop[drop]++;
	return why;
}

static const char *input(struct cv_conn *s, uint8_t **p, uint8_t *end)
{
	struct cv_framed *c = framed_of(s);
	struct cv_frame train;
	const char *why = NULL;
	cv_time now = cv_now();
	uint64_t too_big = c->framing.too_big;
	int r = 1;
	while (!s->closed && !cv_conn_time_up(s, now)) {
		r = cv_framing_next(&c->framing, p, end, &train, &why);
		if (r <= 0)
			break;
		deliver(c, &train, now);
		now = cv_now();
	}
	count_too_big(c, too_big);
	if (r < 0)
		return refuse(c, CV_DROP_MALFORMED, why);
	if (!r && end - *p > LITTLE && cv_pool_scarce(&node_of(c)->pool))
		return refuse(c, CV_DROP_FLOOD,
			"half of a long frame, and memory is scarce");
	return NULL;
}

static void writable(struct cv_conn *s)
{
	is_fast(framed_of(s));
}

static void ended(struct cv_conn *s, const char *why)
{
	struct cv_framed *c = framed_of(s);
	c->set->lost(c, why);
	cv_framed_down(c);
}

static void gone(struct cv_conn *s)
{
	struct cv_framed *c = framed_of(s);
	c->set->gone(c);
}

static const struct cv_conn_ops conn_ops = {
	.fill = fill,
	.input = input,
	.writable = writable,
	.ended = ended,
	.gone = gone,
};

void cv_framed_set_init(
	struct cv_framed_set *set, struct cv_loop *loop, const char *scheme)
{
	memset(set, 0, sizeof *set);
	set->loop = loop;
	set->led = cv_framing_of(scheme) == CV_FRAMING_LED;
	set->edge.node = &loop->node;
	cv_list_init(&set->edge.dirty);
	cv_list_init(&set->all);
	cv_list_init(&set->dirty);
	cv_list_init(&set->slow);
	ev_timer_init(&set->age, on_age, 0., 0.);
	set->age.data = set;
}

void cv_framed_set_clear(struct cv_framed_set *set)
{
	while (!cv_list_empty(&set->all))
		cv_framed_end_flow(
			CV_CONTAINER(set->all.next, struct cv_framed, all),
			cv_now());
	ev_timer_stop(set->loop->ev, &set->age);
	cv_list_del(&set->edge.dirty);
}

void cv_framed_init(
	struct cv_framed *c, struct cv_framed_set *set, struct cv_end *end)
{
	memset(c, 0, sizeof *c);
	c->set = set;
	c->end = end;
	end->ctx = c;
	cv_list_init(&c->all);
	cv_list_init(&c->dirty);
	cv_list_init(&c->slow);
	cv_list_init(&c->waiters);
	cv_list_append(&set->all, &c->all);
}

static enum cv_framing_start start_of(const struct cv_framed_set *set)
{
	if (set->dials)
		return CV_FRAMING_BARE;
	return set->led ? CV_FRAMING_LED : CV_FRAMING_GUARDED;
}

void cv_framed_up(struct cv_framed *c, int fd, cv_time now)
{
	expire(c, now);
	is_fast(c);
	c->up = true;
	node_of(c)->foreign++;
	c->begun = false;
	c->framing = (struct cv_framing){ .start = start_of(c->set) };
	cv_conn_start(&c->conn, c->set->loop, fd, &conn_ops);
	c->conn.out = c->held;
	c->held = (struct cv_bufq){ 0 };
	cv_frameq_restamp(&c->conn.out, now);
	cv_list_append(&c->set->dirty, &c->dirty);
	cv_framed_flush(&c->set->edge);
}

void cv_framed_down(struct cv_framed *c)
{
	is_fast(c);
	cv_list_del(&c->dirty);
	c->up = false;
	node_of(c)->foreign--;
	cv_conn_close(&c->conn);
}

void cv_framed_end_flow(struct cv_framed *c, cv_time now)
{
	cv_flow_close(
		node_of(c), cv_end_flow(c->end), NULL, CV_RESET_DONE, now);
}

void cv_framed_clear(struct cv_framed *c)
{
	is_fast(c);
	for (struct cv_buf *b; (b = cv_bufq_pop(&c->held));) {
		node_of(c)->stats.drop[CV_DROP_NO_SESSION] += b->dgrams;
		cv_buf_free(&node_of(c)->pool, b);
	}
	cv_list_del(&c->all);
}

/* what rfc1036's server resets the connection for */
static bool too_long_at_first(
	const struct cv_framed *c, const struct cv_frame *train)
{
	return c->set->led && c->set->dials && !c->begun &&
	       train->seg > CV_FRAMING_FIRST;
}

static uint64_t queue(
	struct cv_framed *c, const struct cv_frame *train, cv_time now)
{
	struct cv_pool *pool = &node_of(c)->pool;
	if (!c->up)
		return cv_frameq_put(
			&c->held, pool, train, CV_FRAMEQ_HELD, now);
	return cv_frameq_put(&c->conn.out, pool, train,
		c->conn.blocked ? CV_FRAMEQ_BLOCKED : CV_FRAMEQ_FLOWS, now);
}

int cv_framed_dgram(struct cv_edge *edge, struct cv_end *end,
	const struct cv_frame *train, cv_time now)
{
	struct cv_framed *c = end->ctx;
	struct cv_stats *st = &edge->node->stats;
	uint64_t n = cv_frame_count(train);
	st->tx_dgrams += n;
	st->tx_dgram_bytes += train->len;
	if (too_long_at_first(c, train)) {
		st->drop[CV_DROP_TOO_BIG] += n;
		return 0;
	}
	st->drop[CV_DROP_NO_BUFFER] += queue(c, train, now);
	if (c->up && !c->conn.blocked) {
		cv_list_append(&c->set->dirty, &c->dirty);
		cv_node_edge_dirty(edge->node, edge);
		return 0;
	}
	is_slow(c);
	expire(c, now);
	if (!c->up && c->set->wanted)
		c->set->wanted(c, now);
	return 1;
}

void cv_framed_flush(struct cv_edge *edge)
{
	struct cv_framed_set *set =
		CV_CONTAINER(edge, struct cv_framed_set, edge);
	cv_time now = cv_now();
	while (!cv_list_empty(&set->dirty)) {
		struct cv_framed *c =
			CV_CONTAINER(set->dirty.next, struct cv_framed, dirty);
		cv_list_del(&c->dirty);
		if (c->conn.blocked)
			continue;
		c->begun |= c->conn.out.head != NULL;
		cv_conn_flush(&c->conn, now);
		if (c->conn.blocked)
			is_slow(c);
	}
}

void cv_framed_wait(
	struct cv_edge *edge, struct cv_end *end, struct cv_waiter *w)
{
	struct cv_framed *c = end->ctx;
	(void)edge;
	cv_list_append(&c->waiters, &w->list);
}
