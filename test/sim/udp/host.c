/* SPDX-License-Identifier: MIT */
#include "sim/udp/host.h"

#include "sim/udp/chat.h"
#include "sim/udp/cut.h"
#include "sim/udp/net.h"
#include "sim/udp/talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPINS = 200 }; /* ticks that follow each other at once: a livelock */

/** struct udp - a link, as link_udp.c has them */
struct udp {
	struct cv_link link;
	struct host *h;
	struct cv_list all;
	struct cv_train kept; /* the socket did not take it */
	struct event writable;
};

static const struct cv_link_ops link_ops;

cv_time host_now(const struct host *h)
{
	return h->w->now + h->offset;
}

static void *env_alloc(void *user, size_t size)
{
	struct host *h = user;
	h->allocated += size;
	return calloc(1, size);
}

static void env_free(void *user, void *ptr, size_t size)
{
	struct host *h = user;
	if (h->allocated < size)
		broken(h->w, "more memory given back than taken");
	h->allocated -= size;
	free(ptr);
}

static void env_random(void *user, void *out, size_t len)
{
	struct host *h = user;
	for (uint8_t *p = out; len; p++, len--)
		*p = (uint8_t)(rng_next(&h->rng) >> 32);
}

static void env_log(void *user, enum culvert_log_level level, const char *line)
{
	struct host *h = user;
	say(h->w, "host%u log%d %s", h->no, (int)level, line);
}

static void env_trace(void *user, const char *line)
{
	struct host *h = user;
	say(h->w, "host%u trace %s", h->no, line);
}

static bool wanted(const struct host *h)
{
	const struct cv_session *s = h->session;
	return h->running && s && s->links < cv_session_wants(s) &&
	       !s->path[0].link;
}

static void env_dial(void *user, struct cv_session *s)
{
	struct host *h = user;
	if (h->stopping || !h->no || !wanted(h))
		return;
	cv_time wait =
		cv_backoff_kicked(&h->backoff, s->path[0].failures, h->w->now);
	if (!h->dial.place || h->dial.when > h->w->now + wait)
		event_set(h->w, &h->dial, h->w->now + wait);
}

/* --- packets out --- */

static void keep(struct udp *u, const struct cv_train *t)
{
	struct world *w = u->h->w;
	u->kept = *t;
	u->link.blocked = true;
	w->faults[FAULT_FULL]++;
	event_set(w, &u->writable, w->now + spread(&w->rng, 20, CV_MS(5)));
}

/* false: the socket takes no more */
static bool send_train(struct udp *u, struct cv_train *t, cv_time now)
{
	struct host *h = u->h;
	struct world *w = h->w;
	struct cv_buf *b = t->buf;
	uint32_t around = w->cfg.v6 ? 48 : 28;
	while (b->len) {
		uint32_t n = b->len < t->seg ? b->len : t->seg;
		if (w->cfg.on[FAULT_FULL] && chance(&w->rng, 1)) {
			keep(u, t);
			return false;
		}
		if (n + around > w->cfg.most) {
			w->faults[FAULT_TOO_BIG]++;
			w->tally.lost += net_dgrams(h, cv_buf_data(b), n);
			cv_node_too_big(&h->node, &u->link, n + around, now);
		} else {
			net_send(h, &t->to, cv_buf_data(b), n);
		}
		b->off += n;
		b->len -= n;
	}
	cv_buf_free(&h->node.pool, b);
	return true;
}

static void flush(struct cv_link *link, cv_time now)
{
	struct udp *u = CV_CONTAINER(link, struct udp, link);
	struct cv_train t = u->kept;
	u->kept.buf = NULL;
	if (t.buf && !send_train(u, &t, now))
		return;
	while (cv_node_output_train(&u->h->node, link, &t, now)) {
		if (!t.buf->len || !t.seg) {
			broken(u->h->w, "an empty train");
			return;
		}
		if (!send_train(u, &t, now))
			return;
	}
}

static void on_writable(struct event *e)
{
	struct udp *u = CV_CONTAINER(e, struct udp, writable);
	cv_node_writable(&u->h->node, &u->link);
	host_turn(u->h);
}

static void answer(struct cv_link *link, cv_time now)
{
	struct host *h = CV_CONTAINER(link, struct host, port);
	struct cv_bufq got = { 0 };
	cv_node_output(&h->node, link, &got, CV_OUT_BYTES, now);
	for (struct cv_buf *b; (b = cv_bufq_pop(&got));) {
		net_send(h, &link->remote, cv_buf_data(b), b->len);
		cv_buf_free(&h->node.pool, b);
	}
	cv_list_del(&link->dirty);
}

/* --- links --- */

