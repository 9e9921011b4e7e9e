/* SPDX-License-Identifier: MIT */
/**
 * metrics.c - every counter, with a name and a line of help
 *
 * DOC: Names follow prometheus.io: base units, _total for what only grows.
 * All samples of a name stand together, so the outer loop is over names and
 * the inner one over peers.  What the node counts includes what its peers
 * count, so these have names of their own: a sum over either is right.
 */
#include "loop/metrics.h"

#include "loop/show.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

enum type { GAUGE, SECONDS, COUNTER };

#define NONE UINT64_MAX /* nothing to say at the moment */

struct page {
	FILE *f;
	const struct cv_node *node;
	const char *name;
	cv_time now;
	bool open;         /* OpenMetrics */
	const char *scope; /* what names begin with: of the node, or of peers */
};

/* one name: the table it stands in says whose, and where its values are */
struct family {
	const char *name, *help;
	enum type type;
};

static const struct {
	struct family family;
	size_t at; /* in cv_stats */
} counted[] = {
	{ { "sent_datagrams", "Datagrams taken in, dropped ones included.",
		  COUNTER },
		offsetof(struct cv_stats, tx_dgrams) },
	{ { "sent_datagram_bytes", "Bytes in them.", COUNTER },
		offsetof(struct cv_stats, tx_dgram_bytes) },
	{ { "received_datagrams", "Datagrams that came in.", COUNTER },
		offsetof(struct cv_stats, rx_dgrams) },
	{ { "received_datagram_bytes", "Bytes in them.", COUNTER },
		offsetof(struct cv_stats, rx_dgram_bytes) },
	{ { "sent_packets", "Packets handed to links.", COUNTER },
		offsetof(struct cv_stats, tx_packets) },
	{ { "sent_packet_bytes", "Bytes in them.", COUNTER },
		offsetof(struct cv_stats, tx_bytes) },
	{ { "received_packets", "Packets that links received.", COUNTER },
		offsetof(struct cv_stats, rx_packets) },
	{ { "received_packet_bytes", "Bytes in them.", COUNTER },
		offsetof(struct cv_stats, rx_bytes) },
	{ { "handshakes", "Handshakes that were completed.", COUNTER },
		offsetof(struct cv_stats, handshakes) },
	{ { "handshakes_failed", "Handshakes that were not.", COUNTER },
		offsetof(struct cv_stats, handshakes_failed) },
};

static uint64_t uptime(const struct cv_node *n, cv_time now)
{
	return now - n->began;
}

static uint64_t flows(const struct cv_node *n, cv_time now)
{
	(void)now;
	return n->flows.count;
}

static uint64_t flows_limit(const struct cv_node *n, cv_time now)
{
	(void)now;
	return n->flows.max;
}

static uint64_t buffers(const struct cv_node *n, cv_time now)
{
	(void)now;
	return n->pool.bytes;
}

static uint64_t buffers_limit(const struct cv_node *n, cv_time now)
{
	(void)now;
	return n->pool.max;
}

static uint64_t allocations(const struct cv_node *n, cv_time now)
{
	(void)now;
	return n->pool.allocs;
}

static const struct {
	struct family family;
	uint64_t (*get)(const struct cv_node *, cv_time now);
} of_node[] = {
	{ { "uptime_seconds", "Since the node began.", SECONDS }, uptime },
	{ { "flows", "Flows at the moment.", GAUGE }, flows },
	{ { "flows_limit", "Flows there may be.", GAUGE }, flows_limit },
	{ { "buffer_bytes", "Memory of all queues.", GAUGE }, buffers },
	{ { "buffer_limit_bytes", "Memory that queues may take.", GAUGE },
		buffers_limit },
	{ { "buffer_allocations", "Times the allocator was asked for a buffer.",
		  COUNTER },
		allocations },
};

static uint64_t up(const struct cv_session *s, cv_time now)
{
	(void)now;
	return cv_session_up(s);
}

static uint64_t links(const struct cv_session *s, cv_time now)
{
	(void)now;
	return s->links;
}

static uint64_t link_age(const struct cv_session *s, cv_time now)
{
	const struct cv_link *link = cv_path_shown(s)->link;
	return link ? now - link->up : NONE;
}

static uint64_t rtt(const struct cv_session *s, cv_time now)
{
	(void)now;
	cv_time time = cv_path_shown(s)->rtt;
	return time ? time : NONE;
}

static uint64_t peer_flows(const struct cv_session *s, cv_time now)
{
	(void)now;
	return s->nflows;
}

static uint64_t queued(const struct cv_session *s, cv_time now)
{
	(void)now;
	return s->txq.q.bytes;
}

static const struct {
	struct family family;
	uint64_t (*get)(const struct cv_session *, cv_time now);
} of_peer[] = {
	{ { "up", "Whether the session is usable.", GAUGE }, up },
	{ { "links", "Links it has; without it being up: a handshake.", GAUGE },
		links },
	{ { "link_age_seconds", "Since its link came up.", SECONDS },
		link_age },
	{ { "rtt_seconds", "Round trip of the last heartbeat.", SECONDS },
		rtt },
	{ { "flows", "Its flows at the moment.", GAUGE }, peer_flows },
	{ { "queued_bytes", "Waiting for its link.", GAUGE }, queued },
};

