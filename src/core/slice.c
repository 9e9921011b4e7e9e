/* SPDX-License-Identifier: MIT */
#include "core/slice.h"

#include <string.h>

void cv_slice_clear(struct cv_slice *s, struct cv_pool *pool)
{
	cv_buf_free(pool, s->buf);
	*s = (struct cv_slice){ .opens = s->opens };
}

bool cv_slice_pending(const struct cv_slice *s)
{
	return s->train.type != 0 || s->p < s->end;
}

void cv_slice_begin(struct cv_slice *s, struct cv_buf *chunk)
{
	*s = (struct cv_slice){ .buf = chunk,
		.p = cv_buf_data(chunk),
		.end = cv_buf_end(chunk),
		.opens = s->opens };
}

/* the next train of the chunk; what is written there is our own */
static bool next(struct cv_slice *s)
{
	struct cv_frame f = { 0 };
	while (!s->train.type && cv_frame_next(&s->p, s->end, &f) > 0) {
		if (f.type == CV_FRAME_OPEN)
			s->open = f;
		else if (f.type == CV_FRAME_DGRAM)
			s->train = f;
	}
	return s->train.type != 0;
}

uint64_t cv_slice_left(const struct cv_slice *s)
{
	struct cv_slice rest = *s;
	uint64_t n = 0;
	while (next(&rest)) {
		n += cv_frame_count(&rest.train);
		rest.train.type = 0;
	}
	return n;
}

static size_t open_size(const struct cv_slice *s)
{
	return s->open.type && s->open.flow == s->train.flow
		       ? CV_OPEN_HEAD + s->open.len
		       : 0;
}

/* an OPEN that has no room beside its datagram goes in the packet before */
static size_t put_open(struct cv_slice *s, uint8_t *p, size_t room)
{
	if (!s->open.type || room < CV_OPEN_HEAD + s->open.len)
		return 0;
	size_t n = cv_frame_put_open(p, &s->open);
	s->open.type = 0;
	s->opens++;
	return n;
}

static size_t put_train(struct cv_slice *s, uint8_t *p, size_t room)
{
	struct cv_frame *f = &s->train;
	uint32_t n = f->len;
	size_t at = 1;
	if (f->seg && n > room - CV_DGRAM_HEAD)
		n = (uint32_t)(room - CV_DGRAM_HEAD) / f->seg * f->seg;
	p[0] = CV_FRAME_DGRAM;
	at += cv_varint_put(p + at, f->flow);
	at += cv_varint_put(p + at, n < f->seg ? n : f->seg);
	at += cv_varint_put(p + at, n);
	memcpy(p + at, f->data, n);
	f->data += n;
	f->len -= n;
	if (!f->len)
		f->type = 0;
	else if (f->len < f->seg)
		f->seg = f->len;
	return at + n;
}

/* the last datagram of a train may be smaller, and fit */
static uint64_t drop_large(struct cv_frame *f)
{
	uint64_t all = cv_frame_count(f);
	uint32_t last = f->seg ? f->len % f->seg : 0;
	if (!last || f->len < f->seg) {
		f->type = 0;
		return all;
	}
	f->data += f->len - last;
	f->len = f->seg = last;
	return all - 1;
}

size_t cv_slice_put(struct cv_slice *s, uint8_t *p, size_t room, size_t whole,
	uint64_t *big)
{
	size_t n = 0;
	while (next(s)) {
		size_t need = CV_DGRAM_HEAD + s->train.seg;
		size_t open = open_size(s);
		if (need > whole) {
			*big += drop_large(&s->train);
			continue;
		}
		if (open && s->opens >= CV_PACKET_OPENS)
			break;
		if (open && open + need > whole && !n)
			return put_open(s, p, room);
		if (n + open + need > room)
			break;
		if (open)
			n += cv_frame_put_open(p + n, &s->open);
		s->opens += open != 0;
		n += put_train(s, p + n, room - n);
	}
	return n;
}
