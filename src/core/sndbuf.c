/* SPDX-License-Identifier: MIT */
#include "core/sndbuf.h"

#include <string.h>

void cv_sndbuf_clear(
	struct cv_sndbuf *s, const struct cv_env *env, struct cv_pool *pool)
{
	cv_bufq_clear(&s->q, pool);
	cv_buf_free(pool, s->room);
	cv_ranges_clear(&s->acked, env);
	cv_ranges_clear(&s->lost, env);
	*s = (struct cv_sndbuf){ .limit = 0 };
}

static struct cv_buf *new_room(
	const struct cv_sndbuf *s, struct cv_pool *pool, size_t want)
{
	struct cv_buf *b = NULL;
	if (cv_pool_scarce(pool))
		return NULL;
	if (s->keen && want > CV_SMALL)
		b = cv_buf_large(pool);
	return b ? b : cv_buf_small(pool);
}

uint8_t *cv_sndbuf_room(struct cv_sndbuf *s, struct cv_pool *pool, size_t *len)
{
	struct cv_buf *b = s->room ? s->room : s->q.tail;
	size_t room = b ? cv_buf_room(b) : 0;
	/* a few bytes at the end of a buffer are not worth a read of their own
	 */
	if (!room || (room < *len && room < b->cap / 8)) {
		b = new_room(s, pool, *len);
		if (!b)
			return NULL;
		s->room = b;
		room = cv_buf_room(b);
	}
	if (*len > room)
		*len = room;
	s->offered = *len;
	return cv_buf_end(b);
}

void cv_sndbuf_wrote(struct cv_sndbuf *s, struct cv_pool *pool, size_t n)
{
	struct cv_buf *b = s->room;
	s->room = NULL;
	s->keen = n && n == s->offered;
	if (!n) {
		cv_buf_free(pool, b);
		return;
	}
	if (b)
		cv_bufq_push(&s->q, b);
	cv_bufq_grew(&s->q, s->q.tail, n);
	s->end += n;
}

void cv_sndbuf_finish(struct cv_sndbuf *s)
{
	s->fin = true;
}

uint64_t cv_sndbuf_held(const struct cv_sndbuf *s)
{
	return s->end - s->base;
}

uint64_t cv_sndbuf_unsent(const struct cv_sndbuf *s)
{
	return s->end - s->next;
}

