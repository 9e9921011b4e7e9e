/* SPDX-License-Identifier: MIT */
#include "core/node.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* a flow that was idle this long may give way to a new one */
#define GIVES_WAY CV_SEC(10)

static void on_trim(struct cv_timer *t, cv_time now)
{
	struct cv_node *n = CV_CONTAINER(t, struct cv_node, trim);
	bool more = cv_pool_trim(&n->pool);
	cv_timer_set(&n->timers, t, more ? now + CV_TRIM : CV_NEVER);
}

int cv_node_init(struct cv_node *n, const struct cv_env *env, size_t memory,
	size_t flows)
{
	memset(n, 0, sizeof *n);
	n->env = *env;
	n->max_age = CV_MAX_AGE;
	cv_list_init(&n->sessions);
	cv_list_init(&n->links);
	cv_list_init(&n->dirty_links);
	cv_list_init(&n->dirty_edges);
	cv_list_init(&n->resumed);
	cv_list_init(&n->orphans);
	cv_pool_init(&n->pool, &n->env, memory);
	cv_timers_init(&n->timers, &n->env);
	cv_cookies_init(&n->cookies, &n->env, n->pub);
	n->trim.fire = on_trim;
	env->random(env->user, n->key, sizeof n->key);
	env->random(env->user, &n->instance, sizeof n->instance);
	env->random(env->user, n->pub, sizeof n->pub); /* plain identity */
	n->crypto = n->cookies.crypto = cv_crypto_new();
	if (!n->crypto || cv_flows_init(&n->flows, &n->env, flows) ||
		cv_htab_init(&n->by_index, &n->env) ||
		cv_htab_init(&n->by_hello, &n->env) ||
		cv_htab_init(&n->by_pub, &n->env) ||
		cv_timers_reserve(&n->timers, 1)) {
		cv_node_clear(n);
		return CULVERT_ENOMEM;
	}
	return 0;
}

void cv_node_clear(struct cv_node *n)
{
	cv_node_reap(n, SIZE_MAX, 0);
	while (!cv_list_empty(&n->sessions))
		cv_session_free(
			CV_CONTAINER(n->sessions.next, struct cv_session, all));
	cv_flows_clear(&n->flows);
	cv_htab_clear(&n->by_index);
	cv_htab_clear(&n->by_hello);
	cv_htab_clear(&n->by_pub);
	cv_timers_clear(&n->timers);
	cv_pool_clear(&n->pool);
	cv_crypto_free(n->crypto);
	cv_crypto_wipe(n->priv, CV_KEY);
}

int cv_node_set_key(struct cv_node *n, const uint8_t priv[CV_KEY])
{
	memcpy(n->priv, priv, CV_KEY);
	return cv_crypto_public(n->pub, n->priv);
}

void cv_log(
	struct cv_node *n, enum culvert_log_level level, const char *fmt, ...)
{
	char line[600];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	n->env.log(n->env.user, level, line);
}

struct cv_session *cv_node_find(struct cv_node *n, const uint8_t pub[CV_KEY])
{
	struct cv_hnode *h =
		cv_htab_first(&n->by_pub, cv_siphash(n->key, pub, CV_KEY));
	for (; h; h = cv_htab_next(h)) {
		struct cv_session *s =
			CV_CONTAINER(h, struct cv_session, by_pub);
		if (cv_crypto_equal(s->pub, pub, CV_KEY))
			return s;
	}
	return NULL;
}

uint64_t cv_node_new_index(struct cv_node *n)
{
	uint64_t index;
	do {
		n->env.random(n->env.user, &index, sizeof index);
		index &= (UINT64_C(1) << 40) - 1;
		index |= (uint64_t)n->server << 40;
	} while (cv_htab_first(&n->by_index, index) ||
		 cv_htab_first(&n->by_hello, index));
	return index;
}

void cv_node_dirty(struct cv_node *n, struct cv_link *link)
{
	if (!link->blocked && cv_list_empty(&link->dirty))
		cv_list_append(&n->dirty_links, &link->dirty);
}

void cv_node_edge_dirty(struct cv_node *n, struct cv_edge *edge)
{
	if (cv_list_empty(&edge->dirty))
		cv_list_append(&n->dirty_edges, &edge->dirty);
}