static uint64_t lost_in(struct host *h, const struct cv_train *t)
{
	uint8_t *p = cv_buf_data(t->buf);
	uint64_t sum = 0;
	for (uint32_t left = t->buf->len, n; left; left -= n, p += n) {
		n = left < t->seg ? left : t->seg;
		sum += net_dgrams(h, p, n);
	}
	return sum;
}

static void close_link(struct cv_link *link, const char *why)
{
	struct udp *u = CV_CONTAINER(link, struct udp, link);
	struct host *h = u->h;
	say(h->w, "host%u link down: %s", h->no, why);
	cv_list_del(&u->all);
	event_set(h->w, &u->writable, CV_NEVER);
	if (u->kept.buf) {
		h->w->tally.lost += lost_in(h, &u->kept);
		cv_buf_free(&h->node.pool, u->kept.buf);
	}
	cv_node_link_down(&h->node, link, host_now(h));
	free(u);
}

static void close_port(struct cv_link *link, const char *why)
{
	struct host *h = CV_CONTAINER(link, struct host, port);
	while (!cv_list_empty(&h->links)) {
		struct udp *u = CV_CONTAINER(h->links.next, struct udp, all);
		close_link(&u->link, why);
	}
}

static struct udp *link_new(struct host *h, const struct cv_addr *remote)
{
	struct udp *u = calloc(1, sizeof *u);
	if (!u)
		abort();
	u->h = h;
	u->link.ops = &link_ops;
	u->link.port = &h->port;
	u->link.remote = *remote;
	u->link.mtu = h->w->cfg.device;
	u->link.cc = (uint8_t)h->w->cfg.cc;
	u->writable.fire = on_writable;
	cv_list_init(&u->all);
	cv_list_append(&h->links, &u->all);
	return u;
}

static struct cv_link *adopt(struct cv_link *link)
{
	struct host *h = CV_CONTAINER(link, struct host, port);
	struct udp *u = link_new(h, &link->remote);
	u->link.local = link->local;
	cv_node_link_up(&h->node, &u->link, NULL, host_now(h));
	return &u->link;
}

static const struct cv_link_ops link_ops = {
	.name = "udp",
	.flush = flush,
	.close = close_link,
};

static const struct cv_link_ops port_ops = {
	.name = "udp",
	.flags = CV_LINK_PORT,
	.flush = answer,
	.close = close_port,
	.adopt = adopt,
};

static void on_dial(struct event *e)
{
	struct host *h = CV_CONTAINER(e, struct host, dial);
	if (!wanted(h))
		return;
	cv_backoff_began(&h->backoff, h->w->now);
	struct udp *u = link_new(h, &h->w->host[0]->at);
	cv_node_link_up(&h->node, &u->link, h->session, host_now(h));
	host_turn(h);
}

/* --- packets in --- */

static void packet(struct host *h, struct packet *k)
{
	cv_time now = host_now(h);
	h->port.remote = k->from;
	h->port.local = (struct cv_addr){ 0 };
	int drop = cv_node_input(&h->node, &h->port, k->bytes, k->len, now);
	if (drop) {
		say(h->w, "host%u dropped a packet: %s", h->no,
			cv_drop_name((enum cv_drop)drop));
		h->packet_drops[drop]++;
		h->w->tally.lost += k->dgrams;
	} else {
		cut_taken(h->w, k->sender, k->bytes, k->len);
	}
	if (h->port.replies.head)
		answer(&h->port, now);
}

static void on_read(struct event *e)
{
	struct host *h = CV_CONTAINER(e, struct host, read);
	struct packet *all = h->first, *next;
	h->first = h->last = NULL;
	h->waiting = 0;
	for (struct packet *k = all; k; k = k->next)
		packet(h, k);
	/* edges write what lies in these packets */
	cv_node_input_done(&h->node);
	for (; all; all = next) {
		next = all->next;
		memset(all->bytes, 0xdb, all->len < 64 ? all->len : 64);
		free(all);
	}
	host_turn(h);
}

void host_hears(struct host *h, struct packet *k)
{
	struct world *w = h->w;
	k->next = NULL;
	if (h->last)
		h->last->next = k;
	else
		h->first = k;
	h->last = k;
	if (++h->waiting == BATCH)
		event_set(w, &h->read, w->now);
	else if (!h->read.place)
		event_set(w, &h->read, w->now + below(&w->rng, w->cfg.nap));
}

/* --- its life --- */

void host_turn(struct host *h)
{
	struct cv_node *n = &h->node;
	if (!h->running || h->w->failed)
		return;
	if (!cv_list_empty(&n->dirty_edges))
		cv_node_input_done(n);
	if (!cv_list_empty(&n->dirty_links) || !cv_list_empty(&n->resumed))
		cv_node_flush(n, host_now(h));
	cv_time t = cv_node_deadline(n);
	if (t != CV_NEVER)
		t = t > h->offset ? t - h->offset : h->w->now;
	if (t < h->w->now)
		t = h->w->now;
	event_set(h->w, &h->tick, t);
}

