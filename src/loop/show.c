/* SPDX-License-Identifier: MIT */
#include "loop/show.h"

#include "core/transport.h"
#include "core/keytext.h"

#include <inttypes.h>
#include <string.h>

enum { WAY = 128 }; /* bytes of a way's description */

/* "-" while there is none */
static const char *link_text(
	const struct cv_session *s, char out[CV_ADDRTEXT + 16])
{
	const struct cv_link *link = cv_path_shown(s)->link;
	char at[CV_ADDRTEXT];
	if (!link)
		return "-";
	snprintf(out, CV_ADDRTEXT + 16, "%s://%s", link->ops->name,
		cv_addr_format(&link->remote, at));
	return out;
}

/* how it is reached, and why so; "" if there is nothing to tell */
static const char *way_text(const struct cv_session *s, char out[WAY])
{
	const struct cv_link *link = cv_path_shown(s)->link;
	*out = '\0';
	if (link && link->ops->describe)
		link->ops->describe(link, out, WAY);
	return out;
}

const char *cv_show_peer(const struct cv_session *s, char key[CULVERT_KEYTEXT])
{
	return *s->name ? s->name : cv_keytext_format(s->pub, key);
}

static const char *state_of(const struct cv_session *s)
{
	if (cv_session_up(s))
		return "up";
	return s->links ? "handshake" : "down";
}

static void text_drops(FILE *f, const char *indent, const struct cv_stats *st)
{
	const char *sep = "dropped: ";
	for (int i = CV_DROP_NONE + 1; i < CV_DROP_N; i++) {
		if (!st->drop[i])
			continue;
		fprintf(f, "%s%s%s %" PRIu64, indent, sep,
			cv_drop_name((enum cv_drop)i), st->drop[i]);
		indent = "";
		sep = ", ";
	}
	if (!*indent)
		fputc('\n', f);
}

static void text_traffic(FILE *f, const char *indent, const struct cv_stats *st)
{
	fprintf(f,
		"%ssent: %" PRIu64 " datagrams, %" PRIu64
		" bytes; received: %" PRIu64 " datagrams, %" PRIu64 " bytes\n",
		indent, st->tx_dgrams, st->tx_dgram_bytes, st->rx_dgrams,
		st->rx_dgram_bytes);
	text_drops(f, indent, st);
}

static double lost_share(const struct cv_transport *t)
{
	uint64_t all = t->rate.delivered + t->rate.lost;
	return all ? 100. * (double)t->rate.lost / (double)all : 0.;
}

/* a datagram path as its transport knows it */
static void text_path(FILE *f, const struct cv_transport *t)
{
	fprintf(f,
		"  path: round trip %.1f ms, least %.1f ms, lost %.2f %%, "
		"wrongly %" PRIu64 ",\n"
		"    rate %.2f Mbit/s, window %" PRIu64
		" KiB, under way %" PRIu64
		" KiB, %s,\n    packets of %u bytes, moved %u times\n",
		(double)t->rtt.smoothed / 1e3, (double)t->rtt.min / 1e3,
		lost_share(t), t->loss.spurious, (double)t->cc.rate * 8 / 1e6,
		t->cc.cwnd >> 10, t->flights.inflight >> 10,
		cv_cc_state(&t->cc), t->pmtud.mtu, t->path->roam.moves);
}

static void text_session(FILE *f, const struct cv_session *s, cv_time now)
{
	char link[CV_ADDRTEXT + 16], key[CULVERT_KEYTEXT], way[WAY];
	fprintf(f, "peer %s\n  state: %s, link: %s, flows: %zu",
		cv_show_peer(s, key), state_of(s), link_text(s, link),
		s->nflows);
	const struct cv_path *p = cv_path_shown(s);
	if (s->cur && s->cur->links > 1)
		fprintf(f, ", links: %u of %u", s->ready, s->cur->links);
	if (p->link)
		fprintf(f, ", for: %" PRIu64 " s",
			(now - p->link->up) / 1000000);
	if (p->rtt)
		fprintf(f, ", round trip: %.1f ms", (double)p->rtt / 1e3);
	fputc('\n', f);
	if (*way_text(s, way))
		fprintf(f, "  way: %s\n", way);
	if (s->transport && s->transport->path)
		text_path(f, s->transport);
	text_traffic(f, "  ", &s->stats);
}

/* what the embedding program says of its process, a line each */
static void text_notes(FILE *f, const char *notes)
{
	for (const char *end; notes && (end = strchr(notes, '\n'));
		notes = end + 1)
		fprintf(f, "  %.*s\n", (int)(end - notes), notes);
}

void cv_show_text(FILE *f, struct cv_node *n, const char *name, cv_time now)
{
	char key[CULVERT_KEYTEXT];
	fprintf(f, "node %s\n  version: %s, %s", name, CV_VERSION,
		n->plain ? "plain: nothing is encrypted" : "public key: ");
	if (!n->plain)
		fputs(cv_keytext_format(n->pub, key), f);
	fprintf(f,
		"\n  up: %" PRIu64 " s, flows: %zu of %zu, buffers: %zu KiB\n",
		(now - n->began) / 1000000, n->flows.count, n->flows.max,
		n->pool.bytes >> 10);
	text_notes(f, n->notes);
	if (n->foreign)
		fprintf(f, "  foreign connections: %zu\n", n->foreign);
	text_traffic(f, "  ", &n->stats);
	for (struct cv_list *l = n->sessions.next; l != &n->sessions;
		l = l->next)
		text_session(f, CV_CONTAINER(l, struct cv_session, all), now);
}