static uint64_t lower(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t higher(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static bool has_lost(const struct cv_sndbuf *s)
{
	return s->lost.count || s->rest.lo < s->rest.hi;
}

static uint64_t fresh_bytes(const struct cv_sndbuf *s, uint64_t fresh)
{
	uint64_t to = lower(s->end, s->limit);
	return to > s->next ? lower(to - s->next, fresh) : 0;
}

static bool wants_end(const struct cv_sndbuf *s)
{
	return s->fin && s->next == s->end && !s->fin_acked &&
	       (!s->fin_sent || s->fin_lost);
}

bool cv_sndbuf_wants(const struct cv_sndbuf *s, uint64_t fresh)
{
	return has_lost(s) || fresh_bytes(s, fresh) || wants_end(s);
}

/* the first range that ends above @n, or count */
static uint32_t find(const struct cv_ranges *r, uint64_t n)
{
	uint32_t a = 0, b = r->count;
	while (a < b) {
		uint32_t mid = a + (b - a) / 2;
		if (r->r[mid].hi > n)
			b = mid;
		else
			a = mid + 1;
	}
	return a;
}

static void drop_lost_below(struct cv_sndbuf *s, uint64_t n)
{
	if (s->lost.count)
		cv_ranges_below(&s->lost, n);
	s->rest.lo = higher(s->rest.lo, n);
}

/* the lowest lost bytes, up to what was acknowledged among them */
static struct cv_range first_lost(const struct cv_sndbuf *s)
{
	struct cv_range r = s->rest;
	if (s->lost.count && (r.lo >= r.hi || s->lost.r[0].lo < r.lo))
		r = s->lost.r[0];
	uint32_t i = find(&s->acked, r.lo);
	if (i < s->acked.count)
		r.hi = lower(r.hi, s->acked.r[i].lo);
	return r;
}

uint64_t cv_sndbuf_next(const struct cv_sndbuf *s)
{
	return has_lost(s) ? first_lost(s).lo : s->next;
}

static void take_lost(struct cv_sndbuf *s, uint32_t max, struct cv_piece *p)
{
	struct cv_range r = first_lost(s);
	p->offset = r.lo;
	p->len = (uint32_t)lower(max, r.hi - r.lo);
	p->again = true;
	uint64_t to = r.lo + p->len;
	uint32_t i = find(&s->acked, to);
	if (i < s->acked.count && s->acked.r[i].lo <= to)
		to = s->acked.r[i].hi;
	drop_lost_below(s, to);
}

bool cv_sndbuf_take(struct cv_sndbuf *s, const struct cv_env *env, uint32_t max,
	uint64_t fresh, struct cv_piece *out)
{
	(void)env;
	struct cv_piece p = { .offset = s->next };
	if (max && has_lost(s)) {
		take_lost(s, max, &p);
	} else {
		p.len = (uint32_t)lower(fresh_bytes(s, fresh), max);
		if (!p.len && !wants_end(s))
			return false;
		p.again = !p.len && s->fin_sent;
		s->next += p.len;
	}
	p.fin = s->fin && !s->fin_acked && p.offset + p.len == s->end;
	if (p.fin) {
		s->fin_sent = true;
		s->fin_lost = false;
	}
	*out = p;
	return true;
}

static struct cv_sndbuf_at *find_at(struct cv_sndbuf *s, uint64_t offset)
{
	struct cv_sndbuf_at *at = &s->new;
	if (at->b && offset < at->offset)
		at = &s->old;
	if (!at->b || offset < at->offset) {
		at->b = s->q.head;
		at->offset = s->end - s->q.bytes;
	}
	while (offset - at->offset >= at->b->len) {
		at->offset += at->b->len;
		at->b = at->b->next;
	}
	return at;
}

void cv_sndbuf_copy(
	struct cv_sndbuf *s, uint64_t offset, uint32_t len, uint8_t *to)
{
	while (len) {
		struct cv_sndbuf_at *at = find_at(s, offset);
		size_t skip = (size_t)(offset - at->offset);
		size_t n = at->b->len - skip;
		n = n < len ? n : len;
		memcpy(to, cv_buf_data(at->b) + skip, n);
		to += n;
		offset += n;
		len -= (uint32_t)n;
	}
}

static void free_below_base(struct cv_sndbuf *s, struct cv_pool *pool)
{
	struct cv_buf *b;
	uint64_t start = s->end - s->q.bytes;
	while ((b = s->q.head) && start + b->len <= s->base) {
		start += b->len;
		if (s->old.b == b)
			s->old.b = NULL;
		if (s->new.b == b)
			s->new.b = NULL;
		cv_buf_free(pool, cv_bufq_pop(&s->q));
	}
}

static void advance(struct cv_sndbuf *s, struct cv_pool *pool, uint64_t to)
{
	if (s->acked.count) {
		cv_ranges_below(&s->acked, to);
		if (s->acked.count && s->acked.r[0].lo == to)
			to = s->acked.r[0].hi;
		cv_ranges_below(&s->acked, to);
	}
	s->base = to;
	drop_lost_below(s, to);
	free_below_base(s, pool);
}

/* @r is one whole range of acked: so what is lost never begins with it, even
   where a range could not be split */
static void find_again(
	struct cv_sndbuf *s, const struct cv_env *env, struct cv_range r)
{
	if (s->lost.count)
		cv_ranges_del(&s->lost, env, r.lo, r.hi, CV_SNDBUF_RANGES);
	if (r.lo <= s->rest.lo)
		s->rest.lo = higher(s->rest.lo, r.hi);
}

uint64_t cv_sndbuf_acked(struct cv_sndbuf *s, struct cv_pool *pool, uint64_t lo,
	uint64_t hi, bool fin)
{
	const struct cv_env *env = pool->env;
	uint64_t base = s->base;
	s->fin_acked |= fin;
	lo = higher(lo, base);
	if (lo >= hi)
		return 0;
	if (lo == base)
		advance(s, pool, hi);
	else if (!cv_ranges_add(&s->acked, env, lo, hi, CV_SNDBUF_RANGES))
		find_again(s, env, s->acked.r[find(&s->acked, lo)]);
	else /* not remembered: only another acknowledgement helps */
		cv_sndbuf_lost(s, env, lo, hi, false);
	return s->base - base;
}

static void lose(
	struct cv_sndbuf *s, const struct cv_env *env, uint64_t lo, uint64_t hi)
{
	if (!cv_ranges_cover(&s->lost, env, lo, hi, CV_SNDBUF_RANGES))
		return;
	bool empty = s->rest.lo >= s->rest.hi;
	s->rest.lo = empty ? lo : lower(s->rest.lo, lo);
	s->rest.hi = empty ? hi : higher(s->rest.hi, hi);
}

void cv_sndbuf_lost(struct cv_sndbuf *s, const struct cv_env *env, uint64_t lo,
	uint64_t hi, bool fin)
{
	s->fin_lost |= fin;
	lo = higher(lo, s->base);
	for (uint32_t i = find(&s->acked, lo); lo < hi; i++) {
		bool more = i < s->acked.count;
		uint64_t to = more ? lower(s->acked.r[i].lo, hi) : hi;
		if (lo < to)
			lose(s, env, lo, to);
		lo = more ? s->acked.r[i].hi : hi;
	}
}

void cv_sndbuf_again(struct cv_sndbuf *s, const struct cv_env *env)
{
	cv_ranges_clear(&s->lost, env);
	s->rest = (struct cv_range){ 0 };
	s->next = s->base;
	s->fin_sent = s->fin_lost = false;
}

bool cv_sndbuf_done(const struct cv_sndbuf *s)
{
	return s->fin && s->fin_acked && s->base == s->end;
}
