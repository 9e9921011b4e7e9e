/* SPDX-License-Identifier: MIT */
#include "core/frame.h"

#include <assert.h>
#include <string.h>

static const char *const reset_name[] = {
	[CV_RESET_DONE] = "done",
	[CV_RESET_UNKNOWN] = "unknown_flow",
	[CV_RESET_REFUSED] = "not_allowed",
	[CV_RESET_TARGET] = "bad_target",
	[CV_RESET_LIMIT] = "flow_limit",
	[CV_RESET_SYSTEM] = "system_error",
};
static_assert(CV_COUNT(reset_name) == CV_RESET_N, "every reset has a name");

const char *cv_reset_name(uint64_t code)
{
	return code < CV_RESET_N ? reset_name[code] : "unknown_code";
}

static const char *const reset_why[] = {
	[CV_RESET_DONE] = "closed",
	[CV_RESET_UNKNOWN] = "it does not know the flow",
	[CV_RESET_REFUSED] = "no --allow there covers it",
	[CV_RESET_TARGET] = "no such target; if none was given, no --to there",
	[CV_RESET_LIMIT] = "no room there for another flow",
	[CV_RESET_SYSTEM] = "its system refused a socket or an address",
};
static_assert(CV_COUNT(reset_why) == CV_RESET_N, "every reset has a reason");

const char *cv_reset_why(uint64_t code)
{
	return code < CV_RESET_N ? reset_why[code] : "a reason unknown here";
}

size_t cv_varint_put(uint8_t *p, uint64_t v)
{
	if (v < 1u << 6) {
		p[0] = (uint8_t)v;
		return 1;
	}
	if (v < 1u << 14) {
		cv_put16(p, (uint16_t)(v | 0x4000));
		return 2;
	}
	if (v < 1u << 30) {
		cv_varint_put4(p, (uint32_t)v);
		return 4;
	}
	cv_put64(p, v | UINT64_C(3) << 62);
	return 8;
}

void cv_varint_put4(uint8_t *p, uint32_t v)
{
	cv_put32(p, v | UINT32_C(2) << 30);
}

bool cv_varint_get(uint8_t **p, const uint8_t *end, uint64_t *v)
{
	if (*p >= end)
		return false;
	size_t n = (size_t)1 << (**p >> 6);
	if ((size_t)(end - *p) < n)
		return false;
	uint64_t x = **p & 0x3f;
	for (size_t i = 1; i < n; i++)
		x = x << 8 | (*p)[i];
	*p += n;
	*v = x;
	return true;
}

/* a length and that many bytes */
static bool get_data(uint8_t **p, uint8_t *end, struct cv_frame *f)
{
	uint64_t len;
	if (!cv_varint_get(p, end, &len) || len > (uint64_t)(end - *p))
		return false;
	f->len = (uint32_t)len;
	f->data = *p;
	*p += len;
	return true;
}

static bool get_dgram(uint8_t **p, uint8_t *end, struct cv_frame *f)
{
	uint64_t seg;
	if (!cv_varint_get(p, end, &f->flow) || !cv_varint_get(p, end, &seg) ||
		seg > CV_DGRAM_MAX || !get_data(p, end, f))
		return false;
	f->seg = (uint32_t)seg;
	/* seg 0 is one empty datagram, so nothing may follow it */
	return seg ? f->len > 0 : f->len == 0;
}

static bool get_fixed(uint8_t **p, const uint8_t *end, size_t n, uint64_t *v)
{
	if ((size_t)(end - *p) < n)
		return false;
	*v = n == 8 ? cv_get64(*p) : cv_get32(*p);
	*p += n;
	return true;
}

static bool get_body(uint8_t **p, uint8_t *end, struct cv_frame *f)
{
	uint64_t v;
	switch (f->type) {
	case CV_FRAME_PADDING:
		return true;
	case CV_FRAME_PING:
	case CV_FRAME_PONG:
		return get_fixed(p, end, 8, &f->value);
	case CV_FRAME_TIME:
		if (!get_fixed(p, end, 4, &v))
			return false;
		f->time = (uint32_t)v;
		return true;
	case CV_FRAME_CLOSE:
	case CV_FRAME_LINK:
		return cv_varint_get(p, end, &f->value);
	case CV_FRAME_OPEN:
		if (!cv_varint_get(p, end, &f->flow) || *p >= end)
			return false;
		f->kind = *(*p)++;
		return get_data(p, end, f) && f->len <= CV_TARGET_MAX;
	case CV_FRAME_OPENED:
		return cv_varint_get(p, end, &f->flow);
	case CV_FRAME_RESET:
		return cv_varint_get(p, end, &f->flow) &&
		       cv_varint_get(p, end, &f->value);
	case CV_FRAME_DGRAM:
		return get_dgram(p, end, f);
	default:
		return false;
	}
}

int cv_frame_next(uint8_t **p, uint8_t *end, struct cv_frame *f)
{
	if (*p >= end)
		return 0;
	f->type = *(*p)++;
	return get_body(p, end, f) ? 1 : CULVERT_EPROTO;
}

size_t cv_frame_put(uint8_t *p, const struct cv_frame *f)
{
	size_t n = 1;
	p[0] = f->type;
	switch (f->type) {
	case CV_FRAME_PING:
	case CV_FRAME_PONG:
		cv_put64(p + 1, f->value);
		return 9;
	case CV_FRAME_TIME:
		cv_put32(p + 1, f->time);
		return 5;
	case CV_FRAME_CLOSE:
	case CV_FRAME_LINK:
		return n + cv_varint_put(p + n, f->value);
	case CV_FRAME_OPENED:
		return n + cv_varint_put(p + n, f->flow);
	case CV_FRAME_RESET:
		n += cv_varint_put(p + n, f->flow);
		return n + cv_varint_put(p + n, f->value);
	default:
		return 0;
	}
}

size_t cv_frame_put_time(uint8_t *p, cv_time now)
{
	return cv_frame_put(p, &(struct cv_frame){ .type = CV_FRAME_TIME,
				       .time = (uint32_t)now });
}

size_t cv_frame_put_open(uint8_t *p, const struct cv_frame *f)
{
	size_t n = 1;
	p[0] = CV_FRAME_OPEN;
	n += cv_varint_put(p + n, f->flow);
	p[n++] = f->kind;
	n += cv_varint_put(p + n, f->len);
	memcpy(p + n, f->data, f->len);
	return n + f->len;
}

enum cv_reset cv_reset_of(int err)
{
	switch (err) {
	case CULVERT_EREFUSED:
		return CV_RESET_REFUSED;
	case CULVERT_ESYNTAX:
	case CULVERT_EINVAL:
		return CV_RESET_TARGET;
	case CULVERT_ENOMEM:
	case CULVERT_EFULL:
		return CV_RESET_LIMIT;
	default:
		return CV_RESET_SYSTEM;
	}
}