static const struct family dropped[] = {
	{ "dropped_datagrams", "Datagrams that were dropped, by reason.",
		COUNTER },
	{ "dropped_packets", "Packets that were refused, by reason.", COUNTER },
};

static void heading(const struct page *p, const struct family *m)
{
	bool counter = m->type == COUNTER;
	const char *total = counter && !p->open ? "_total" : "";
	fprintf(p->f, "# HELP culvert_%s%s%s %s\n# TYPE culvert_%s%s%s %s\n",
		p->scope, m->name, total, m->help, p->scope, m->name, total,
		counter ? "counter" : "gauge");
}

static void label(FILE *f, const char *name, const char *value)
{
	fputs(name, f);
	fputs("=\"", f);
	for (;;) {
		size_t plain = strcspn(value, "\"\\\n");
		fwrite(value, 1, plain, f);
		value += plain;
		if (!*value)
			break;
		fputc('\\', f);
		fputc(*value == '\n' ? 'n' : *value, f);
		value++;
	}
	fputc('"', f);
}

/* name and labels; what is left is the value, and labels of its own */
static void begin(const struct page *p, const struct family *m,
	const struct cv_session *s)
{
	char peer[CULVERT_KEYTEXT];
	fprintf(p->f, "culvert_%s%s%s{", p->scope, m->name,
		m->type == COUNTER ? "_total" : "");
	label(p->f, "node", p->name);
	if (s)
		label(p->f, ",peer", cv_show_peer(s, peer));
}

static void sample(const struct page *p, const struct family *m,
	const struct cv_session *s, uint64_t value)
{
	if (value == NONE)
		return;
	begin(p, m, s);
	if (m->type == SECONDS)
		fprintf(p->f, "} %" PRIu64 ".%06u\n", value / 1000000,
			(unsigned)(value % 1000000));
	else
		fprintf(p->f, "} %" PRIu64 "\n", value);
}

/* the packets' or the datagrams'; of a peer only those that it met, for peers
   times names would be many */
static void reasons(
	const struct page *p, size_t packets, const struct cv_session *s)
{
	const struct cv_stats *st = s ? &s->stats : &p->node->stats;
	for (int i = CV_DROP_NONE + 1; i < CV_DROP_N; i++) {
		enum cv_drop d = (enum cv_drop)i;
		if (cv_drop_packets(d) != packets || (s && !st->drop[d]))
			continue;
		begin(p, &dropped[packets], s);
		label(p->f, ",reason", cv_drop_name(d));
		fprintf(p->f, "} %" PRIu64 "\n", st->drop[d]);
	}
}

static void count(const struct page *p, size_t i, const struct cv_session *s)
{
	const struct cv_stats *st = s ? &s->stats : &p->node->stats;
	const char *at = (const char *)st + counted[i].at;
	sample(p, &counted[i].family, s, *(const uint64_t *)at);
}

static void gauge(const struct page *p, size_t i, const struct cv_session *s)
{
	sample(p, &of_peer[i].family, s, of_peer[i].get(s, p->now));
}

typedef void row_fn(const struct page *, size_t i, const struct cv_session *);

/* of the node, which has no session, or of each of its peers */
static void rows(const struct page *p, row_fn *row, size_t i)
{
	const struct cv_list *all = &p->node->sessions;
	if (!*p->scope)
		row(p, i, NULL);
	else
		for (const struct cv_list *l = all->next; l != all; l = l->next)
			row(p, i, CV_CONTAINER(l, struct cv_session, all));
}

static void write_counts(const struct page *p)
{
	for (size_t i = 0; i < CV_COUNT(counted); i++) {
		heading(p, &counted[i].family);
		rows(p, count, i);
	}
	for (size_t i = 0; i < CV_COUNT(dropped); i++) {
		heading(p, &dropped[i]);
		rows(p, reasons, i);
	}
}

static void write_info(const struct page *p)
{
	static const struct family info = { "build_info",
		"Always 1; the version is a label.", GAUGE };
	heading(p, &info);
	begin(p, &info, NULL);
	label(p->f, ",version", CV_VERSION);
	fputs("} 1\n", p->f);
}

static void write_page(struct page *p)
{
	p->scope = "";
	write_info(p);
	for (size_t i = 0; i < CV_COUNT(of_node); i++) {
		heading(p, &of_node[i].family);
		sample(p, &of_node[i].family, NULL,
			of_node[i].get(p->node, p->now));
	}
	write_counts(p);
	p->scope = "peer_";
	for (size_t i = 0; i < CV_COUNT(of_peer); i++) {
		heading(p, &of_peer[i].family);
		rows(p, gauge, i);
	}
	write_counts(p);
	if (p->open)
		fputs("# EOF\n", p->f);
}

void cv_metrics_text(FILE *f, struct cv_node *n, const char *name, cv_time now)
{
	write_page(&(struct page){ f, n, name, now, false, NULL });
}

void cv_metrics_open(FILE *f, struct cv_node *n, const char *name, cv_time now)
{
	write_page(&(struct page){ f, n, name, now, true, NULL });
}
