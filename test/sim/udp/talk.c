/* SPDX-License-Identifier: MIT */
#include "sim/udp/talk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* bytes of every stream are taken from here, round and round */
enum { PATTERN = 65521, RUN = 32768 };

static uint8_t pattern[PATTERN + RUN];

static void make_pattern(void)
{
	struct rng r;
	if (pattern[0] || pattern[1])
		return;
	rng_seed(&r, 1);
	for (size_t i = 0; i < PATTERN; i++)
		pattern[i] = (uint8_t)(rng_next(&r) >> 24);
	memcpy(pattern + PATTERN, pattern, RUN);
}

/* bytes at @at, and how many of @n there are in a row */
static const uint8_t *bytes(const struct side *s, uint64_t at, size_t *n)
{
	if (*n > RUN)
		*n = RUN;
	return pattern + (s->key + at) % PATTERN;
}

static void fill(const struct side *s, uint64_t at, uint8_t *p, size_t n)
{
	for (size_t k; n; n -= k, p += k, at += k) {
		k = n;
		const uint8_t *q = bytes(s, at, &k);
		memcpy(p, q, k);
	}
}

static bool same(const struct side *s, uint64_t at, const uint8_t *p, size_t n)
{
	for (size_t k; n; n -= k, p += k, at += k) {
		k = n;
		const uint8_t *q = bytes(s, at, &k);
		if (memcmp(p, q, k))
			return false;
	}
	return true;
}

static bool at_server(const struct side *s)
{
	return s == &s->talk->side[1];
}

static struct side *far_of(struct side *s)
{
	return &s->talk->side[!at_server(s)];
}

static struct host *host_of(const struct side *s)
{
	return s->talk->w->host[at_server(s) ? 0 : s->talk->client];
}

static const char *name(const struct side *s)
{
	return at_server(s) ? "server" : "client";
}

/* what was not taken yet, but came in, edges still write */
static bool complete(const struct side *s)
{
	return s->finished && s->fin;
}

/* --- how it ends --- */

static void stop(struct side *s)
{
	struct world *w = s->talk->w;
	event_set(w, &s->write, CV_NEVER);
	event_set(w, &s->take, CV_NEVER);
	cv_list_del(&s->dirty);
	s->piece = NULL;
	s->end = NULL;
}

static void close_side(
	struct cv_edge *edge, struct cv_end *end, enum cv_reset why)
{
	struct side *s = end->ctx;
	(void)edge;
	if (!s)
		return;
	struct talk *t = s->talk;
	struct world *w = t->w;
	say(w,
		"talk %u of host%u closed at the %s: %s; wrote %llu of %llu%s, "
		"got %llu%s, took %llu",
		t->no, t->client, name(s), cv_reset_name(why),
		(unsigned long long)s->written, (unsigned long long)s->length,
		s->finished ? " all" : "", (unsigned long long)s->got,
		s->fin ? " all" : "", (unsigned long long)s->took);
	end->ctx = NULL;
	stop(s);
	event_set(w, &t->opened, CV_NEVER);
	s->closed = true;
	s->why = why;
	bool good = complete(s) && why == CV_RESET_DONE;
	if (!good && !t->excused && !w->lax)
		broken(w, "talk %u of host %u was lost at the %s: %s", t->no,
			t->client, name(s), cv_reset_name(why));
	if (good && !at_server(s))
		w->tally.complete++;
	if (!good && !at_server(s))
		w->tally.broken_off++;
	/* what it says is over must have reached the far program */
	struct side *f = far_of(s);
	if (good && !t->excused && f->got != s->length)
		broken(w, "talk %u ended at the %s before all was read", t->no,
			name(s));
}

/* the program breaks it off */
static bool abort_now(struct side *s)
{
	struct talk *t = s->talk;
	struct cv_end *end = s->end;
	struct host *h = host_of(s);
	if (s->written + s->got < s->abort_at || !end)
		return false;
	t->w->faults[FAULT_ABORT]++;
	t->excused = true;
	end->ctx = NULL;
	stop(s);
	s->closed = true;
	s->why = CV_RESET_ABORTED;
	say(t->w, "talk %u of host%u broken off by the %s", t->no, t->client,
		name(s));
	cv_flow_close(&h->node, cv_end_flow(end), NULL, CV_RESET_ABORTED,
		host_now(h));
	return true;
}

/* --- writing --- */

static cv_time some_gap(struct side *s)
{
	struct rng *r = &s->talk->w->rng;
	return chance(r, 70) ? below(r, 200) : below(r, s->gap + 1);
}