void cv_node_link_up(struct cv_node *n, struct cv_link *link,
	struct cv_session *s, cv_time now)
{
	link->node = n;
	link->up = now;
	cv_list_init(&link->all);
	cv_list_init(&link->dirty);
	cv_list_append(&n->links, &link->all);
	if (s) {
		link->dialled = true;
		cv_session_link_up(s, link, now);
	}
}

void cv_node_link_down(struct cv_node *n, struct cv_link *link, cv_time now)
{
	cv_list_del(&link->all);
	cv_list_del(&link->dirty);
	cv_bufq_clear(&link->replies, &n->pool);
	if (link->path)
		cv_session_link_down(link->session, link->path, now);
	link->session = NULL;
}

void cv_node_writable(struct cv_node *n, struct cv_link *link)
{
	link->blocked = false;
	if (link->path)
		cv_path_unblocked(link->path);
	cv_node_dirty(n, link);
}

static int data_input(struct cv_node *n, struct cv_link *link, uint8_t *p,
	size_t len, cv_time now)
{
	bool plain = p[0] == CV_PACKET_PLAIN_DATA;
	size_t tag = plain ? 0 : CV_TAG;
	if (plain != n->plain)
		return CV_DROP_PLAIN;
	if (len < CV_DATA_HEAD + tag)
		return CV_DROP_MALFORMED;
	struct cv_hnode *h =
		cv_htab_first(&n->by_index, cv_get64(p) & CV_INDEX_MASK);
	if (!h)
		return CV_DROP_UNKNOWN_INDEX;
	struct cv_keys *k = CV_CONTAINER(h, struct cv_keys, by_index);
	uint64_t number = cv_get64(p + 8);
	size_t body = len - CV_DATA_HEAD - tag;

	if (now - k->born >= CV_REJECT_AFTER_TIME)
		return CV_DROP_UNKNOWN_INDEX;
	/* a link belongs to the first session that proved itself on it */
	if (link->session && link->session != k->session)
		return CV_DROP_STRANGER;
	if (number >= CV_REJECT_AFTER_MESSAGES)
		return CV_DROP_REPLAYED;
	if (k->rx && cv_aead_open(k->rx, number, CV_NO_BYTES, p + CV_DATA_HEAD,
			     body))
		return CV_DROP_FORGED;
	if (!cv_replay_check(&k->replay, number))
		return CV_DROP_REPLAYED;
	int r = cv_session_input(k, link, p + CV_DATA_HEAD, body, now);
	if (r == CULVERT_EREFUSED) { /* CLOSE: an orderly goodbye */
		link->ops->close(link, "the peer said goodbye");
		return 0;
	}
	return r ? CV_DROP_MALFORMED : 0;
}

static int dispatch(struct cv_node *n, struct cv_link *link, uint8_t *p,
	size_t len, cv_time now)
{
	if (len < CV_DATA_HEAD)
		return CV_DROP_MALFORMED;
	switch (p[0]) {
	case CV_PACKET_DATA:
	case CV_PACKET_PLAIN_DATA:
		return data_input(n, link, p, len, now);
	case CV_PACKET_INIT:
	case CV_PACKET_PLAIN_INIT:
		return cv_handshake_init(n, link, p, len, now);
	case CV_PACKET_RESPONSE:
	case CV_PACKET_PLAIN_RESPONSE:
		return cv_handshake_response(n, link, p, len, now);
	case CV_PACKET_COOKIE:
		return cv_handshake_cookie(n, link, p, len, now);
	default:
		return CV_DROP_MALFORMED;
	}
}

int cv_node_input(struct cv_node *n, struct cv_link *link, uint8_t *p,
	size_t len, cv_time now)
{
	n->stats.rx_packets++;
	n->stats.rx_bytes += len;
	int drop = dispatch(n, link, p, len, now);
	if (drop)
		n->stats.drop[drop]++;
	return drop;
}

struct cv_edge *cv_node_out(
	const struct cv_node *n, const char *target, size_t len)
{
	for (unsigned i = 0; i < CV_OUTS && n->out[i]; i++) {
		const char *scheme = n->out[i]->ops->name;
		size_t size = strlen(scheme);
		if (len > size && !memcmp(target, scheme, size) &&
			target[size] == ':')
			return n->out[i];
	}
	return n->out[0];
}

void cv_node_input_done(struct cv_node *n)
{
	while (!cv_list_empty(&n->dirty_edges)) {
		struct cv_edge *e = CV_CONTAINER(
			n->dirty_edges.next, struct cv_edge, dirty);
		cv_list_del(&e->dirty);
		e->ops->flush(e);
	}
}

