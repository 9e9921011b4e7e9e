/* SPDX-License-Identifier: MIT */
/**
 * edge_app.c - the flows of the embedding program
 *
 * DOC: What the core delivers is noted, and told to the program when the edge
 * is flushed: then the core is at rest, and a callback may open, send and
 * close as it likes.  Within one flush the program hears of peers, of new
 * flows, of datagrams, and last of flows that ended.
 */
#include "edge/edge_app.h"

#include "loop/loop.h"

#include <stdlib.h>
#include <string.h>

struct culvert_flow {
	struct cv_app *app;
	struct cv_end *end;  /* NULL once it ended */
	struct cv_list news; /* in one of the app's lists, or in none */
	void *yours;
	int why;           /* it ended */
	bool asked, quiet; /* the program has not accepted; is told nothing */
	char target[];
};

/* a train that waits to be told, until the flush */
struct note {
	struct culvert_flow *flow;
	struct cv_frame train;
};

/* the name of a session that went down, and may not exist any more */
struct gone {
	char name[sizeof((struct cv_session *)0)->name];
};

struct cv_app {
	struct cv_edge edge;
	const struct culvert_options *options;
	const cv_time *now;
	struct note *note;
	size_t notes, note_room;
	struct gone *gone;
	size_t gones, gone_room;
	struct cv_list asked, opened, ended; /* flows there is news of */
	uint64_t serial;                     /* tells our flows apart */
	unsigned calling;
	bool peers, mute;
};

static struct cv_app *app_of(struct cv_edge *e)
{
	return CV_CONTAINER(e, struct cv_app, edge);
}

static cv_time now_of(const struct cv_app *a)
{
	return a->now ? *a->now : cv_now();
}

static void news(struct culvert_flow *w, struct cv_list *list)
{
	cv_list_append(list, &w->news);
	cv_node_edge_dirty(w->app->edge.node, &w->app->edge);
}

static struct culvert_flow *flow_new(
	struct cv_app *a, const char *target, size_t len)
{
	struct culvert_flow *w = calloc(1, sizeof *w + len + 1);
	if (!w)
		return NULL;
	w->app = a;
	memcpy(w->target, target, len);
	cv_list_init(&w->news);
	return w;
}

/* --- what the core says --- */

static int open_end(struct cv_edge *e, struct cv_end *end, const char *target,
	size_t len, cv_time now)
{
	struct cv_app *a = app_of(e);
	(void)now;
	if (!a->options->accept || memchr(target, '\0', len))
		return CULVERT_EREFUSED;
	struct culvert_flow *w = flow_new(a, target, len);
	if (!w)
		return CULVERT_ENOMEM;
	w->end = end;
	w->asked = true;
	end->ctx = w;
	news(w, &a->asked);
	return 1;
}

/* an array with room for one more than @used of its elements, or NULL */
static void *grown(void *array, size_t used, size_t *room, size_t each)
{
	if (used < *room)
		return array;
	size_t want = *room ? *room * 2 : 64;
	void *more = realloc(array, want * each);
	if (more)
		*room = want;
	return more;
}

static int dgram(struct cv_edge *e, struct cv_end *end,
	const struct cv_frame *train, cv_time now)
{
	struct cv_app *a = app_of(e);
	struct note *more =
		grown(a->note, a->notes, &a->note_room, sizeof *more);
	(void)now;
	if (!more) {
		e->node->stats.drop[CV_DROP_NO_BUFFER] += cv_frame_count(train);
		return 0;
	}
	a->note = more;
	a->note[a->notes++] = (struct note){ end->ctx, *train };
	cv_node_edge_dirty(e->node, e);
	return 0;
}

static int error_of(enum cv_reset why)
{
	static const int errors[] = {
		[CV_RESET_DONE] = CULVERT_OK,
		[CV_RESET_UNKNOWN] = CULVERT_OK,
		[CV_RESET_REFUSED] = CULVERT_EREFUSED,
		[CV_RESET_TARGET] = CULVERT_EINVAL,
		[CV_RESET_LIMIT] = CULVERT_EFULL,
		[CV_RESET_SYSTEM] = CULVERT_ESYS,
	};
	return errors[why];
}