/* false: not now */
static bool write_some(struct side *s)
{
	struct host *h = host_of(s);
	struct rng *r = &s->talk->w->rng;
	uint64_t left = s->length - s->written;
	size_t most = spread(r, 1, s->portion), len = most;
	uint8_t *p = cv_flow_room(&h->node, s->end, &len);
	if (!p) {
		s->paused = true;
		return false;
	}
	if (!len || len > most)
		broken(h->w, "room for %zu bytes, %zu were asked for", len,
			most);
	if (len > left)
		len = left;
	if (chance(r, 3))
		len = below(r, len + 1);
	fill(s, s->written, p, len);
	s->written += len;
	cv_flow_wrote(&h->node, s->end, len, host_now(h));
	return true;
}

static void finish(struct side *s)
{
	struct host *h = host_of(s);
	if (s->finished)
		return;
	s->finished = true;
	cv_flow_finish(&h->node, s->end, host_now(h));
}

static void on_write(struct event *e)
{
	struct side *s = CV_CONTAINER(e, struct side, write);
	struct host *h = host_of(s);
	struct rng *r = &h->w->rng;
	if (!s->end || abort_now(s)) {
		host_turn(h);
		return;
	}
	bool go = true;
	while (go && s->written < s->length && chance(r, 75))
		go = write_some(s);
	if (s->written == s->length && chance(r, 70))
		finish(s);
	if (go && !s->finished)
		event_set(h->w, e, h->w->now + some_gap(s));
	host_turn(h);
}

static void resume(struct cv_edge *edge, struct cv_end *end)
{
	struct side *s = end->ctx;
	(void)edge;
	if (!s)
		return;
	s->paused = false;
	if (!s->finished && !s->write.place)
		event_set(s->talk->w, &s->write, s->talk->w->now + 1);
}

/* --- reading --- */

static void on_take(struct event *e)
{
	struct side *s = CV_CONTAINER(e, struct side, take);
	struct host *h = host_of(s);
	struct rng *r = &h->w->rng;
	if (!s->end || abort_now(s)) {
		host_turn(h);
		return;
	}
	uint64_t left = s->got - s->took, n = left;
	if (left > 1 && s->slow)
		n = spread(r, 1, left);
	s->took += n;
	if (s->took < s->got)
		event_set(h->w, e, h->w->now + some_gap(s));
	cv_flow_took(&h->node, s->end, n, host_now(h));
	host_turn(h);
}

/* what was read lies there until now */
static void flush_side(struct side *s)
{
	struct host *h = host_of(s);
	struct world *w = h->w;
	cv_list_del(&s->dirty);
	if (s->piece && !same(far_of(s), s->at, s->piece, s->len))
		broken(w, "talk %u: bytes changed before the %s's flush",
			s->talk->no, name(s));
	s->piece = NULL;
	if (!s->slow && chance(&w->rng, 80)) {
		uint64_t n = s->got - s->took;
		s->took = s->got;
		cv_flow_took(&h->node, s->end, n, host_now(h));
	} else if (!s->take.place) {
		event_set(w, &s->take, w->now + some_gap(s));
	}
}

static void flush(struct cv_edge *edge)
{
	struct host *h = CV_CONTAINER(edge, struct host, talks);
	while (!cv_list_empty(&h->pieces))
		flush_side(CV_CONTAINER(h->pieces.next, struct side, dirty));
}

static void stream(struct cv_edge *edge, struct cv_end *end,
	const uint8_t *data, size_t len, bool fin)
{
	struct host *h = CV_CONTAINER(edge, struct host, talks);
	struct side *s = end->ctx;
	struct world *w = h->w;
	if (!s)
		return;
	struct side *f = far_of(s);
	if (s->fin)
		broken(w, "talk %u: more after the end", s->talk->no);
	if (s->got + len > f->written || !same(f, s->got, data, len))
		broken(w, "talk %u: the %s read what was not written at %llu",
			s->talk->no, name(s), (unsigned long long)s->got);
	s->piece = len ? data : NULL;
	s->len = len;
	s->at = s->got;
	s->got += len;
	s->fin = fin;
	if (fin && (!f->finished || s->got != f->length))
		broken(w, "talk %u: a false end at the %s", s->talk->no,
			name(s));
	cv_list_append(&h->pieces, &s->dirty);
	cv_node_edge_dirty(&h->node, edge);
}

/* --- how it begins --- */