void cv_show_quoted(FILE *f, const char *s)
{
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if ((unsigned char)*s < ' ')
			fprintf(f, "\\u%04x", (unsigned char)*s);
		else
			fputc(*s, f);
	}
	fputc('"', f);
}

static void json_stats(FILE *f, const struct cv_stats *st)
{
	const char *sep = "";
	fprintf(f,
		"\"sent\":{\"datagrams\":%" PRIu64 ",\"bytes\":%" PRIu64
		"},\"received\":{\"datagrams\":%" PRIu64 ",\"bytes\":%" PRIu64
		"},\"packets_sent\":%" PRIu64 ",\"packets_received\":%" PRIu64
		",\"handshakes\":%" PRIu64 ",\"handshakes_failed\":%" PRIu64
		",\"dropped\":{",
		st->tx_dgrams, st->tx_dgram_bytes, st->rx_dgrams,
		st->rx_dgram_bytes, st->tx_packets, st->rx_packets,
		st->handshakes, st->handshakes_failed);
	for (int i = CV_DROP_NONE + 1; i < CV_DROP_N; i++) {
		fprintf(f, "%s\"%s\":%" PRIu64, sep,
			cv_drop_name((enum cv_drop)i), st->drop[i]);
		sep = ",";
	}
	fputc('}', f);
}

static void json_path(FILE *f, const struct cv_transport *t)
{
	fprintf(f,
		"\"path\":{\"rtt_us\":%" PRIu64 ",\"rtt_min_us\":%" PRIu64
		",\"delivered_bytes\":%" PRIu64 ",\"lost_bytes\":%" PRIu64
		",\"retransmitted_bytes\":%" PRIu64 ",\"spurious\":%" PRIu64
		",\"rate_bytes\":%" PRIu64 ",\"window_bytes\":%" PRIu64
		",\"inflight_bytes\":%" PRIu64
		",\"state\":\"%s\",\"mtu\":%u,\"moves\":%u},",
		t->rtt.smoothed, t->rtt.min, t->rate.delivered, t->rate.lost,
		t->retransmitted, t->loss.spurious, t->cc.rate, t->cc.cwnd,
		t->flights.inflight, cv_cc_state(&t->cc), t->pmtud.mtu,
		t->path->roam.moves);
}

static void json_session(FILE *f, const struct cv_session *s, cv_time now)
{
	char key[CULVERT_KEYTEXT], link[CV_ADDRTEXT + 16], way[WAY];
	const struct cv_path *p = cv_path_shown(s);
	fputs("{\"name\":", f);
	cv_show_quoted(f, s->name);
	fprintf(f, ",\"key\":\"%s\",\"state\":\"%s\",\"link\":",
		cv_keytext_format(s->pub, key), state_of(s));
	cv_show_quoted(f, link_text(s, link));
	fputs(",\"way\":", f);
	cv_show_quoted(f, way_text(s, way));
	fprintf(f,
		",\"links\":%u,\"link_seconds\":%" PRIu64 ",\"rtt_us\":%" PRIu64
		",\"flows\":%zu,\"queued_bytes\":%zu,",
		s->ready, p->link ? (now - p->link->up) / 1000000 : 0, p->rtt,
		s->nflows, s->txq.q.bytes);
	if (s->transport && s->transport->path)
		json_path(f, s->transport);
	json_stats(f, &s->stats);
	fputc('}', f);
}

static void json_notes(FILE *f, const char *notes)
{
	char word[256];
	const char *sep = "", *end, *colon;
	fputs("\"notes\":{", f);
	for (; notes && (end = strchr(notes, '\n')); notes = end + 1) {
		colon = strstr(notes, ": ");
		snprintf(
			word, sizeof word, "%.*s", (int)(colon - notes), notes);
		fputs(sep, f);
		cv_show_quoted(f, word);
		fputc(':', f);
		snprintf(word, sizeof word, "%.*s", (int)(end - colon - 2),
			colon + 2);
		cv_show_quoted(f, word);
		sep = ",";
	}
	fputs("},", f);
}

void cv_show_json(FILE *f, struct cv_node *n, const char *name, cv_time now)
{
	char key[CULVERT_KEYTEXT];
	const char *sep = "";
	fputs("{\"name\":", f);
	cv_show_quoted(f, name);
	fprintf(f,
		",\"version\":\"%s\",\"plain\":%s,\"key\":\"%s\","
		"\"up_seconds\":%" PRIu64 ",\"flows\":%zu,\"flows_max\":%zu,"
		"\"foreign\":%zu,"
		"\"buffer_bytes\":%zu,\"buffer_allocations\":%" PRIu64 ",",
		CV_VERSION, n->plain ? "true" : "false",
		n->plain ? "" : cv_keytext_format(n->pub, key),
		(now - n->began) / 1000000, n->flows.count, n->flows.max,
		n->foreign, n->pool.bytes, n->pool.allocs);
	json_notes(f, n->notes);
	json_stats(f, &n->stats);
	fputs(",\"peers\":[", f);
	for (struct cv_list *l = n->sessions.next; l != &n->sessions;
		l = l->next) {
		fputs(sep, f);
		json_session(f, CV_CONTAINER(l, struct cv_session, all), now);
		sep = ",";
	}
	fputs("]}\n", f);
}
