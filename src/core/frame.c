/* SPDX-License-Identifier: MIT */
#include "core/frame.h"

#include "core/acks.h"

#include <assert.h>
#include <string.h>

static const char *const reset_name[] = {
	[CV_RESET_DONE] = "done",
	[CV_RESET_UNKNOWN] = "unknown_flow",
	[CV_RESET_REFUSED] = "not_allowed",
	[CV_RESET_TARGET] = "bad_target",
	[CV_RESET_LIMIT] = "flow_limit",
	[CV_RESET_SYSTEM] = "system_error",
	[CV_RESET_NOBODY] = "connection_refused",
	[CV_RESET_UNREACHABLE] = "unreachable",
	[CV_RESET_TIMEOUT] = "timed_out",
	[CV_RESET_ABORTED] = "aborted",
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
	[CV_RESET_NOBODY] = "nobody listens at the target",
	[CV_RESET_UNREACHABLE] = "no way from there to the target",
	[CV_RESET_TIMEOUT] = "the target does not answer",
	[CV_RESET_ABORTED] = "the program at the far end broke it off",
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

/* each number bounds the next: nothing can overflow */
static bool get_part(uint8_t **p, uint8_t *end, struct cv_frame *f)
{
	uint64_t whole;
	if (!cv_varint_get(p, end, &f->flow) ||
		!cv_varint_get(p, end, &f->taken) ||
		!cv_varint_get(p, end, &whole) || whole > CV_DGRAM_MAX ||
		!cv_varint_get(p, end, &f->value) || f->value >= whole ||
		!get_data(p, end, f))
		return false;
	f->seg = (uint32_t)whole;
	return f->len && f->len <= whole - f->value;
}

static bool get_fixed(uint8_t **p, const uint8_t *end, size_t n, uint64_t *v)
{
	if ((size_t)(end - *p) < n)
		return false;
	*v = n == 8 ? cv_get64(*p) : cv_get32(*p);
	*p += n;
	return true;
}

static bool get_stream(uint8_t **p, uint8_t *end, struct cv_frame *f)
{
	bool has_len = f->type & CV_STREAM_LEN;
	f->fin = f->type & CV_STREAM_FIN;
	f->type = CV_FRAME_STREAM;
	if (!cv_varint_get(p, end, &f->flow) ||
		!cv_varint_get(p, end, &f->value))
		return false;
	if (has_len)
		return get_data(p, end, f);
	f->data = *p;
	f->len = (uint32_t)(end - *p);
	*p = end;
	return true;
}

static bool get_ack(uint8_t **p, uint8_t *end, struct cv_frame *f)
{
	struct cv_ack_walk w;
	f->data = *p;
	if (cv_ack_read(p, end, &w))
		return false;
	f->len = (uint32_t)(*p - f->data);
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
	case CV_FRAME_CHALLENGE:
	case CV_FRAME_ECHO:
		return get_fixed(p, end, 8, &f->value);
	case CV_FRAME_TIME:
		if (!get_fixed(p, end, 4, &v))
			return false;
		f->time = (uint32_t)v;
		return true;
	case CV_FRAME_CLOSE:
	case CV_FRAME_LINK:
	case CV_FRAME_SESSION_WINDOW:
		return cv_varint_get(p, end, &f->value);
	case CV_FRAME_OPEN:
		if (!cv_varint_get(p, end, &f->flow) || *p >= end)
			return false;
		f->kind = *(*p)++;
		return get_data(p, end, f) && f->len <= CV_TARGET_MAX;
	case CV_FRAME_OPENED:
		return cv_varint_get(p, end, &f->flow);
	case CV_FRAME_WINDOW:
		return cv_varint_get(p, end, &f->flow) &&
		       cv_varint_get(p, end, &f->taken) &&
		       cv_varint_get(p, end, &f->value);
	case CV_FRAME_RESET:
		return cv_varint_get(p, end, &f->flow) &&
		       cv_varint_get(p, end, &f->value);
	case CV_FRAME_DGRAM:
		return get_dgram(p, end, f);
	case CV_FRAME_PART:
		return get_part(p, end, f);
	case CV_FRAME_ACK:
		return get_ack(p, end, f);
	case CV_FRAME_STREAM:
	case CV_FRAME_STREAM | CV_STREAM_FIN:
	case CV_FRAME_STREAM | CV_STREAM_LEN:
	case CV_FRAME_STREAM | CV_STREAM_LEN | CV_STREAM_FIN:
		return get_stream(p, end, f);
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
	case CV_FRAME_CHALLENGE:
	case CV_FRAME_ECHO:
		cv_put64(p + 1, f->value);
		return 9;
	case CV_FRAME_TIME:
		cv_put32(p + 1, f->time);
		return 5;
	case CV_FRAME_CLOSE:
	case CV_FRAME_LINK:
	case CV_FRAME_SESSION_WINDOW:
		return n + cv_varint_put(p + n, f->value);
	case CV_FRAME_OPENED:
		return n + cv_varint_put(p + n, f->flow);
	case CV_FRAME_WINDOW:
		n += cv_varint_put(p + n, f->flow);
		n += cv_varint_put(p + n, f->taken);
		return n + cv_varint_put(p + n, f->value);
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

size_t cv_frame_put_stream(uint8_t *p, const struct cv_frame *f, bool last)
{
	size_t n = 1;
	p[0] = (uint8_t)(CV_FRAME_STREAM | (f->fin ? CV_STREAM_FIN : 0) |
			 (last ? 0 : CV_STREAM_LEN));
	n += cv_varint_put(p + n, f->flow);
	n += cv_varint_put(p + n, f->value);
	if (!last)
		n += cv_varint_put(p + n, f->len);
	return n;
}

size_t cv_frame_put_part(uint8_t *p, const struct cv_frame *f)
{
	size_t n = 1;
	p[0] = CV_FRAME_PART;
	n += cv_varint_put(p + n, f->flow);
	n += cv_varint_put(p + n, f->taken);
	cv_varint_put4(p + n, f->seg);
	cv_varint_put4(p + n + 4, (uint32_t)f->value);
	cv_varint_put4(p + n + 8, f->len);
	return n + 12;
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