void cv_node_output(struct cv_node *n, struct cv_link *link,
	struct cv_bufq *out, size_t bytes, cv_time now)
{
	struct cv_buf *b;
	while (out->count < CV_OUT_BUFS && out->bytes < bytes) {
		b = cv_bufq_pop(&link->replies);
		if (!b && link->path)
			b = cv_session_output(link->path, now);
		if (!b)
			break;
		n->stats.tx_packets++;
		n->stats.tx_bytes += b->len;
		cv_bufq_push(out, b);
	}
}

static void flush(struct cv_link *link, cv_time now)
{
	struct cv_path *p = link->path;
	cv_list_del(&link->dirty);
	link->ops->flush(link, now);
	/* what it did not take is another's */
	if (link->blocked && p && p == link->session->turn)
		cv_session_wake(link->session, now);
}

void cv_node_flush(struct cv_node *n, cv_time now)
{
	while (!cv_list_empty(&n->dirty_links))
		flush(CV_CONTAINER(n->dirty_links.next, struct cv_link, dirty),
			now);
	while (!cv_list_empty(&n->resumed)) {
		struct cv_waiter *w =
			CV_CONTAINER(n->resumed.next, struct cv_waiter, list);
		cv_list_del(&w->list);
		w->resume(w);
	}
}

bool cv_node_stirred(const struct cv_node *n)
{
	return !cv_list_empty(&n->dirty_edges) ||
	       !cv_list_empty(&n->dirty_links);
}

void cv_node_drain(struct cv_node *n)
{
	n->draining = true;
	for (struct cv_list *l = n->sessions.next; l != &n->sessions;
		l = l->next)
		cv_session_goodbye(CV_CONTAINER(l, struct cv_session, all));
}

bool cv_node_drained(const struct cv_node *n)
{
	if (n->backlog)
		return false;
	for (const struct cv_list *l = n->sessions.next; l != &n->sessions;
		l = l->next) {
		struct cv_session *s = CV_CONTAINER(l, struct cv_session, all);
		if (cv_session_up(s) && !cv_session_drained(s))
			return false;
	}
	return true;
}

cv_time cv_node_deadline(const struct cv_node *n)
{
	if (!cv_list_empty(&n->orphans))
		return 0;
	return cv_earlier(
		cv_timers_next(&n->timers), cv_flows_deadline(&n->flows));
}

void cv_node_reap(struct cv_node *n, size_t max, cv_time now)
{
	for (; max && !cv_list_empty(&n->orphans); max--)
		cv_flow_close(n,
			CV_CONTAINER(n->orphans.next, struct cv_flow, peers),
			NULL, CV_RESET_DONE, now);
}

void cv_node_tick(struct cv_node *n, cv_time now)
{
	cv_timers_run(&n->timers, now);
	if (n->pool.nlarge && !n->trim.place)
		cv_timer_set(&n->timers, &n->trim, now + CV_TRIM);
	struct cv_flow *f;
	for (int i = 0;
		i < CV_CLOSES_TURN && (f = cv_flows_expired(&n->flows, now));
		i++)
		cv_flow_close(n, f, NULL, CV_RESET_DONE, now);
	cv_node_reap(n, CV_CLOSES_TURN, now);
}

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

static void open_in_session(
	struct cv_node *n, struct cv_flow *f, struct cv_session *s)
{
	cv_flow_set_id(&n->flows, f, 1, s, s->next_id++ << 1);
	cv_session_own(s, f);
	f->state = CV_FLOW_OPENING;
	f->epoch = s->epoch - 1;
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
	struct cv_flow *f = cv_node_flow(n, CV_KIND_DGRAM, &o->src, now);
	if (!f)
		return NULL;
	cv_flow_set_addr(&n->flows, f, o->edge, &o->src, &o->dst);
	f->target = o->target;
	if (o->session) {
		open_in_session(n, f, o->session);
	} else if (open_on_edge(f, o->far, now) < 0) {
		cv_flow_free(&n->flows, f);
		return NULL;
	}
	return f;
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

void cv_flow_refused(struct cv_node *n, struct cv_end *e, int err, cv_time now)
{
	e->edge = NULL; /* it never opened there */
	cv_flow_close(n, cv_end_flow(e), NULL, cv_reset_of(err), now);
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
