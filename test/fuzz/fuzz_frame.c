/* SPDX-License-Identifier: MIT */
/* fuzz_frame.c - the frames of a packet, decoded, encoded and decoded again */
#include "core/frame.h"
#include "fuzz/fuzz.h"

#define VARINT_MAX ((UINT64_C(1) << 62) - 1)

static void check_dgram(const struct cv_frame *f)
{
	uint64_t n = cv_frame_count(f);
	CHECK(f->seg <= CV_DGRAM_MAX && n >= 1);
	CHECK((f->seg == 0) == (f->len == 0));
	CHECK(!f->seg || ((n - 1) * f->seg < f->len && n * f->seg >= f->len));
}

static void check_frame(
	const struct cv_frame *f, const uint8_t *at, const uint8_t *p)
{
	CHECK(p > at && f->flow <= VARINT_MAX);
	if (f->type == CV_FRAME_OPEN || f->type == CV_FRAME_DGRAM ||
		f->type == CV_FRAME_PART || f->type == CV_FRAME_STREAM ||
		f->type == CV_FRAME_ACK)
		CHECK(f->data > at && f->data + f->len == p);
	if (f->type == CV_FRAME_OPEN)
		CHECK(f->len <= CV_TARGET_MAX);
	if (f->type == CV_FRAME_DGRAM)
		check_dgram(f);
	if (f->type == CV_FRAME_PART)
		CHECK(f->seg <= CV_DGRAM_MAX && f->len &&
			f->value + f->len <= f->seg && f->value < f->seg);
	CHECK(*cv_reset_name(f->value) && *cv_reset_why(f->value));
}

/* txq.c writes these, with the length in the four-byte form */
static size_t put_dgram(uint8_t *p, const struct cv_frame *f)
{
	size_t n = 1;
	p[0] = CV_FRAME_DGRAM;
	n += cv_varint_put(p + n, f->flow);
	n += cv_varint_put(p + n, f->seg);
	cv_varint_put4(p + n, f->len);
	n += 4;
	CHECK(n <= CV_DGRAM_HEAD);
	if (f->len)
		memcpy(p + n, f->data, f->len);
	return n + f->len;
}

static size_t put(uint8_t *p, const struct cv_frame *f)
{
	size_t n;
	switch (f->type) {
	case CV_FRAME_PADDING:
		*p = CV_FRAME_PADDING;
		return 1;
	case CV_FRAME_DGRAM:
		return put_dgram(p, f);
	case CV_FRAME_OPEN:
		n = cv_frame_put_open(p, f);
		CHECK(n <= CV_OPEN_HEAD + f->len);
		return n;
	case CV_FRAME_STREAM:
		n = cv_frame_put_stream(p, f, false);
		CHECK(n <= CV_STREAM_HEAD);
		if (f->len)
			memcpy(p + n, f->data, f->len);
		return n + f->len;
	case CV_FRAME_PART:
		n = cv_frame_put_part(p, f);
		CHECK(n <= CV_PART_HEAD);
		memcpy(p + n, f->data, f->len);
		return n + f->len;
	case CV_FRAME_ACK: /* acks.c writes these */
		*p = CV_FRAME_ACK;
		memcpy(p + 1, f->data, f->len);
		return 1 + f->len;
	default:
		n = cv_frame_put(p, f);
		CHECK(n && n <= CV_FRAME_SHORT);
		return n;
	}
}

static bool same(const struct cv_frame *a, const struct cv_frame *b)
{
	return a->type == b->type && a->kind == b->kind && a->time == b->time &&
	       a->fin == b->fin && a->taken == b->taken && a->flow == b->flow &&
	       a->value == b->value && a->seg == b->seg && a->len == b->len &&
	       (!a->len || !memcmp(a->data, b->data, a->len));
}

/* as we would write it, in exactly that room */
static void again(const struct cv_frame *f)
{
	size_t room = CV_PART_HEAD + f->len;
	uint8_t *out = malloc(room);
	CHECK(out);
	size_t n = put(out, f);
	CHECK(n <= room);
	for (size_t len = 1; len < n; len += len < 32 ? 1 : 97) {
		struct cv_frame part = { 0 };
		uint8_t *p = out;
		CHECK(cv_frame_next(&p, out + len, &part) == CULVERT_EPROTO);
		CHECK(p <= out + len);
	}
	struct cv_frame g = { 0 };
	uint8_t *p = out;
	CHECK(cv_frame_next(&p, out + n, &g) == 1 && p == out + n);
	CHECK(same(f, &g));
	free(out);
}

static void number(const uint8_t *data, size_t size)
{
	uint8_t in[8] = { 0 }, out[8], *p = in;
	uint64_t v, w;
	memcpy(in, data, size < 8 ? size : 8);
	CHECK(cv_varint_get(&p, in + 8, &v) && v <= VARINT_MAX);
	size_t n = cv_varint_put(out, v);
	CHECK(n <= (size_t)(p - in));
	p = out;
	CHECK(cv_varint_get(&p, out + n, &w) && p == out + n && v == w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *packet = exact(data, size), *p = packet, *end = packet + size;
	int r = 1;
	if (size)
		number(data, size);
	while (r > 0) {
		struct cv_frame f = { 0 };
		uint8_t *at = p;
		r = cv_frame_next(&p, end, &f);
		CHECK(p >= at && p <= end);
		if (r <= 0)
			break;
		check_frame(&f, at, p);
		/* padding is many, and all alike */
		if (f.type != CV_FRAME_PADDING)
			again(&f);
	}
	CHECK(r == CULVERT_EPROTO || (!r && p == end));
	CHECK(!memcmp(packet, data, size) || !size);
	free(packet);
	return 0;
}