static void begin(struct side *s, struct cv_end *end)
{
	struct host *h = host_of(s);
	s->end = end;
	s->opened = true;
	end->ctx = s;
	cv_flow_stand(&h->node.flows, cv_end_flow(end));
	event_set(h->w, &s->write, h->w->now + some_gap(s));
}

static void on_opened(struct event *e)
{
	struct talk *t = CV_CONTAINER(e, struct talk, opened);
	struct host *h = t->w->host[0];
	struct side *s = &t->side[1];
	struct cv_end *end = s->end;
	if (!end)
		return;
	if (t->refused) {
		end->ctx = NULL;
		stop(s);
		s->closed = true;
		s->why = CV_RESET_REFUSED;
		cv_flow_refused(&h->node, end, CULVERT_EREFUSED, host_now(h));
	} else {
		cv_flow_opened(&h->node, end, host_now(h));
		event_set(h->w, &s->write, h->w->now + some_gap(s));
	}
	host_turn(h);
}

static int open_here(struct cv_edge *edge, struct cv_end *end,
	const char *target, size_t len, cv_time now)
{
	struct host *h = CV_CONTAINER(edge, struct host, talks);
	struct world *w = h->w;
	unsigned no = host_target(target, len);
	struct talk *t = &w->talk[no];
	struct side *s = &t->side[1];
	(void)now;
	if (no >= w->cfg.talks || strlen(t->target) != len ||
		memcmp(t->target, target, len))
		broken(w, "another target came out");
	else if (s->opened)
		broken(w, "talk %u was opened twice", no);
	if (w->failed)
		return CULVERT_EREFUSED;
	if (t->refused) {
		t->excused = true;
		w->faults[FAULT_REFUSE]++;
	}
	if (t->refused && !t->late) {
		s->opened = s->closed = true;
		return CULVERT_EREFUSED;
	}
	begin(s, end);
	if (!t->late)
		return 0;
	event_set(w, &s->write, CV_NEVER);
	event_set(w, &t->opened, w->now + spread(&w->rng, 1, CV_SEC(1)));
	return 1;
}

/* who a server without keys says it is to this client; 0: it forgot it */
static uint64_t known_by(const struct cv_node *n, const struct host *client)
{
	const struct cv_session *s =
		cv_node_find((struct cv_node *)(uintptr_t)n, client->node.pub);
	return s ? n->instance + s->forgotten : 0;
}

/* the client has not noticed yet that its peer is another one */
static bool mistaken(const struct host *h)
{
	const struct host *server = h->w->host[0];
	uint64_t known = h->session->instance;
	if (server->running && h->w->cfg.plain)
		known = known_by(&server->node, h) == known
				? server->node.instance
				: known;
	if (!server->running || server->node.draining)
		return server->lives > 0;
	return known ? known != server->node.instance
		     : server->lives > 1 &&
			       h->w->now - server->born < CV_SEC(5);
}

static void on_open(struct event *e)
{
	struct talk *t = CV_CONTAINER(e, struct talk, open);
	struct host *h = t->w->host[t->client];
	struct cv_opening o = {
		.kind = CV_KIND_STREAM,
		.edge = &h->talks,
		.src = { .family = CV_AF_INET, .port = (uint16_t)t->no },
		.session = h->session,
		.target = t->target,
	};
	if (!h->running || h->node.draining || t->side[0].opened)
		return;
	struct cv_flow *f = cv_node_open(&h->node, &o, host_now(h));
	if (f) {
		t->w->tally.streams++;
		t->excused |= mistaken(h);
		say(t->w, "talk %u of host%u begins: %llu out, %llu back",
			t->no, t->client, (unsigned long long)t->side[0].length,
			(unsigned long long)t->side[1].length);
		begin(&t->side[0], &f->end[0]);
	}
	host_turn(h);
}

const struct cv_edge_ops talk_ops = {
	.name = "talk",
	.open = open_here,
	.flush = flush,
	.close = close_side,
	.stream = stream,
	.resume = resume,
};

/* --- all of them --- */

static uint64_t some_length(struct world *w)
{
	struct rng *r = &w->rng;
	uint64_t n = chance(r, 15) ? 0 : spread(r, 1, w->cfg.bytes / 2 + 1);
	if (n > w->cfg.bytes)
		n = w->cfg.bytes;
	w->cfg.bytes -= n;
	return n;
}