static void on_tick(struct event *e)
{
	struct host *h = CV_CONTAINER(e, struct host, tick);
	struct world *w = h->w;
	size_t flows = h->node.flows.count;
	cv_node_tick(&h->node, host_now(h));
	cv_node_input_done(&h->node);
	if (cv_node_deadline(&h->node) <= host_now(h) &&
		h->node.flows.count >= flows)
		broken(w, "host %u: the deadline is not in the future", h->no);
	h->spins = w->now - h->ticked <= 2 ? h->spins + 1 : 0;
	h->ticked = w->now;
	if (h->spins > SPINS)
		broken(w, "host %u: its timer spins", h->no);
	host_turn(h);
}

static void add_session(struct host *h, struct host *peer)
{
	struct world *w = h->w;
	uint8_t pub[CV_KEY];
	if (w->cfg.plain)
		env_random(h, pub, sizeof pub);
	else
		cv_crypto_public(pub, peer->priv);
	struct cv_session *s = cv_session_new(&h->node, pub, w->cfg.plain);
	if (!s)
		abort();
	snprintf(s->name, sizeof s->name, "host%u", peer->no);
	if (w->cfg.psk)
		memset(s->psk, 0x5a + (int)(h->no + peer->no), CV_KEY);
	s->dials = h->no != 0;
	if (s->dials)
		s->allowed = 1;
	if (h->no)
		h->session = s;
}

static void start_node(struct host *h)
{
	struct world *w = h->w;
	struct cv_node *n = &h->node;
	h->offset = spread(&w->rng, CV_SEC(1), CV_SEC(1) << 20);
	h->env = (struct cv_env){
		.alloc = env_alloc,
		.free = env_free,
		.random = env_random,
		.log = env_log,
		.trace = verbose ? env_trace : NULL,
		.dial = env_dial,
		.wall = CV_SEC(1700000000) - h->offset,
		.user = h,
	};
	if (cv_node_init(n, &h->env, w->cfg.memory, 1000))
		abort();
	n->began = host_now(h);
	n->plain = w->cfg.plain;
	n->max_age = CV_MAX_AGE;
	n->accepts = h->no == 0;
	n->flows.idle = CV_FLOW_IDLE;
	if (!w->cfg.plain && cv_node_set_key(n, h->priv))
		abort();
	h->port = (struct cv_link){ .ops = &port_ops, .node = n };
	h->port.up = host_now(h);
	cv_list_init(&h->port.all);
	cv_list_init(&h->port.dirty);
	memset(h->packet_drops, 0, sizeof h->packet_drops);
}

static void tell_stream(struct host *h, const struct cv_flow *f)
{
	const struct cv_stream *st = f->stream;
	if (!st)
		return;
	say(h->w,
		"  stream %llu state %u: acked %llu sent %llu of %llu, "
		"limit %llu, %u lost; handed on %llu, taken %llu, limit "
		"%llu, end %lld%s%s%s",
		(unsigned long long)st->end->id, f->state,
		(unsigned long long)st->tx.base,
		(unsigned long long)st->tx.next, (unsigned long long)st->tx.end,
		(unsigned long long)st->tx.limit, (unsigned)st->tx.lost.count,
		(unsigned long long)st->rx.next,
		(unsigned long long)st->rx.taken,
		(unsigned long long)st->rx.limit, (long long)st->rx.final,
		st->stalled ? " stalled" : "", st->starved ? " starved" : "",
		st->tell ? " tell" : "");
}

void host_tell(const struct host *h)
{
	const struct cv_list *all = &h->node.sessions;
	struct host *me = h->w->host[h->no];
	for (struct cv_list *l = all->next; h->running && l != all;
		l = l->next) {
		struct cv_session *s = CV_CONTAINER(l, struct cv_session, all);
		const struct cv_transport *t = s->transport;
		say(h->w,
			"host%u: %u links, %u ready, up %d, ctl %u, txq %u, "
			"hs %llu",
			h->no, s->links, s->ready, cv_session_up(s),
			s->ctl.count, s->txq.q.count,
			(unsigned long long)s->hs_sent);
		for (struct cv_list *k = s->flows.next; k != &s->flows;
			k = k->next)
			tell_stream(me, CV_CONTAINER(k, struct cv_flow, peers));
		if (!t)
			continue;
		say(h->w,
			"  path %d%s mtu %u, inflight %llu of %u, %u flying, "
			"%llu-%llu, parts %llu-%llu, probes %u/%u%s%s%s",
			t->path != NULL,
			t->path && t->path->link->blocked ? " blocked" : "",
			t->pmtud.mtu, (unsigned long long)t->flights.inflight,
			(unsigned)t->cc.cwnd, t->flights.flying,
			(unsigned long long)t->flights.first,
			(unsigned long long)t->flights.next,
			(unsigned long long)t->flights.first_part,
			(unsigned long long)t->flights.next_part, t->probes,
			t->loss.probes, t->ping ? " ping" : "",
			cv_list_empty(&t->turns) ? "" : " turns",
			t->path && t->path->roam.pending ? " pending" : "");
		say(h->w, "  tx %llu of %llu, rx %llu of %llu, untold %llu",
			(unsigned long long)t->tx_out,
			(unsigned long long)t->tx_window,
			(unsigned long long)t->rx_out,
			(unsigned long long)t->rx_window,
			(unsigned long long)t->untold);
	}
}

