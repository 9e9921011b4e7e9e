/* SPDX-License-Identifier: MIT */
#include "core/slice.h"

#include <string.h>

/* what was begun is not finished: another one is not taken for it */
static void abandon(struct cv_slice *s)
{
	s->number += s->cut != 0;
	s->cut = 0;
}

void cv_slice_clear(struct cv_slice *s, struct cv_pool *pool)
{
	cv_buf_free(pool, s->buf);
	cv_buf_free(pool, s->lead);
	s->buf = s->lead = NULL;
	s->p = s->end = NULL;
	s->open.type = s->train.type = 0;
	abandon(s);
}

bool cv_slice_pending(const struct cv_slice *s)
{
	return s->train.type != 0 || s->p < s->end;
}

void cv_slice_begin(
	struct cv_slice *s, struct cv_pool *pool, struct cv_buf *chunk)
{
	struct cv_buf *lead = s->open.type && !s->buf->dgrams ? s->buf : NULL;
	struct cv_frame open = s->open;
	if (lead)
		s->buf = NULL;
	cv_slice_clear(s, pool);
	s->lead = lead;
	if (lead)
		s->open = open;
	s->buf = chunk;
	s->p = cv_buf_data(chunk);
	s->end = cv_buf_end(chunk);
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

/* the first datagram of the train is not there any more */
static void step(struct cv_frame *f, uint32_t size)
{
	f->data += size;
	f->len -= size;
	if (!f->len)
		f->type = 0;
	else if (f->len < f->seg)
		f->seg = f->len;
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
	step(f, n);
	return at + n;
}

/*
 * Parts of equal size, about: one takes the place of an ACK that an earlier
 * packet of the train had, so that packets stay equally long.
 * @most: in an empty packet; returns 0 if an emptier one is needed
 */
static uint32_t part_size(uint32_t left, size_t most, size_t room)
{
	size_t parts = (left + most - 1) / most;
	size_t n = (left + parts - 1) / parts;
	if (room + n / 8 < n && room < CV_PART_LEAST)
		return 0;
	if (room < n + CV_PART_SPARE)
		n = room;
	return n < left ? (uint32_t)n : left;
}

/* the next part of the train's first datagram; 0: no room */
static size_t put_part(
	struct cv_slice *s, uint8_t *p, size_t room, size_t whole)
{
	struct cv_frame *f = &s->train;
	size_t open = open_size(s), n = 0;
	size_t head = open + cv_varint_size(f->flow) +
		      cv_varint_size(s->number) + CV_PART_FIXED;
	struct cv_frame part = { .flow = f->flow,
		.taken = s->number,
		.value = s->cut,
		.seg = f->len < f->seg ? f->len : f->seg };
	part.len = room <= head ? 0
				: part_size(part.seg - s->cut, whole - head,
					  room - head);
	if (!part.len)
		return 0;
	if (open)
		n += cv_frame_put_open(p, &s->open);
	n += cv_frame_put_part(p + n, &part);
	memcpy(p + n, f->data + s->cut, part.len);
	if (!s->cut)
		s->begun = s->now;
	s->opens += open != 0;
	s->part = true;
	s->cut += part.len;
	if (s->cut == part.seg) {
		s->cut = 0;
		s->number++;
		step(f, part.seg);
	}
	return n + part.len;
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
		bool large = need > whole || s->cut;
		if (large && s->train.seg > s->most) {
			*big += drop_large(&s->train);
			abandon(s);
			continue;
		}
		if ((open && s->opens >= CV_PACKET_OPENS) || (large && s->part))
			break;
		if (large)
			return n + put_part(s, p + n, room - n, whole);
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
