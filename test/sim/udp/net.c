/* SPDX-License-Identifier: MIT */
#include "sim/udp/net.h"

#include "sim/udp/cut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST CV_MS(500) /* the longest that is silent */

uint64_t net_dgrams(struct host *from, uint8_t *p, uint32_t len)
{
	uint32_t tag = from->w->cfg.plain ? 0 : CV_TAG;
	struct cv_frame f;
	uint64_t n = 0;
	if (*p != CV_PACKET_DATA && *p != CV_PACKET_PLAIN_DATA)
		return 0;
	uint8_t *q = p + CV_DATA_HEAD, *end = p + len - tag;
	while (cv_frame_next(&q, end, &f) > 0) {
		if (f.type == CV_FRAME_DGRAM)
			n += cv_frame_count(&f);
		else if (f.type == CV_FRAME_PART)
			cut_sent(from, &f);
	}
	return n;
}

void net_lost(struct world *w, struct packet *k)
{
	w->tally.lost += k->dgrams;
	w->tally.lost_packets++;
	cv_list_del(&k->list);
	event_set(w, &k->arrive, CV_NEVER);
	free(k);
}

void net_clear(struct world *w)
{
	while (!cv_list_empty(&w->flying))
		net_lost(w, CV_CONTAINER(w->flying.next, struct packet, list));
}

static void hash(struct world *w, const uint8_t *p, size_t n)
{
	const uint64_t prime = UINT64_C(0x100000001b3);
	uint64_t x = (w->trace ^ w->now) * prime;
	for (; n >= 8; p += 8, n -= 8)
		x = (x ^ cv_get64(p)) * prime;
	for (; n; p++, n--)
		x = (x ^ *p) * prime;
	w->trace = x;
}

static void on_arrive(struct event *e)
{
	struct packet *k = CV_CONTAINER(e, struct packet, arrive);
	struct host *h = k->to;
	/* the address may be another's by now */
	if (!h->running || !cv_addr_equal(&h->at, &k->dest)) {
		net_lost(h->w, k);
		return;
	}
	cv_list_del(&k->list);
	host_hears(h, k);
}

static struct host *who_has(struct world *w, const struct cv_addr *a)
{
	for (unsigned i = 0; i < w->hosts; i++) {
		if (cv_addr_equal(&w->host[i]->at, a))
			return w->host[i];
	}
	return NULL;
}

/* when it will have passed the bottleneck, or CV_NEVER */
static cv_time queued(struct world *w, struct way *y, uint64_t size)
{
	const struct weather *x = &y->now;
	if (!x->rate)
		return w->now;
	if (y->free_at < w->now)
		y->free_at = w->now;
	if ((y->free_at - w->now) * x->rate / 1000000 + size > x->queue)
		return CV_NEVER;
	y->free_at += size * 1000000 / x->rate + 1;
	return y->free_at;
}

static bool struck(struct world *w, struct way *y)
{
	const struct weather *x = &y->now;
	/* a burst does not wait for the next packet */
	if (w->now - y->last > BURST)
		y->bad = false;
	y->last = w->now;
	if (x->enter)
		y->bad = y->bad ? !odds(&w->rng, x->leave)
				: odds(&w->rng, x->enter);
	return odds(&w->rng, y->bad ? x->burst : x->loss);
}

static cv_time on_the_way(struct world *w, const struct weather *x)
{
	cv_time t = x->delay;
	if (x->jitter)
		t += below(&w->rng, x->jitter);
	if (odds(&w->rng, x->reorder))
		t += x->late;
	return t;
}

static struct packet *new_packet(
	struct host *to, const struct packet *like, const uint8_t *p)
{
	struct packet *k = malloc(sizeof *k + like->len);
	if (!k)
		abort();
	*k = *like;
	memcpy(k->bytes, p, k->len);
	k->to = to;
	k->arrive = (struct event){ .fire = on_arrive };
	cv_list_init(&k->list);
	cv_list_append(&to->w->flying, &k->list);
	return k;
}

static bool passes(const struct world *w, const struct way *y, uint32_t size)
{
	return w->now >= y->cut_until && (!y->now.mtu || size <= y->now.mtu);
}

static void fly(struct world *w, struct way *y, struct packet *k, cv_time at)
{
	const struct weather *x = &y->now;
	event_set(w, &k->arrive, at + on_the_way(w, x));
	if (odds(&w->rng, x->twice)) {
		struct packet *again = new_packet(k->to, k, k->bytes);
		w->tally.doubled += k->dgrams;
		event_set(w, &again->arrive, at + on_the_way(w, x) + 1);
	}
	if (odds(&w->rng, x->spoof)) {
		struct packet *first = new_packet(k->to, k, k->bytes);
		first->from.ip[0] = 203;
		w->tally.doubled += k->dgrams;
		event_set(w, &first->arrive, w->now + x->delay / 2);
	}
	if (odds(&w->rng, x->flip))
		k->bytes[below(&w->rng, k->len)] ^=
			(uint8_t)(1u << below(&w->rng, 8));
}

/* the packet, for --verbose: kinds of frame with flow, offset and length */
static void tell(struct host *h, const uint8_t *p, uint32_t len)
{
	uint8_t *q = (uint8_t *)(uintptr_t)p + CV_DATA_HEAD;
	uint8_t *end = q + len - CV_DATA_HEAD - (h->w->cfg.plain ? 0 : CV_TAG);
	char text[400] = "";
	struct cv_frame f;
	size_t n = 0;
	if (!verbose)
		return;
	bool data = *p == CV_PACKET_DATA || *p == CV_PACKET_PLAIN_DATA;
	while (data && n < sizeof text - 60 && cv_frame_next(&q, end, &f) > 0) {
		if (f.type != CV_FRAME_PADDING)
			n += (size_t)snprintf(text + n, sizeof text - n,
				" %x:%llu@%llu+%u%s", f.type,
				(unsigned long long)f.flow,
				(unsigned long long)f.value, f.len,
				f.fin ? "." : "");
	}
	say(h->w, "host%u sends %u bytes of type %u to %llx, number %llu:%s",
		h->no, len, p[0],
		(unsigned long long)(cv_get64(p) & CV_INDEX_MASK),
		(unsigned long long)cv_get64(p + 8), text);
}

void net_send(struct host *h, const struct cv_addr *to, const uint8_t *p,
	uint32_t len)
{
	struct world *w = h->w;
	struct host *peer = who_has(w, to);
	struct packet like = {
		.from = h->at, .dest = *to, .len = len, .sender = h->no
	};
	uint32_t size = len + (w->cfg.v6 ? 48 : 28);
	hash(w, p, len);
	tell(h, p, len);
	w->tally.packets++;
	w->tally.bytes += len;
	like.dgrams = net_dgrams(h, (uint8_t *)(uintptr_t)p, len);
	struct packet *k = new_packet(peer ? peer : h, &like, p);
	struct way *y = peer ? &w->way[h->no ? h->no : peer->no][!h->no] : NULL;
	cv_time at;
	if (!peer || peer == h || !passes(w, y, size) ||
		(at = queued(w, y, size)) == CV_NEVER || struck(w, y))
		net_lost(w, k);
	else
		fly(w, y, k, at);
}
