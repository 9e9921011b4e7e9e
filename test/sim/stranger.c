/* SPDX-License-Identifier: MIT */
/* stranger.c - connections of somebody who means no good */
#include "sim/stranger.h"

#include "core/cookie.h"
#include "core/record.h"

#include <stdlib.h>
#include <string.h>

enum { FLOOD = CV_UNDER_LOAD + 40 };

/** struct stranger - plays two clients in turn on one connection */
struct stranger {
	struct end *end;
	uint8_t heard[4096];
	size_t n;
	uint64_t index;   /* of the initiation under way */
	unsigned ids;     /* identities still to be used */
	struct event say; /* a flood's single packet */
};

static void on_leave(struct event *ev)
{
	struct end *e = CV_CONTAINER(ev, struct end, first);
	if (e->alive)
		end_gone(e,
			chance(&e->conn->w->rng, 50) ? CLOSE_FIN : CLOSE_RST);
}

static struct end *come(struct world *w, cv_time stay)
{
	struct host *server = w->host[0];
	if (!server->running || server->node.draining)
		return NULL;
	struct conn *c = conn_new(w, NULL);
	struct end *e = &c->end[0];
	e->stranger = calloc(1, sizeof *e->stranger);
	if (!e->stranger)
		abort();
	e->stranger->end = e;
	e->first.fire = on_leave;
	link_open(&c->end[1], NULL, 0);
	event_set(w, &e->first, w->now + stay);
	return e;
}

static void say(struct end *e, const uint8_t *packet, uint32_t len)
{
	uint8_t record[CV_RECORD_HEAD + 1024];
	record[0] = (uint8_t)(len >> 16);
	cv_put16(record + 1, (uint16_t)len);
	memcpy(record + CV_RECORD_HEAD, packet, len);
	/* whole or not at all: half a plain packet may become another one */
	if (pipe_room(e) >= CV_RECORD_HEAD + len)
		pipe_write(e, record, CV_RECORD_HEAD + len);
}

static void garbage(struct end *e, uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)rng_next(&e->conn->w->rng);
}

static void say_init(struct end *e)
{
	struct rng *r = &e->conn->w->rng;
	uint8_t p[CV_PLAIN_INIT_SIZE];
	struct cv_hello hello = { .version = 1,
		.links = (uint16_t)below(r, 20),
		.max_age = 50000,
		.stamp = rng_next(r),
		.instance = rng_next(r) };
	e->stranger->index = rng_next(r) >> 24;
	garbage(e, p, sizeof p);
	cv_head_put(p, CV_PACKET_PLAIN_INIT, e->stranger->index);
	cv_hello_put(p + 8 + CV_KEY, &hello);
	say(e, p, sizeof p);
}

static void say_tapes(struct end *e)
{
	struct world *w = e->conn->w;
	for (unsigned i = 0; i < CV_COUNT(w->tape); i++) {
		if (w->tape[i].len)
			say(e, w->tape[i].bytes, w->tape[i].len);
	}
}

void stranger_comes(struct world *w)
{
	struct end *e = come(w, spread(&w->rng, CV_MS(1), CV_SEC(8)));
	uint8_t p[400];
	if (!e)
		return;
	garbage(e, p, sizeof p);
	switch (below(&w->rng, 6)) {
	case 0: /* nothing at all */
		break;
	case 1:
		pipe_write(e, p, between(&w->rng, 1, sizeof p));
		break;
	case 2:
		say(e, p, (uint32_t)between(&w->rng, CV_RECORD_MIN, sizeof p));
		break;
	case 3: /* half a record */
		cv_put32(p, 0x0000a801);
		pipe_write(e, p, between(&w->rng, 1, 100));
		break;
	case 4:
		say_init(e);
		break;
	default:
		say_tapes(e);
	}
	w->faults[FAULT_STRANGER]++;
}

void stranger_has_two_ids(struct world *w)
{
	struct end *e = come(w, spread(&w->rng, CV_MS(500), CV_SEC(8)));
	if (!e)
		return;
	e->stranger->ids = 2;
	say_init(e);
	w->faults[FAULT_TWO_IDS]++;
}

/* an initiation with a right mac1 and nothing else right */
static void on_say(struct event *ev)
{
	struct end *e = CV_CONTAINER(ev, struct stranger, say)->end;
	struct cv_node *n = &e->conn->w->host[0]->node;
	uint8_t p[CV_INIT_SIZE];
	if (!e->conn->w->host[0]->running)
		return;
	garbage(e, p, sizeof p);
	p[0] = CV_PACKET_INIT;
	if (cv_mac1(n->crypto, p + CV_INIT_MAC1, n->pub, p, CV_INIT_MAC1))
		abort();
	say(e, p, sizeof p);
}

void stranger_floods(struct world *w)
{
	for (int i = 0; i < FLOOD; i++) {
		struct end *e = come(w, CV_SEC(2));
		if (!e)
			return;
		e->stranger->say.fire = on_say;
		event_set(w, &e->stranger->say,
			w->now + between(&w->rng, 1, CV_MS(100)));
	}
	w->faults[FAULT_FLOOD]++;
}

/* the server answered one identity: use it, then come with the next */
static void answered(struct end *e, const uint8_t *p, uint32_t len)
{
	struct stranger *s = e->stranger;
	uint8_t data[CV_DATA_HEAD + 2 + 9];
	if (!s->ids || len != CV_PLAIN_RESPONSE_SIZE ||
		p[0] != CV_PACKET_PLAIN_RESPONSE)
		return;
	cv_head_put(data, CV_PACKET_PLAIN_DATA, cv_get64(p + 8));
	cv_put64(data + 8, 0);
	/* perhaps a place that no session has */
	cv_frame_put(data + CV_DATA_HEAD,
		&(struct cv_frame){ .type = CV_FRAME_LINK,
			.value = below(&e->conn->w->rng, 40) });
	cv_frame_put(data + CV_DATA_HEAD + 2,
		&(struct cv_frame){ .type = CV_FRAME_PING });
	say(e, data, sizeof data);
	if (--s->ids)
		say_init(e);
}

void stranger_hears(struct end *e, const uint8_t *p, size_t n)
{
	struct stranger *s = e->stranger;
	uint8_t *at = s->heard, *packet;
	uint32_t len;
	if (n > sizeof s->heard - s->n)
		n = sizeof s->heard - s->n;
	memcpy(s->heard + s->n, p, n);
	s->n += n;
	while ((packet = cv_record_next(
			&at, s->heard + s->n, CV_PACKET_MAX, &len)))
		answered(e, packet, len);
	s->n = (size_t)(s->heard + s->n - at);
	memmove(s->heard, at, s->n);
}

void stranger_tapes(struct end *e, const uint8_t *p, uint32_t len)
{
	struct world *w = e->host->w;
	struct tape *t = &w->tape[w->taped % CV_COUNT(w->tape)];
	if (e->side == 0 || len > sizeof t->bytes || !chance(&w->rng, 20))
		return;
	memcpy(t->bytes, p, len);
	t->len = len;
	w->taped++;
}

void stranger_free(struct end *e)
{
	if (e->stranger)
		event_set(e->conn->w, &e->stranger->say, CV_NEVER);
	free(e->stranger);
	e->stranger = NULL;
}
