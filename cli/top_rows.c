/* SPDX-License-Identifier: MIT */
/* top_rows.c - metrics, turned round: a row for each node and peer */
#include "top.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const fields[] = {
	[UPTIME] = "uptime_seconds",
	[FLOWS] = "flows",
	[UP] = "up",
	[LINKS] = "links",
	[RTT] = "rtt_seconds",
	[SENT] = "sent_datagrams_total",
	[SENT_BYTES] = "sent_datagram_bytes_total",
	[RECEIVED] = "received_datagrams_total",
	[RECEIVED_BYTES] = "received_datagram_bytes_total",
};

/* a line of the text, taken apart */
struct sample {
	const char *name; /* without what all have, nor "peer_" */
	size_t name_len;
	char node[WORD], peer[WORD], reason[WORD];
	double value;
};

/* from behind the first quote to behind the last one; NULL: there is none */
static const char *unquote(const char *p, char out[WORD])
{
	size_t n = 0;
	for (; *p != '"'; p++) {
		if (*p == '\\')
			p++;
		if (!*p || *p == '\n')
			return NULL;
		if (n < WORD - 1)
			out[n++] = *p;
	}
	out[n] = '\0';
	return p + 1;
}

static const char *read_labels(const char *p, struct sample *s)
{
	char other[WORD] = "";
	while (p && *p != '}') {
		p += *p == ',';
		size_t n = strcspn(p, "=\n");
		if (p[n] != '=' || p[n + 1] != '"')
			return NULL;
		char *to = !strncmp(p, "node=", 5)     ? s->node
			   : !strncmp(p, "peer=", 5)   ? s->peer
			   : !strncmp(p, "reason=", 7) ? s->reason
						       : other;
		p = unquote(p + n + 2, to);
	}
	return p ? p + 1 : NULL;
}

static bool read_sample(const char *line, struct sample *s)
{
	*s = (struct sample){ .name = line };
	if (strncmp(line, "culvert_", 8))
		return false;
	s->name += 8;
	if (!strncmp(s->name, "peer_", 5))
		s->name += 5;
	s->name_len = strcspn(s->name, "{\n");
	if (s->name[s->name_len] != '{')
		return false;
	const char *p = read_labels(s->name + s->name_len + 1, s);
	if (!p)
		return false;
	s->value = strtod(p, NULL);
	return true;
}

static bool is_named(const struct sample *s, const char *name)
{
	return strlen(name) == s->name_len &&
	       !strncmp(name, s->name, s->name_len);
}

static void put(struct row *r, const struct sample *s)
{
	for (int i = 0; i < FIELDS; i++) {
		if (is_named(s, fields[i]))
			r->value[i] = s->value;
	}
	if (*s->reason && r->drops < DROPS) {
		strcpy(r->drop[r->drops].reason, s->reason);
		r->drop[r->drops++].count = s->value;
	}
}

static int by_name(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = strcmp(x->node, y->node);
	return order ? order : strcmp(x->peer, y->peer);
}

/* names come in blocks, in each of which the peers have the same order: the
   row after the last one is mostly it */
static struct row *row_of(
	struct rows *all, const struct sample *s, size_t *last)
{
	for (size_t i = 0; i < all->count; i++) {
		struct row *r = &all->row[(*last + 1 + i) % all->count];
		if (strcmp(r->peer, s->peer) || strcmp(r->node, s->node))
			continue;
		*last = (size_t)(r - all->row);
		return r;
	}
	struct row *grown =
		reallocarray(all->row, all->count + 1, sizeof *all->row);
	if (!grown)
		return NULL;
	all->row = grown;
	struct row *r = &grown[all->count];
	*last = all->count++;
	memset(r, 0, sizeof *r);
	strcpy(r->node, s->node);
	strcpy(r->peer, s->peer);
	for (int i = 0; i < FIELDS; i++)
		r->value[i] = NAN;
	return r;
}

int rows_read(struct rows *all, const char *text, double at)
{
	struct rows got = { .at = at };
	struct sample s;
	size_t last = 0;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!read_sample(line, &s))
			continue;
		struct row *r = row_of(&got, &s, &last);
		if (!r) {
			rows_free(&got);
			return CULVERT_ENOMEM;
		}
		put(r, &s);
	}
	if (got.count)
		qsort(got.row, got.count, sizeof *got.row, by_name);
	*all = got;
	return 0;
}

void rows_free(struct rows *all)
{
	free(all->row);
	*all = (struct rows){ 0 };
}

const struct row *rows_find(const struct rows *all, const struct row *like)
{
	return all->count ? bsearch(like, all->row, all->count,
				    sizeof *all->row, by_name)
			  : NULL;
}

double rate(double now, double then, double seconds)
{
	return (now < then ? now : now - then) / seconds;
}
