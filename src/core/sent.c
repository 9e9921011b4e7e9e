/* SPDX-License-Identifier: MIT */
#include "core/sent.h"

#include <string.h>

enum { FIRST_SIZE = 32 };

void cv_flights_init(
	struct cv_flights *f, const struct cv_env *env, uint64_t number)
{
	*f = (struct cv_flights){
		.env = env, .first = number, .next = number, .oldest = number
	};
}

static void release(struct cv_flights *f)
{
	const struct cv_env *env = f->env;
	if (f->ring)
		env->free(env->user, f->ring, f->size * sizeof *f->ring);
	if (f->part)
		env->free(env->user, f->part, f->part_size * sizeof *f->part);
	f->ring = NULL;
	f->part = NULL;
	f->size = f->part_size = 0;
}

void cv_flights_clear(struct cv_flights *f, struct cv_pool *pool)
{
	for (uint64_t i = f->first_part; i < f->next_part; i++) {
		struct cv_part *p = &f->part[i & (f->part_size - 1)];
		if (p->type == CV_PART_CONTROL)
			cv_buf_free(pool, p->ctl);
	}
	release(f);
	cv_flights_init(f, f->env, f->next);
}

void cv_flights_idle(struct cv_flights *f)
{
	if (f->first == f->next && f->first_part == f->next_part)
		release(f);
}

/* the power of two that is enough for @need entries; 0: more than @max */
static uint32_t enough(uint32_t size, uint64_t need, uint32_t max)
{
	if (need > max)
		return 0;
	size = size ? size : FIRST_SIZE;
	while (size < need)
		size *= 2;
	return size;
}

static int grow_ring(struct cv_flights *f, uint64_t need)
{
	const struct cv_env *env = f->env;
	uint32_t size = enough(f->size, need, CV_SENT_MAX);
	struct cv_sent *ring;
	if (!size)
		return CULVERT_EFULL;
	ring = env->alloc(env->user, size * sizeof *ring);
	if (!ring)
		return CULVERT_ENOMEM;
	for (uint64_t n = f->first; n < f->next; n++)
		ring[n & (size - 1)] = f->ring[n & (f->size - 1)];
	if (f->ring)
		env->free(env->user, f->ring, f->size * sizeof *ring);
	f->ring = ring;
	f->size = size;
	return 0;
}

static int grow_parts(struct cv_flights *f, uint64_t need)
{
	const struct cv_env *env = f->env;
	uint32_t size = enough(f->part_size, need, CV_PARTS_MAX);
	struct cv_part *part;
	if (!size)
		return CULVERT_EFULL;
	part = env->alloc(env->user, size * sizeof *part);
	if (!part)
		return CULVERT_ENOMEM;
	for (uint64_t i = f->first_part; i < f->next_part; i++)
		part[i & (size - 1)] = f->part[i & (f->part_size - 1)];
	if (f->part)
		env->free(env->user, f->part, f->part_size * sizeof *part);
	f->part = part;
	f->part_size = size;
	return 0;
}

int cv_flights_reserve(struct cv_flights *f, unsigned parts)
{
	uint64_t packets = f->next - f->first + 1;
	uint64_t all = f->sent_part - f->first_part + parts;
	int err = 0;
	if (parts > UINT16_MAX)
		return CULVERT_EFULL;
	if (packets > f->size)
		err = grow_ring(f, packets);
	if (!err && all > f->part_size)
		err = grow_parts(f, all);
	return err;
}

struct cv_part *cv_flights_part(struct cv_flights *f)
{
	struct cv_part *p = &f->part[f->next_part++ & (f->part_size - 1)];
	*p = (struct cv_part){ 0 };
	return p;
}

void cv_flights_undo(struct cv_flights *f)
{
	f->next_part = f->sent_part;
}

int cv_flights_skip(struct cv_flights *f, uint64_t number)
{
	if (number <= f->next)
		return 0;
	if (f->first == f->next) {
		f->first = f->next = f->oldest = number;
		return 0;
	}
	if (number - f->first > f->size) {
		int err = grow_ring(f, number - f->first);
		if (err)
			return err;
	}
	for (; f->next < number; f->next++)
		f->ring[f->next & (f->size - 1)] =
			(struct cv_sent){ .first_part = f->sent_part };
	return 0;
}

struct cv_sent *cv_flights_sent(
	struct cv_flights *f, uint64_t number, uint32_t size, cv_time now)
{
	struct cv_sent *s;
	/* what lies between and the packet itself: both or neither */
	if (f->first < f->next && number + 1 - f->first > f->size &&
		grow_ring(f, number + 1 - f->first))
		return NULL;
	cv_flights_skip(f, number);
	s = &f->ring[f->next++ & (f->size - 1)];
	*s = (struct cv_sent){ .at = now,
		.first_part = f->sent_part,
		.size = size,
		.parts = (uint16_t)(f->next_part - f->sent_part),
		.state = CV_SENT_FLYING };
	f->sent_part = f->next_part;
	f->inflight += size;
	f->flying++;
	return s;
}

uint64_t cv_flights_oldest(struct cv_flights *f)
{
	if (f->oldest < f->first)
		f->oldest = f->first;
	if (!f->flying)
		f->oldest = f->next;
	while (f->oldest < f->next &&
		f->ring[f->oldest & (f->size - 1)].state != CV_SENT_FLYING)
		f->oldest++;
	return f->oldest;
}

void cv_flights_trim(struct cv_flights *f, cv_time before)
{
	for (; f->first < f->next; f->first++) {
		struct cv_sent *s = &f->ring[f->first & (f->size - 1)];
		if (s->state == CV_SENT_FLYING ||
			(s->state == CV_SENT_LOST && s->at >= before))
			break;
		f->first_part = s->first_part + s->parts;
	}
}