static void draw_side(struct talk *t, struct side *s)
{
	struct world *w = t->w;
	struct rng *r = &w->rng;
	s->talk = t;
	s->key = (uint32_t)below(r, PATTERN);
	s->length = some_length(w);
	s->abort_at = UINT64_MAX;
	if (w->cfg.on[FAULT_ABORT] && chance(r, 15))
		s->abort_at = spread(r, 1, s->length + 10);
	s->gap = spread(r, CV_MS(1), CV_MS(300));
	s->portion = (uint32_t)spread(r, 100, 200000);
	s->slow = w->cfg.on[FAULT_SLOW] && chance(r, 50);
	w->faults[FAULT_SLOW] += s->slow;
	s->write.fire = on_write;
	s->take.fire = on_take;
	cv_list_init(&s->dirty);
}

void talks_new(struct world *w)
{
	struct rng *r = &w->rng;
	make_pattern();
	w->talk = calloc(TALKS, sizeof *w->talk);
	if (!w->talk)
		abort();
	for (unsigned i = 0; i < w->cfg.talks; i++) {
		struct talk *t = &w->talk[i];
		t->w = w;
		t->no = i;
		t->client = (unsigned)between(r, 1, w->cfg.clients);
		snprintf(t->target, sizeof t->target, "talk:%u", i);
		draw_side(t, &t->side[0]);
		draw_side(t, &t->side[1]);
		t->late = chance(r, 20);
		t->refused = w->cfg.on[FAULT_REFUSE] && chance(r, 20);
		t->open.fire = on_open;
		t->opened.fire = on_opened;
		event_set(w, &t->open,
			w->now + (chance(r, 30) ? CV_MS(5)
						: below(r, w->cfg.troubled)));
	}
}

void talks_plain(struct world *w, uint64_t bytes)
{
	struct talk *t = &w->talk[0];
	for (int i = 0; i < 2; i++) {
		t->side[i].length = i ? 0 : bytes;
		t->side[i].gap = 100;
		t->side[i].portion = 65536;
	}
	t->late = false;
	event_set(w, &t->open, w->now + CV_MS(1));
}

void talks_free(struct world *w)
{
	free(w->talk);
	w->talk = NULL;
}

void talks_start(struct host *h)
{
	cv_list_init(&h->pieces);
}

void talks_leave(struct host *h)
{
	for (unsigned i = 0; i < h->w->cfg.talks; i++) {
		struct talk *t = &h->w->talk[i];
		if (!h->no || t->client == h->no)
			t->excused |= t->side[0].opened;
	}
}

void talks_stopped(struct host *h)
{
	for (unsigned i = 0; i < h->w->cfg.talks; i++) {
		struct talk *t = &h->w->talk[i];
		struct side *s = &t->side[h->no == 0];
		if (h->no && t->client != h->no)
			continue;
		t->excused |= t->side[0].opened;
		if (s->end) {
			s->end->ctx = NULL;
			stop(s);
			s->closed = true;
			s->why = CV_RESET_ABORTED;
			event_set(h->w, &t->opened, CV_NEVER);
		}
	}
}

void talks_heal(struct world *w)
{
	for (unsigned i = 0; i < w->cfg.talks; i++) {
		struct talk *t = &w->talk[i];
		event_set(w, &t->open, CV_NEVER);
		t->side[0].slow = t->side[1].slow = false;
		t->side[0].gap = t->side[1].gap = CV_MS(20);
		t->side[0].portion = t->side[1].portion = 200000;
	}
}

static bool over(const struct talk *t)
{
	return (!t->side[0].opened || t->side[0].closed) &&
	       (!t->side[1].opened || t->side[1].closed);
}

bool talks_over(const struct world *w)
{
	for (unsigned i = 0; i < w->cfg.talks; i++) {
		if (!over(&w->talk[i]))
			return false;
	}
	return true;
}

void talks_judge(struct world *w)
{
	for (unsigned i = 0; i < w->cfg.talks; i++) {
		const struct talk *t = &w->talk[i];
		const struct side *a = &t->side[0], *b = &t->side[1];
		if (over(t))
			continue;
		broken(w,
			"talk %u of host %u never ends: client %s wrote "
			"%llu/%llu%s%s got %llu took %llu; server %s wrote "
			"%llu/%llu%s%s got %llu took %llu",
			i, t->client, a->closed ? "closed" : "open",
			(unsigned long long)a->written,
			(unsigned long long)a->length,
			a->finished ? " fin" : "", a->paused ? " waits" : "",
			(unsigned long long)a->got, (unsigned long long)a->took,
			b->closed   ? "closed"
			: b->opened ? "open"
				    : "none",
			(unsigned long long)b->written,
			(unsigned long long)b->length,
			b->finished ? " fin" : "", b->paused ? " waits" : "",
			(unsigned long long)b->got,
			(unsigned long long)b->took);
	}
}
