/* SPDX-License-Identifier: MIT */
#include "sim/udp/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 8 };

/* a datagram: who it is, then bytes that follow from that */
static void fill(uint8_t *p, uint32_t len, const struct chat *c, unsigned dir,
	unsigned seq)
{
	uint32_t key = c->no << 24 | dir << 16 | seq;
	cv_put32(p, key);
	cv_put32(p + 4, len);
	/* another in each place, so that none may stand elsewhere */
	for (uint32_t i = HEAD; i < len; i++)
		p[i] = (uint8_t)(key * 37 + i + (i >> 8) * 3);
}

static struct host *host_of(const struct chat *c, unsigned dir)
{
	return c->w->host[dir ? 0 : c->client];
}

static void send_some(struct chat *c, unsigned dir, unsigned n)
{
	static uint8_t train[65536];
	struct host *h = host_of(c, dir);
	struct world *w = h->w;
	uint32_t size = (uint32_t)spread(&w->rng, HEAD, c->size);
	struct cv_frame f = {
		.type = CV_FRAME_DGRAM, .data = train, .seg = size
	};
	if (n > sizeof train / size)
		n = (unsigned)(sizeof train / size);
	for (; n && c->next[dir] < SEQS; n--) {
		fill(train + f.len, size, c, dir, c->next[dir]);
		c->len[dir][c->next[dir]++] = (uint16_t)size;
		f.len += size;
		w->tally.handed++;
	}
	if (f.len)
		cv_flow_send(&h->node, c->end[dir], &f, host_now(h));
}

static bool open_flow(struct chat *c)
{
	struct host *h = host_of(c, 0);
	struct cv_opening o = {
		.edge = &h->chats,
		.src = { .family = CV_AF_INET, .port = (uint16_t)c->no },
		.session = h->session,
		.target = c->target,
	};
	if (c->end[0])
		return true;
	struct cv_flow *f = cv_node_open(&h->node, &o, host_now(h));
	if (!f)
		return false;
	c->end[0] = &f->end[0];
	c->end[0]->ctx = c;
	return true;
}

static void on_send(struct event *e)
{
	struct chat *c = CV_CONTAINER(e, struct chat, send);
	struct host *h = host_of(c, 0);
	struct world *w = c->w;
	if (!h->running)
		return;
	if (open_flow(c))
		send_some(c, 0,
			chance(&w->rng, 70) ? 1
					    : (unsigned)spread(&w->rng, 1, 30));
	event_set(w, e, w->now + spread(&w->rng, 1, c->gap));
	host_turn(h);
}

static void on_answer(struct event *e)
{
	struct chat *c = CV_CONTAINER(e, struct chat, answer);
	struct rng *r = &c->w->rng;
	if (c->end[1])
		send_some(c, 1, chance(r, 80) ? 1 : (unsigned)spread(r, 1, 20));
	host_turn(host_of(c, 1));
}

static void check(struct chat *c, unsigned dir, const uint8_t *p, uint32_t len)
{
	static uint8_t want[65536];
	unsigned seq = len >= HEAD ? cv_get32(p) & 0xffff : SEQS;
	struct world *w = c->w;
	if (seq >= c->next[dir] || c->len[dir][seq] != len) {
		broken(w, "chat %u: a datagram that nobody sent", c->no);
		return;
	}
	fill(want, len, c, dir, seq);
	if (memcmp(want, p, len))
		broken(w, "chat %u: a datagram was changed", c->no);
	if (c->came[dir][seq])
		broken(w, "chat %u: a datagram came twice", c->no);
	c->came[dir][seq] = true;
	w->tally.delivered++;
}

static int dgram(struct cv_edge *edge, struct cv_end *end,
	const struct cv_frame *f, cv_time now)
{
	struct host *h = CV_CONTAINER(edge, struct host, chats);
	struct chat *c = end->ctx;
	(void)now;
	if (!c) {
		h->w->tally.dropped += cv_frame_count(f);
		return 0;
	}
	for (uint32_t at = 0; at < f->len; at += f->seg)
		check(c, h->no != 0, f->data + at,
			f->len - at < f->seg ? f->len - at : f->seg);
	if (!h->no && !c->answer.place && chance(&h->w->rng, 60))
		event_set(h->w, &c->answer,
			h->w->now + spread(&h->w->rng, 1, CV_MS(3)));
	cv_node_edge_dirty(&h->node, edge);
	return 0;
}

