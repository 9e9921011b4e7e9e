/* SPDX-License-Identifier: MIT */
#include "core/node.h"
#include "core/transport.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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
	cv_list_init(&n->hungry);
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

/*
 * On a port: the link of the session whose packet this is, which may have come
 * from another address than before; a link is made for who has none.
 */
static struct cv_link *link_of(struct cv_keys *k, struct cv_link *link,
	const struct cv_packet *packet, cv_time now)
{
	if (!(link->ops->flags & CV_LINK_PORT))
		return link;
	struct cv_session *s = k->session;
	struct cv_path *p = cv_path_on(s, link);
	if (!p) /* who dials does so again: this is from before a goodbye */
		return s->dials && k->confirmed && k != s->next
			       ? NULL
			       : link->ops->adopt(link);
	size_t around = CV_DATA_HEAD + (k->rx ? (size_t)CV_TAG : 0);
	struct cv_arrival a = { packet->len + around, packet->newest,
		k == s->next && cv_addr_equal(&k->from, &link->remote) };
	if (p->link->ops->heard)
		p->link->ops->heard(p->link, link, now);
	else
		cv_roam_arrived(p, link, &a, now);
	return p->link;
}

static int session_input(struct cv_keys *k, struct cv_link *link,
	const struct cv_packet *packet, cv_time now)
{
	link = link_of(k, link, packet, now);
	if (!link)
		return CV_DROP_NO_BUFFER;
	int r = cv_session_input(k, link, packet, now);
	if (r == CULVERT_EREFUSED) /* CLOSE: an orderly goodbye */
		link->ops->close(link, "the peer said goodbye");
	else if (link->port && !link->path) /* it may not join */
		link->ops->close(link, "not of this session");
	return r && r != CULVERT_EREFUSED ? CV_DROP_MALFORMED : 0;
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
	struct cv_packet packet = { number, p + CV_DATA_HEAD, body,
		k->replay.max == number + 1 };
	return session_input(k, link, &packet, now);
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

bool cv_node_expects(struct cv_node *n, const struct cv_link *port,
	const uint8_t *p, size_t len)
{
	struct cv_session *s = NULL;
	struct cv_hnode *h;
	uint64_t index = len < CV_DATA_HEAD ? 0 : cv_get64(p) & CV_INDEX_MASK;
	if ((h = cv_htab_first(&n->by_index, index)))
		s = CV_CONTAINER(h, struct cv_keys, by_index)->session;
	else if ((h = cv_htab_first(&n->by_hello, index)))
		s = CV_CONTAINER(h, struct cv_session, hs_by_index);
	return s && cv_path_on(s, port);
}

struct cv_edge *cv_node_out(const struct cv_node *n, enum cv_kind kind,
	const char *target, size_t len)
{
	struct cv_edge *first = kind == CV_KIND_STREAM ? NULL : n->out[0];
	for (unsigned i = 0; i < CV_OUTS && n->out[i]; i++) {
		const char *scheme = n->out[i]->ops->name;
		size_t size = strlen(scheme);
		if (len > size && !memcmp(target, scheme, size) &&
			target[size] == ':')
			return n->out[i];
		if (!first && n->out[i]->ops->stream)
			first = n->out[i];
	}
	return first;
}

void cv_node_input_done(struct cv_node *n)
{
	while (!cv_list_empty(&n->dirty_edges)) {
		struct cv_edge *e = CV_CONTAINER(
			n->dirty_edges.next, struct cv_edge, dirty);
		cv_list_del(&e->dirty);
		e->ops->flush(e);
	}
	cv_bufq_clear(&n->spent, &n->pool);
	cv_bufq_clear(&n->wholes, &n->pool);
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

bool cv_node_output_train(struct cv_node *n, struct cv_link *link,
	struct cv_train *out, cv_time now)
{
	*out = (struct cv_train){ 0 };
	if (!link->path || !cv_session_train(link->path, out, now))
		return false;
	n->stats.tx_packets += (out->buf->len + out->seg - 1) / out->seg;
	n->stats.tx_bytes += out->buf->len;
	return true;
}

void cv_node_too_big(
	struct cv_node *n, struct cv_link *link, size_t size, cv_time now)
{
	struct cv_transport *t = link->path ? link->session->transport : NULL;
	(void)n;
	if (!t || t->path != link->path)
		return;
	cv_pmtud_refused(&t->pmtud, (uint32_t)size, now);
	cv_transport_resized(t, now);
}

void cv_node_rerouted(struct cv_node *n, struct cv_link *link, cv_time now)
{
	struct cv_transport *t = link->path ? link->session->transport : NULL;
	(void)n;
	if (t && t->path == link->path)
		cv_transport_moved(t, false, now);
}

void cv_node_moved(struct cv_node *n, cv_time now)
{
	for (struct cv_list *l = n->sessions.next; l != &n->sessions;
		l = l->next) {
		struct cv_session *s = CV_CONTAINER(l, struct cv_session, all);
		struct cv_transport *t = s->transport;
		if (t && t->path && t->path->link->dialled)
			cv_transport_ping(t, true, now);
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

static void flush_links(struct cv_node *n, cv_time now)
{
	while (!cv_list_empty(&n->dirty_links))
		flush(CV_CONTAINER(n->dirty_links.next, struct cv_link, dirty),
			now);
}

/* those that wait now; who has to wait again is for the next time */
static void resume(struct cv_node *n)
{
	struct cv_list now;
	cv_list_init(&now);
	while (!cv_list_empty(&n->resumed))
		cv_list_append(&now, n->resumed.next);
	while (!cv_list_empty(&now)) {
		struct cv_waiter *w =
			CV_CONTAINER(now.next, struct cv_waiter, list);
		cv_list_del(&w->list);
		w->resume(w);
	}
}

void cv_node_flush(struct cv_node *n, cv_time now)
{
	flush_links(n, now);
	/* who had no memory for what waits outside */
	while (!cv_list_empty(&n->hungry) && !cv_pool_scarce(&n->pool))
		cv_list_append(&n->resumed, n->hungry.next);
	/* what waited outside for room may have filled it at once */
	for (int i = 0; i < CV_RESUMES_TURN && !cv_list_empty(&n->resumed);
		i++) {
		resume(n);
		flush_links(n, now);
	}
}

bool cv_node_stirred(const struct cv_node *n)
{
	return !cv_list_empty(&n->dirty_edges) ||
	       !cv_list_empty(&n->dirty_links) ||
	       (!cv_list_empty(&n->hungry) && !cv_pool_scarce(&n->pool));
}

void cv_node_drain(struct cv_node *n)
{
	n->stopping = n->draining = true;
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