unsigned host_target(const char *target, size_t len)
{
	unsigned n = 0;
	for (size_t i = 5; i < len; i++)
		n = 10 * n + (unsigned)(target[i] - '0');
	return n;
}

static void add_edge(struct host *h, struct cv_edge *e,
	const struct cv_edge_ops *ops, unsigned place)
{
	*e = (struct cv_edge){ .ops = ops, .node = &h->node };
	cv_list_init(&e->dirty);
	if (!h->no)
		h->node.out[place] = e;
}

void host_start(struct host *h)
{
	struct world *w = h->w;
	say(w, "host%u starts", h->no);
	start_node(h);
	h->running = true;
	h->lives++;
	h->born = w->now;
	for (unsigned i = 1; i < w->hosts; i++) {
		if (h->no == 0 && !w->cfg.plain)
			add_session(h, w->host[i]);
		else if (h->no == i)
			add_session(h, w->host[0]);
	}
	add_edge(h, &h->talks, &talk_ops, 0);
	add_edge(h, &h->chats, &chat_ops, 1);
	talks_start(h);
	chats_start(h);
	if (h->no)
		env_dial(h, h->session);
	host_turn(h);
}

static void drop_packets(struct host *h)
{
	struct packet *next;
	event_set(h->w, &h->read, CV_NEVER);
	for (struct packet *k = h->first; k; k = next) {
		next = k->next;
		net_lost(h->w, k);
	}
	h->first = h->last = NULL;
	h->waiting = 0;
}

/* what a node dropped, but for what was inside packets that it dropped */
static void count_drops(struct host *h)
{
	for (int i = 0; i < CV_DROP_N; i++)
		h->w->tally.dropped +=
			h->node.stats.drop[i] - h->packet_drops[i];
}

void host_stop(struct host *h)
{
	struct world *w = h->w;
	if (!h->running)
		return;
	say(w, "host%u stops", h->no);
	h->stopping = true;
	event_set(w, &h->tick, CV_NEVER);
	event_set(w, &h->dial, CV_NEVER);
	h->backoff = (struct cv_backoff){ 0 };
	drop_packets(h);
	talks_stopped(h);
	chats_stopped(h);
	close_port(&h->port, "stop");
	cv_node_link_down(&h->node, &h->port, host_now(h));
	cv_list_del(&h->talks.dirty);
	cv_list_del(&h->chats.dirty);
	count_drops(h);
	cv_node_clear(&h->node);
	if (h->allocated)
		broken(w, "host %u: %zu bytes never given back", h->no,
			h->allocated);
	h->running = h->stopping = false;
	h->session = NULL;
}

static void on_start(struct event *e)
{
	struct host *h = CV_CONTAINER(e, struct host, start);
	if (!h->running)
		host_start(h);
}

static void on_stop(struct event *e)
{
	host_stop(CV_CONTAINER(e, struct host, stop));
}

struct host *host_new(struct world *w, unsigned no)
{
	struct host *h = calloc(1, sizeof *h);
	if (!h)
		abort();
	h->w = w;
	h->no = no;
	rng_seed(&h->rng, w->seed * 31 + no);
	env_random(h, h->priv, CV_KEY);
	h->at = (struct cv_addr){ .family = CV_AF_INET,
		.ip = { 198, 51, (uint8_t)no, 1 },
		.port = (uint16_t)(4000 + no) };
	if (w->cfg.v6)
		h->at.family = CV_AF_INET6;
	h->tick.fire = on_tick;
	h->start.fire = on_start;
	h->stop.fire = on_stop;
	h->read.fire = on_read;
	h->dial.fire = on_dial;
	cv_list_init(&h->links);
	cv_list_init(&h->pieces);
	return h;
}

void host_free(struct host *h)
{
	free(h);
}