static void flush(struct cv_edge *edge)
{
	(void)edge;
}

static int open_here(struct cv_edge *edge, struct cv_end *end,
	const char *target, size_t len, cv_time now)
{
	struct host *h = CV_CONTAINER(edge, struct host, chats);
	struct world *w = h->w;
	unsigned no = host_target(target, len);
	struct chat *c = &w->chat[no];
	(void)now;
	if (no >= w->cfg.chats || strlen(c->target) != len ||
		memcmp(c->target, target, len)) {
		broken(w, "another target came out");
		return CULVERT_EREFUSED;
	}
	/* the far end of a flow from before the client was started anew may
	   not be closed yet */
	if (c->end[1])
		c->end[1]->ctx = NULL;
	c->end[1] = end;
	end->ctx = c;
	return 0;
}

static void close_end(
	struct cv_edge *edge, struct cv_end *end, enum cv_reset why)
{
	struct host *h = CV_CONTAINER(edge, struct host, chats);
	struct chat *c = end->ctx;
	(void)why;
	if (c)
		c->end[h->no == 0] = NULL;
	end->ctx = NULL;
}

const struct cv_edge_ops chat_ops = {
	.name = "chat",
	.open = open_here,
	.dgram = dgram,
	.flush = flush,
	.close = close_end,
};

void chats_new(struct world *w)
{
	w->chat = calloc(CHATS, sizeof *w->chat);
	if (!w->chat)
		abort();
	for (unsigned i = 0; i < w->cfg.chats; i++) {
		struct chat *c = &w->chat[i];
		c->w = w;
		c->no = i;
		c->client = (unsigned)between(&w->rng, 1, w->cfg.clients);
		c->gap = w->cfg.on[FAULT_LONG]
				 ? spread(&w->rng, CV_MS(500), CV_SEC(30))
				 : spread(&w->rng, CV_MS(5), CV_MS(500));
		c->size = (uint32_t)spread(&w->rng, 20, 1600);
		/* ... or in parts */
		if (chance(&w->rng, 25))
			c->size = (uint32_t)spread(&w->rng, 1400, CV_DGRAM_MAX);
		snprintf(c->target, sizeof c->target, "chat:%u", i);
		c->send.fire = on_send;
		c->answer.fire = on_answer;
	}
}

void chats_free(struct world *w)
{
	free(w->chat);
	w->chat = NULL;
}

void chats_start(struct host *h)
{
	for (unsigned i = 0; i < h->w->cfg.chats; i++) {
		struct chat *c = &h->w->chat[i];
		if (c->client == h->no && !h->w->healed)
			event_set(h->w, &c->send,
				h->w->now + below(&h->w->rng, c->gap));
	}
}

void chats_stopped(struct host *h)
{
	for (unsigned i = 0; i < h->w->cfg.chats; i++) {
		struct chat *c = &h->w->chat[i];
		struct cv_end **e = &c->end[h->no == 0];
		if (h->no && c->client != h->no)
			continue;
		if (h->no)
			event_set(h->w, &c->send, CV_NEVER);
		else
			event_set(h->w, &c->answer, CV_NEVER);
		if (*e)
			(*e)->ctx = NULL;
		*e = NULL;
	}
}

void chats_close(struct world *w)
{
	for (unsigned i = 0; i < w->cfg.chats; i++) {
		struct chat *c = &w->chat[i];
		struct host *h = host_of(c, 0);
		event_set(w, &c->send, CV_NEVER);
		if (!c->end[0])
			continue;
		cv_flow_close(&h->node, cv_end_flow(c->end[0]), NULL,
			CV_RESET_DONE, host_now(h));
		host_turn(h);
	}
}
