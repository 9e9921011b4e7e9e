/* SPDX-License-Identifier: MIT */
#include "bytes.h"

size_t pair_random(struct pair *p, size_t n)
{
	/* xorshift64 */
	p->seed ^= p->seed << 13;
	p->seed ^= p->seed >> 7;
	p->seed ^= p->seed << 17;
	return (size_t)(p->seed % n);
}

const char *pair_conf(
	const struct pair *p, int i, const char *more, char out[CONF])
{
	if (strstr(more, "Plain"))
		snprintf(out, CONF, "[Node]\n%s%s", more,
			i == A ? "[Peer b]\n" : "");
	else
		snprintf(out, CONF,
			"[Node]\nPrivateKey = %s\n%s"
			"[Peer %s]\nPublicKey = %s\n",
			p->keys[i].priv, more, i == A ? "b" : "a",
			p->keys[!i].pub);
	return out;
}

void pair_begin(struct pair *p, const char *more)
{
	char conf[CONF];
	memset(p, 0, sizeof *p);
	p->now = BEGIN;
	p->seed = 88172645463325252u;
	p->piece = 100000;
	for (int i = 0; i < 2; i++)
		p->keys[i] = keys_make();
	for (int i = 0; i < 2; i++) {
		struct culvert_options o = side_options(&p->side[i]);
		o.flags = CULVERT_NO_LOOP;
		side_new(&p->side[i], &o, pair_conf(p, i, more, conf));
	}
}

int pair_reload(struct pair *p, int i, const char *more)
{
	char conf[CONF];
	pair_conf(p, i, more, conf);
	return culvert_reload(p->side[i].node, conf, strlen(conf), NULL);
}

void pair_wire(struct pair *p)
{
	struct wire *w = &p->wire;
	memset(w, 0, sizeof *w);
	assert_int_equal(
		culvert_link_open(p->side[A].node, "b", p->now, &w->end[A]), 0);
	assert_int_equal(
		culvert_link_open(p->side[B].node, NULL, p->now, &w->end[B]),
		0);
}

void pair_cut(struct pair *p)
{
	struct wire *w = &p->wire;
	for (int i = 0; i < 2; i++) {
		culvert_link_close(w->end[i]);
		free(w->q[i]);
	}
	memset(w, 0, sizeof *w);
}

/* from an end into the stream */
static bool pull(struct pair *p, int i)
{
	struct wire *w = &p->wire;
	size_t size = 1 + pair_random(p, p->piece);
	if (!w->end[i] || w->mute[i])
		return false;
	w->q[i] = realloc(w->q[i], w->len[i] + size);
	size_t n = culvert_link_output(
		w->end[i], w->q[i] + w->len[i], size, p->now);
	assert_true(n <= size);
	w->len[i] += n;
	return n != 0;
}

/* from the stream into the other end */
static bool push(struct pair *p, int i)
{
	struct wire *w = &p->wire;
	size_t n = 1 + pair_random(p, p->piece);
	if (w->hold[i] || !w->len[i] || !w->end[!i])
		return false;
	if (n > w->len[i])
		n = w->len[i];
	/* of exactly this size, so that reading beyond it is seen */
	uint8_t *piece = malloc(n);
	memcpy(piece, w->q[i], n);
	memmove(w->q[i], w->q[i] + n, w->len[i] - n);
	w->len[i] -= n;
	w->err[!i] = culvert_link_input(w->end[!i], piece, n, p->now);
	free(piece);
	return true;
}

void pair_settle(struct pair *p)
{
	bool moved = true;
	while (moved) {
		moved = false;
		for (int i = 0; i < 2; i++) {
			moved |= pull(p, i);
			moved |= push(p, i);
		}
	}
}

static uint64_t deadline(const struct pair *p)
{
	uint64_t t = CULVERT_NEVER;
	for (int i = 0; i < 2; i++) {
		uint64_t d = culvert_deadline(p->side[i].node);
		t = d < t ? d : t;
	}
	return t;
}

void pair_run(struct pair *p, uint64_t span)
{
	uint64_t end = p->now + span;
	pair_settle(p);
	for (uint64_t t; (t = deadline(p)) <= end;) {
		p->now = t > p->now ? t : p->now;
		for (int i = 0; i < 2; i++)
			if (p->side[i].node)
				assert_int_equal(
					culvert_tick(p->side[i].node, p->now),
					0);
		pair_settle(p);
	}
	p->now = end;
	for (int i = 0; i < 2; i++)
		if (p->side[i].node)
			culvert_tick(p->side[i].node, p->now);
	pair_settle(p);
}

void pair_end(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		side_end(&p->side[(p->seed + (unsigned)i) % 2]);
		free(p->wire.q[i]);
	}
}

culvert_flow *pair_open(struct pair *p, const char *target)
{
	culvert_flow *flow = NULL;
	unsigned opened = p->side[A].opened;
	pair_settle(p);
	assert_int_equal(culvert_open(p->side[A].node, "b", target, &flow), 0);
	assert_int_equal(culvert_send(flow, "hello", 5), 0);
	pair_settle(p);
	assert_int_equal(p->side[A].opened, opened + 1);
	return flow;
}
