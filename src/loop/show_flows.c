/* SPDX-License-Identifier: MIT */
#include "loop/show.h"

#include <assert.h>
#include <inttypes.h>

static const char *const kinds[] = {
	[0] = "-",
	[CV_KIND_STREAM] = "stream",
	[CV_KIND_DGRAM] = "dgram",
	[CV_KIND_PACKET] = "packet",
};
static_assert(CV_COUNT(kinds) == CV_KIND_PACKET + 1, "every kind has a name");

enum { TARGET = CV_TARGET_MAX + 1 };

struct list {
	FILE *f;
	cv_time now;
	unsigned count;
	void (*row)(struct list *, const struct cv_flow *);
};

/* where an edge reaches out to; "-": that is not known, or not yet */
static const char *target_of(const struct cv_flow *f, char out[TARGET])
{
	char at[CV_ADDRTEXT];
	if (f->target && *f->target)
		snprintf(out, TARGET, "%s", f->target);
	else if (f->end[1].edge && f->dst.family)
		snprintf(out, TARGET, "%s://%s", f->end[1].edge->ops->name,
			cv_addr_format(&f->dst, at));
	else
		snprintf(out, TARGET, "-");
	return out;
}

/* a client's address, the name of a peer, or what kind of edge it is */
static const char *end_text(
	const struct cv_flow *f, unsigned side, char out[CV_ADDRTEXT])
{
	const struct cv_end *e = &f->end[side];
	if (e->session)
		return cv_show_peer(e->session, out);
	if (!side && f->src.family)
		return cv_addr_format(&f->src, out);
	return e->edge ? e->edge->ops->name : "-";
}

static uint64_t idle(const struct list *l, const struct cv_flow *f)
{
	return (l->now - f->used) / CV_SEC(1);
}

static void text_row(struct list *l, const struct cv_flow *f)
{
	char from[CV_ADDRTEXT], to[CV_ADDRTEXT], target[TARGET];
	fprintf(l->f,
		"  %-7s %-22s %-16s %-28s %10" PRIu64 " %10" PRIu64 " %6" PRIu64
		"%s\n",
		kinds[f->kind], end_text(f, 0, from), end_text(f, 1, to),
		target_of(f, target), f->tx, f->rx, idle(l, f),
		f->pinned ? " kept" : "");
}

static void json_end(struct list *l, const struct cv_flow *f, unsigned side)
{
	const struct cv_end *e = &f->end[side];
	char text[CV_ADDRTEXT];
	fprintf(l->f, ",\"%s\":{\"%s\":", side ? "to" : "from",
		e->session ? "peer" : "edge");
	if (e->session)
		cv_show_quoted(l->f, cv_show_peer(e->session, text));
	else
		cv_show_quoted(l->f, e->edge ? e->edge->ops->name : "-");
	if (!e->session && !side && f->src.family)
		fprintf(l->f, ",\"address\":\"%s\"",
			cv_addr_format(&f->src, text));
	fputc('}', l->f);
}

static void json_row(struct list *l, const struct cv_flow *f)
{
	char target[TARGET];
	fprintf(l->f, "%s{\"kind\":\"%s\"", l->count > 1 ? "," : "",
		kinds[f->kind]);
	json_end(l, f, 0);
	json_end(l, f, 1);
	fputs(",\"target\":", l->f);
	cv_show_quoted(l->f, target_of(f, target));
	fprintf(l->f,
		",\"sent\":%" PRIu64 ",\"received\":%" PRIu64
		",\"idle_seconds\":%" PRIu64 ",\"kept\":%s}",
		f->tx, f->rx, idle(l, f), f->pinned ? "true" : "false");
}

static bool put(struct list *l, const struct cv_flow *f)
{
	if (l->count == CV_SHOW_FLOWS)
		return false;
	l->count++;
	l->row(l, f);
	return true;
}

/* those of a session that are kept come first there */
static void write_kept(struct list *l, const struct cv_session *s)
{
	for (const struct cv_list *e = s->flows.next; e != &s->flows;
		e = e->next) {
		struct cv_flow *f = CV_CONTAINER(e, struct cv_flow, peers);
		if (!f->pinned || !put(l, f))
			return;
	}
}

static void write_rows(struct list *l, const struct cv_node *n)
{
	const struct cv_list *lru = &n->flows.lru, *e;
	for (e = n->sessions.next; e != &n->sessions; e = e->next)
		write_kept(l, CV_CONTAINER(e, struct cv_session, all));
	for (e = lru->prev; e != lru; e = e->prev) {
		if (!put(l, CV_CONTAINER(e, struct cv_flow, lru)))
			return;
	}
}

void cv_show_flows(FILE *f, struct cv_node *n, const char *name, cv_time now)
{
	struct list l = { .f = f, .now = now, .row = text_row };
	fprintf(f, "node %s\n  %-7s %-22s %-16s %-28s %10s %10s %6s\n", name,
		"kind", "from", "to", "target", "sent", "received", "idle s");
	write_rows(&l, n);
	if (l.count < n->flows.count)
		fprintf(f, "  and %zu more, idle longer\n",
			n->flows.count - l.count);
}

void cv_show_flows_json(
	FILE *f, struct cv_node *n, const char *name, cv_time now)
{
	struct list l = { .f = f, .now = now, .row = json_row };
	fputs("{\"name\":", f);
	cv_show_quoted(f, name);
	fprintf(f, ",\"flows\":%zu,\"list\":[", n->flows.count);
	write_rows(&l, n);
	fputs("]}\n", f);
}