static void close_end(struct cv_edge *e, struct cv_end *end, enum cv_reset why)
{
	struct culvert_flow *w = end->ctx;
	if (!w)
		return;
	end->ctx = NULL;
	w->end = NULL;
	w->why = error_of(why);
	w->quiet |= w->asked;
	news(w, &app_of(e)->ended);
}

static void opened(struct cv_edge *e, struct cv_end *end)
{
	struct culvert_flow *w = end->ctx;
	if (w)
		news(w, &app_of(e)->opened);
}

/* --- what the program is told --- */

void cv_app_enter(struct cv_app *a)
{
	a->calling++;
}

void cv_app_leave(struct cv_app *a)
{
	a->calling--;
}

bool cv_app_calling(const struct cv_app *a)
{
	return a->calling != 0;
}

void cv_app_mute(struct cv_app *a)
{
	a->mute = true;
}

void cv_app_gone(struct cv_app *a, struct cv_session *s)
{
	if (!s->told)
		return;
	struct gone *more =
		grown(a->gone, a->gones, &a->gone_room, sizeof *more);
	if (!more)
		return;
	a->gone = more;
	memcpy(a->gone[a->gones++].name, s->name, sizeof s->name);
	s->told = false;
	a->peers = true;
	cv_node_edge_dirty(a->edge.node, &a->edge);
}

void cv_app_peer(struct cv_app *a, struct cv_session *s)
{
	if (!cv_session_up(s))
		cv_app_gone(a, s);
	a->peers = true;
	cv_node_edge_dirty(a->edge.node, &a->edge);
}

/* a session whose state the program does not know yet */
static struct cv_session *changed(const struct cv_node *n)
{
	for (struct cv_list *l = n->sessions.next; l != &n->sessions;
		l = l->next) {
		struct cv_session *s = CV_CONTAINER(l, struct cv_session, all);
		if (s->told != cv_session_up(s))
			return s;
	}
	return NULL;
}

static void tell_peer(
	struct cv_app *a, const char *name, enum culvert_peer_state state)
{
	cv_app_enter(a);
	a->options->state(a->options->user, name, state);
	cv_app_leave(a);
}

static void tell_peers(struct cv_app *a)
{
	struct cv_session *s;
	if (!a->peers || !a->options->state)
		return;
	a->peers = false;
	for (size_t i = 0; i < a->gones && !a->mute; i++) {
		struct gone g = a->gone[i]; /* a callback may add more */
		tell_peer(a, g.name, CULVERT_PEER_DOWN);
	}
	a->gones = 0;
	/* from the start each time: a callback may free sessions */
	while (!a->mute && (s = changed(a->edge.node))) {
		struct gone g;
		memcpy(g.name, s->name, sizeof g.name);
		s->told = !s->told;
		tell_peer(a, g.name,
			s->told ? CULVERT_PEER_UP : CULVERT_PEER_DOWN);
	}
}

static struct culvert_flow *take(struct cv_list *from)
{
	if (cv_list_empty(from))
		return NULL;
	struct culvert_flow *w =
		CV_CONTAINER(from->next, struct culvert_flow, news);
	cv_list_del(&w->news);
	return w;
}

static void ask(struct cv_app *a, struct culvert_flow *w)
{
	const struct culvert_options *o = a->options;
	if (!w->end) /* then it is not among those asked */
		return;
	struct cv_session *s = cv_end_other(w->end)->session;
	cv_app_enter(a);
	int err = o->accept(o->user, w, s ? s->name : "", w->target);
	cv_app_leave(a);
	w->asked = false;
	if (!w->end) /* the callback itself had it closed */
		return;
	if (!err) {
		cv_flow_opened(a->edge.node, w->end, now_of(a));
		return;
	}
	/* what it sent already is not told; the flow goes with the others */
	struct cv_end *end = w->end;
	end->ctx = w->end = NULL;
	w->quiet = true;
	news(w, &a->ended);
	cv_flow_refused(
		a->edge.node, end, err < 0 ? err : CULVERT_EREFUSED, now_of(a));
}

static void tell_flows(struct cv_app *a)
{
	const struct culvert_options *o = a->options;
	struct culvert_flow *w;
	while (!a->mute && (w = take(&a->asked)))
		ask(a, w);
	while (!a->mute && (w = take(&a->opened))) {
		cv_app_enter(a);
		if (o->opened)
			o->opened(o->user, w);
		cv_app_leave(a);
	}
}

