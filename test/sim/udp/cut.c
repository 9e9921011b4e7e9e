/* SPDX-License-Identifier: MIT */
#include "sim/udp/cut.h"

#include <stdlib.h>

static struct cut *find(struct world *w, unsigned from, uint64_t number)
{
	struct cut *c = w->cut[number % CUTS];
	while (c && (c->from != from || c->number != number))
		c = c->next;
	return c;
}

void cut_sent(struct host *from, const struct cv_frame *f)
{
	struct world *w = from->w;
	struct cut *c = find(w, from->no, f->taken);
	if (!c) {
		c = calloc(1, sizeof *c);
		if (!c)
			abort();
		*c = (struct cut){ .next = w->cut[f->taken % CUTS],
			.from = from->no,
			.number = f->taken,
			.whole = f->seg };
		w->cut[f->taken % CUTS] = c;
		w->tally.cut++;
	}
	if (f->seg != c->whole || f->value != c->sent)
		broken(w, "a part that does not follow the one before");
	c->sent += f->len;
}

void cut_taken(struct world *w, unsigned from, uint8_t *p, uint32_t len)
{
	uint32_t tag = w->cfg.plain ? 0 : CV_TAG;
	struct cv_frame f;
	if (*p != CV_PACKET_DATA && *p != CV_PACKET_PLAIN_DATA)
		return;
	uint8_t *q = p + CV_DATA_HEAD, *end = p + len - tag;
	while (cv_frame_next(&q, end, &f) > 0) {
		struct cut *c =
			f.type == CV_FRAME_PART ? find(w, from, f.taken) : NULL;
		if (c)
			c->taken = true;
	}
}

void cuts_judge(struct world *w)
{
	for (unsigned i = 0; i < CUTS; i++) {
		for (struct cut *c = w->cut[i]; c; c = c->next) {
			if (!c->taken && c->sent == c->whole)
				w->tally.lost++;
			if (c->taken && c->sent < c->whole)
				w->tally.doubled++;
		}
	}
}

void cuts_free(struct world *w)
{
	for (unsigned i = 0; i < CUTS; i++) {
		for (struct cut *c = w->cut[i], *next; c; c = next) {
			next = c->next;
			free(c);
		}
	}
}