static void deliver(struct cv_app *a, const struct note *n)
{
	const struct culvert_options *o = a->options;
	struct culvert_flow *w = n->flow;
	const uint8_t *p = n->train.data;
	uint32_t left = n->train.len;
	do {
		uint32_t len = left < n->train.seg ? left : n->train.seg;
		if (a->mute || w->quiet || !o->dgram)
			return;
		cv_app_enter(a);
		o->dgram(o->user, w, p, len);
		cv_app_leave(a);
		p += len;
		left -= len;
	} while (left);
}

static void tell_ended(struct cv_app *a)
{
	const struct culvert_options *o = a->options;
	struct cv_list *l = a->ended.next, *next;
	for (; l != &a->ended; l = next) {
		struct culvert_flow *w =
			CV_CONTAINER(l, struct culvert_flow, news);
		cv_app_enter(a);
		if (!w->quiet && !a->mute && o->closed)
			o->closed(o->user, w, w->why);
		cv_app_leave(a);
		next = l->next; /* the callback may have ended others */
		cv_list_del(l);
		free(w);
	}
}

static void flush(struct cv_edge *e)
{
	struct cv_app *a = app_of(e);
	tell_peers(a);
	tell_flows(a);
	for (size_t i = 0; i < a->notes; i++) {
		/* by value: a callback may cause more of them */
		struct note n = a->note[i];
		deliver(a, &n);
	}
	a->notes = 0;
	tell_ended(a);
}

static const struct cv_edge_ops ops = {
	.name = "app",
	.open = open_end,
	.dgram = dgram,
	.flush = flush,
	.close = close_end,
	.opened = opened,
};

/* --- what the program says --- */

int cv_app_open(struct cv_app *a, struct cv_session *s, const char *target,
	culvert_flow **out)
{
	struct culvert_flow *w = flow_new(a, target, strlen(target));
	if (!w)
		return CULVERT_ENOMEM;
	struct cv_opening o = {
		.edge = &a->edge,
		.session = s,
		.target = w->target,
	};
	/* all of one source, told apart by what no socket has */
	o.src.family = CV_AF_INET;
	memcpy(o.dst.ip, &a->serial, sizeof a->serial);
	a->serial++;
	struct cv_flow *f = cv_node_open(a->edge.node, &o, now_of(a));
	if (!f) {
		free(w);
		return CULVERT_EFULL;
	}
	w->end = &f->end[0];
	w->end->ctx = w;
	*out = w;
	return 0;
}

int cv_app_send(culvert_flow *w, const void *data, size_t len)
{
	struct cv_app *a = w->app;
	if (!w->end || a->edge.node->draining)
		return CULVERT_ESTATE;
	struct cv_frame train = {
		.type = CV_FRAME_DGRAM,
		.data = (uint8_t *)(uintptr_t)(data ? data : ""),
		.len = (uint32_t)len,
		.seg = (uint32_t)len,
	};
	return cv_flow_send(a->edge.node, w->end, &train, now_of(a))
		       ? CULVERT_EFULL
		       : 0;
}

void cv_app_close(culvert_flow *w)
{
	struct cv_app *a = w->app;
	w->quiet = true;
	if (w->end)
		cv_flow_close(a->edge.node, cv_end_flow(w->end), NULL,
			CV_RESET_DONE, now_of(a));
}

void **cv_app_yours(culvert_flow *w)
{
	return &w->yours;
}

struct cv_app *cv_app_new(struct cv_node *n,
	const struct culvert_options *options, const cv_time *now)
{
	struct cv_app *a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	a->edge.ops = &ops;
	a->edge.node = n;
	a->options = options;
	a->now = now;
	cv_list_init(&a->edge.dirty);
	cv_list_init(&a->asked);
	cv_list_init(&a->opened);
	cv_list_init(&a->ended);
	return a;
}

struct cv_edge *cv_app_edge(struct cv_app *a)
{
	return &a->edge;
}

void cv_app_free(struct cv_app *a)
{
	if (!a)
		return;
	a->mute = true;
	tell_ended(a);
	cv_list_del(&a->edge.dirty);
	free(a->note);
	free(a->gone);
	free(a);
}
