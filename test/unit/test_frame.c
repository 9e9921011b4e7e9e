/* SPDX-License-Identifier: MIT */
/* test_frame.c - frames there and back, cut short, and lying about lengths */
#include "unit/check.h"

#include "core/flow.h"
#include "core/frame.h"
#include "unit/env.h"

static uint8_t payload[CV_FRAMES_MAX];

static uint64_t any_varint(uint64_t *seed)
{
	return rnd(seed) >> (2 + rnd_below(seed, 62));
}

static struct cv_frame any_frame(uint64_t *seed)
{
	static const uint8_t type[] = { CV_FRAME_PADDING, CV_FRAME_PING,
		CV_FRAME_PONG, CV_FRAME_CLOSE, CV_FRAME_TIME, CV_FRAME_LINK,
		CV_FRAME_CHALLENGE, CV_FRAME_ECHO, CV_FRAME_OPEN,
		CV_FRAME_OPENED, CV_FRAME_RESET, CV_FRAME_WINDOW,
		CV_FRAME_SESSION_WINDOW, CV_FRAME_DGRAM, CV_FRAME_PART,
		CV_FRAME_STREAM };
	struct cv_frame f = { .type = type[rnd_below(seed, sizeof type)] };
	f.flow = any_varint(seed);
	f.value = f.type == CV_FRAME_PING || f.type == CV_FRAME_PONG ||
				  f.type == CV_FRAME_CHALLENGE ||
				  f.type == CV_FRAME_ECHO
			  ? rnd(seed)
			  : any_varint(seed);
	f.taken = any_varint(seed);
	f.fin = rnd_below(seed, 2);
	f.time = (uint32_t)rnd(seed);
	f.kind = (uint8_t)rnd(seed);
	f.data = payload;
	if (f.type == CV_FRAME_OPEN)
		f.len = (uint32_t)rnd_below(seed, CV_TARGET_MAX + 1);
	if (f.type == CV_FRAME_STREAM)
		f.len = (uint32_t)rnd_below(seed, 1500);
	if (f.type == CV_FRAME_PART) {
		f.len = (uint32_t)(1 + rnd_below(seed, 1500));
		f.seg = f.len + (uint32_t)rnd_below(seed, 64000);
		f.value = rnd_below(seed, f.seg - f.len + 1);
	}
	if (f.type == CV_FRAME_DGRAM && rnd_below(seed, 8)) {
		f.seg = (uint32_t)(1 + rnd_below(seed, 1500));
		f.len = (uint32_t)(1 + rnd_below(seed, 3000));
	}
	return f;
}

static size_t encode(uint8_t *p, const struct cv_frame *f)
{
	size_t n = 1;
	*p = f->type;
	if (f->type == CV_FRAME_PADDING)
		return 1;
	if (f->type == CV_FRAME_OPEN)
		return cv_frame_put_open(p, f);
	if (f->type == CV_FRAME_STREAM) {
		n = cv_frame_put_stream(p, f, false);
		assert_true(n <= CV_STREAM_HEAD);
		memcpy(p + n, f->data, f->len);
		return n + f->len;
	}
	if (f->type == CV_FRAME_PART) {
		n = cv_frame_put_part(p, f);
		assert_true(n <= CV_PART_HEAD);
		memcpy(p + n, f->data, f->len);
		return n + f->len;
	}
	if (f->type != CV_FRAME_DGRAM) {
		n = cv_frame_put(p, f);
		assert_true(n > 1 && n <= CV_FRAME_SHORT);
		return n;
	}
	n += cv_varint_put(p + n, f->flow);
	n += cv_varint_put(p + n, f->seg);
	n += cv_varint_put(p + n, f->len);
	memcpy(p + n, f->data, f->len);
	return n + f->len;
}

static void compare(const struct cv_frame *got, const struct cv_frame *want)
{
	bool stream = want->type == CV_FRAME_STREAM;
	bool window = want->type == CV_FRAME_WINDOW;
	bool part = want->type == CV_FRAME_PART;
	bool flow = want->type >= CV_FRAME_OPEN &&
		    want->type != CV_FRAME_SESSION_WINDOW;
	assert_int_equal(got->type, want->type);
	if (flow)
		assert_true(got->flow == want->flow);
	if (want->type == CV_FRAME_TIME)
		assert_int_equal(got->time, want->time);
	else if (want->type && (!flow || want->type == CV_FRAME_RESET ||
				       stream || window || part))
		assert_true(got->value == want->value);
	if (want->type == CV_FRAME_OPEN)
		assert_int_equal(got->kind, want->kind);
	if (want->type == CV_FRAME_DGRAM || part)
		assert_int_equal(got->seg, want->seg);
	if (window || part)
		assert_true(got->taken == want->taken);
	if (stream)
		assert_int_equal(got->fin, want->fin);
	if (want->type != CV_FRAME_OPEN && want->type != CV_FRAME_DGRAM &&
		!stream && !part)
		return;
	assert_int_equal(got->len, want->len);
	assert_memory_equal(got->data, want->data, want->len);
}

static void test_there_and_back(void **state)
{
	static uint8_t packet[CV_FRAMES_MAX], again[CV_FRAMES_MAX];
	uint64_t seed = 15;
	(void)state;
	rnd_fill(&seed, payload, sizeof payload);
	for (int i = 0; i < 3000; i++) {
		struct cv_frame want[12], got = { 0 };
		size_t n = 0, len = 0, back = 0;
		for (; n < CV_COUNT(want) && rnd_below(&seed, 10); n++) {
			want[n] = any_frame(&seed);
			len += encode(packet + len, &want[n]);
		}
		uint8_t *p = packet, *end = packet + len;
		for (size_t k = 0; k < n; k++) {
			assert_int_equal(cv_frame_next(&p, end, &got), 1);
			compare(&got, &want[k]);
			back += encode(again + back, &got);
		}
		assert_int_equal(cv_frame_next(&p, end, &got), 0);
		assert_ptr_equal(p, end);
		assert_int_equal(back, len);
		assert_memory_equal(again, packet, len);
	}
}

/* no frame may be read from half of itself; the bytes end where they end */
static void test_every_cut(void **state)
{
	uint64_t seed = 16;
	(void)state;
	for (int i = 0; i < 400; i++) {
		uint8_t packet[4096];
		struct cv_frame f = any_frame(&seed), got;
		if (f.type == CV_FRAME_PADDING)
			continue;
		size_t len = encode(packet, &f);
		for (size_t cut = 1; cut < len; cut++) {
			/* in memory that ends there too */
			uint8_t *copy = malloc(cut), *p = copy;
			assert_non_null(copy);
			memcpy(copy, packet, cut);
			assert_int_equal(cv_frame_next(&p, copy + cut, &got),
				CULVERT_EPROTO);
			free(copy);
		}
	}
}

static int next(const uint8_t *bytes, size_t len, struct cv_frame *f)
{
	uint8_t copy[1024], *p = copy;
	memcpy(copy, bytes, len);
	return cv_frame_next(&p, copy + len, f);
}

static void test_hostile_lengths(void **state)
{
	static const uint64_t len[] = { 11, 100, 0x3fff, 65571, 65572,
		UINT32_MAX, UINT64_C(1) << 32, (UINT64_C(1) << 62) - 1 };
	uint8_t p[64];
	struct cv_frame f;
	(void)state;
	memset(p, 0, sizeof p);
	for (size_t i = 0; i < CV_COUNT(len); i++) {
		size_t n = 0;
		p[n++] = CV_FRAME_DGRAM;
		n += cv_varint_put(p + n, 2);
		n += cv_varint_put(p + n, 10);
		n += cv_varint_put(p + n, len[i]);
		assert_int_equal(next(p, n + 10, &f), CULVERT_EPROTO);
		n = 0;
		p[n++] = CV_FRAME_OPEN;
		n += cv_varint_put(p + n, 2);
		p[n++] = CV_KIND_DGRAM;
		n += cv_varint_put(p + n, len[i]);
		assert_int_equal(next(p, n + 10, &f), CULVERT_EPROTO);
	}
}

/* flow 2, segment size, length, that many bytes */
static int dgram(uint64_t seg, size_t len)
{
	static uint8_t p[CV_FRAMES_MAX + 64];
	struct cv_frame f;
	uint8_t *at = p;
	size_t n = 1;
	p[0] = CV_FRAME_DGRAM;
	n += cv_varint_put(p + n, 2);
	n += cv_varint_put(p + n, seg);
	n += cv_varint_put(p + n, len);
	return cv_frame_next(&at, p + n + len, &f);
}

static void test_segments(void **state)
{
	(void)state;
	assert_int_equal(dgram(0, 0), 1);
	assert_int_equal(dgram(0, 1), CULVERT_EPROTO);
	assert_int_equal(dgram(1, 0), CULVERT_EPROTO);
	assert_int_equal(dgram(1, 1), 1);
	assert_int_equal(dgram(10, 5), 1);
	assert_int_equal(dgram(CV_DGRAM_MAX, CV_DGRAM_MAX), 1);
	assert_int_equal(dgram(CV_DGRAM_MAX, 1), 1);
	assert_int_equal(dgram(CV_DGRAM_MAX + 1, 1), CULVERT_EPROTO);
	assert_int_equal(dgram(UINT64_C(1) << 32, 5), CULVERT_EPROTO);
}

/* flow 2, number 3, whole, offset, length, that many bytes */
static int part(uint64_t whole, uint64_t offset, uint64_t len)
{
	static uint8_t p[CV_FRAMES_MAX + 64];
	struct cv_frame f;
	uint8_t *at = p;
	size_t n = 1;
	p[0] = CV_FRAME_PART;
	n += cv_varint_put(p + n, 2);
	n += cv_varint_put(p + n, 3);
	n += cv_varint_put(p + n, whole);
	n += cv_varint_put(p + n, offset);
	n += cv_varint_put(p + n, len);
	return cv_frame_next(&at, p + n + (len < 65536 ? len : 65536), &f);
}

static void test_parts(void **state)
{
	const uint64_t most = (UINT64_C(1) << 62) - 1;
	(void)state;
	assert_int_equal(part(1, 0, 1), 1);
	assert_int_equal(part(0, 0, 0), CULVERT_EPROTO);
	assert_int_equal(part(2, 1, 1), 1);
	assert_int_equal(part(2, 1, 2), CULVERT_EPROTO);
	assert_int_equal(part(2, 2, 0), CULVERT_EPROTO);
	assert_int_equal(part(2, 0, 0), CULVERT_EPROTO);
	assert_int_equal(part(CV_DGRAM_MAX, 0, CV_DGRAM_MAX), 1);
	assert_int_equal(part(CV_DGRAM_MAX, CV_DGRAM_MAX - 1, 1), 1);
	assert_int_equal(part(CV_DGRAM_MAX + 1, 0, 1), CULVERT_EPROTO);
	assert_int_equal(part(most, 0, 1), CULVERT_EPROTO);
	assert_int_equal(part(100, most, 1), CULVERT_EPROTO);
	assert_int_equal(part(100, 50, most), CULVERT_EPROTO);
	assert_int_equal(part(100, 99, UINT64_C(1) << 32), CULVERT_EPROTO);
}

static void test_target_limit(void **state)
{
	uint8_t p[600];
	(void)state;
	for (uint32_t len = 0; len <= 500; len++) {
		struct cv_frame f = { .flow = 4,
			.kind = CV_KIND_DGRAM,
			.len = len,
			.data = payload };
		size_t n = cv_frame_put_open(p, &f);
		uint8_t *at = p;
		assert_int_equal(cv_frame_next(&at, p + n, &f),
			len <= CV_TARGET_MAX ? 1 : CULVERT_EPROTO);
	}
}

/* without a length: it goes to the packet's end */
static void test_last_stream(void **state)
{
	uint8_t p[300], *at = p;
	struct cv_frame f = { .flow = 70, .value = 1 << 20, .fin = true };
	(void)state;
	f.len = 200;
	size_t n = cv_frame_put_stream(p, &f, true);
	memset(p + n, 0, 200);
	assert_int_equal(cv_frame_next(&at, p + n + 200, &f), 1);
	assert_ptr_equal(at, p + n + 200);
	assert_int_equal(f.type, CV_FRAME_STREAM);
	assert_int_equal(f.flow, 70);
	assert_int_equal(f.value, 1 << 20);
	assert_true(f.fin);
	assert_int_equal(f.len, 200);
	assert_ptr_equal(f.data, p + n);
	/* as short as it was written, and of no bytes */
	at = p;
	assert_int_equal(cv_frame_next(&at, p + n, &f), 1);
	assert_int_equal(f.len, 0);
	at = p;
	assert_int_equal(cv_frame_next(&at, p + n - 1, &f), CULVERT_EPROTO);
}

static void test_ack(void **state)
{
	uint8_t p[] = { CV_FRAME_ACK, 20, 0, 1, 3, 2, 4, CV_FRAME_PADDING };
	uint8_t *at = p;
	struct cv_frame f;
	(void)state;
	assert_int_equal(cv_frame_next(&at, p + sizeof p, &f), 1);
	assert_int_equal(f.type, CV_FRAME_ACK);
	assert_ptr_equal(f.data, p + 1);
	assert_int_equal(f.len, sizeof p - 2);
	assert_int_equal(cv_frame_next(&at, p + sizeof p, &f), 1);
	assert_int_equal(f.type, CV_FRAME_PADDING);
	for (size_t cut = 1; cut < sizeof p - 1; cut++) {
		at = p;
		assert_int_equal(
			cv_frame_next(&at, p + cut, &f), CULVERT_EPROTO);
	}
	p[6] = 40; /* below nothing */
	at = p;
	assert_int_equal(cv_frame_next(&at, p + sizeof p, &f), CULVERT_EPROTO);
}

static void test_unknown_types(void **state)
{
	uint8_t p[64] = { 0 };
	struct cv_frame f;
	(void)state;
	for (unsigned type = 0; type < 256; type++) {
		bool known = type <= 0x0d || type == 0x10 ||
			     (type & 0xfc) == CV_FRAME_STREAM;
		p[0] = (uint8_t)type;
		assert_int_equal(
			next(p, sizeof p, &f), known ? 1 : CULVERT_EPROTO);
		if (!known) {
			f.type = (uint8_t)type;
			assert_int_equal(cv_frame_put(p, &f), 0);
		}
	}
}

/* whatever comes: it ends, moves on, and stays inside */
static void test_noise_in(void **state)
{
	uint64_t seed = 17;
	(void)state;
	for (int i = 0; i < 100000; i++) {
		size_t len = rnd_below(&seed, 64);
		uint8_t *packet = malloc(len + 1), *p = packet;
		struct cv_frame f;
		assert_non_null(packet);
		rnd_fill(&seed, packet, len);
		if (len)
			packet[0] &= 0x1f;
		uint8_t *end = packet + len, *was = p;
		while (cv_frame_next(&p, end, &f) > 0) {
			assert_true(p > was && p <= end);
			if (f.type == CV_FRAME_DGRAM)
				assert_true(f.data >= was &&
					    f.data + f.len == p &&
					    cv_frame_count(&f) >= 1);
			was = p;
		}
		free(packet);
	}
}

/* RFC 9000, appendix A.1 */
static void test_varint(void **state)
{
	static const struct {
		const char *hex;
		uint64_t v;
		bool shortest;
	} c[] = {
		{ "c2197c5eff14e88c", UINT64_C(151288809941952652), true },
		{ "9d7f3e7d", 494878333, true },
		{ "7bbd", 15293, true },
		{ "25", 37, true },
		{ "4025", 37, false },
	};
	uint64_t v, seed = 18;
	uint8_t bytes[8], out[8];
	(void)state;
	for (size_t i = 0; i < CV_COUNT(c); i++) {
		size_t n = unhex(bytes, c[i].hex);
		uint8_t *p = bytes;
		assert_true(cv_varint_get(&p, bytes + n, &v));
		assert_true(v == c[i].v && p == bytes + n);
		p = bytes;
		assert_false(cv_varint_get(&p, bytes + n - 1, &v));
		if (!c[i].shortest)
			continue;
		assert_int_equal(cv_varint_put(out, v), n);
		assert_memory_equal(out, bytes, n);
	}
	for (int i = 0; i < 100000; i++) {
		uint64_t want = any_varint(&seed);
		size_t n = cv_varint_put(out, want);
		uint8_t *p = out;
		assert_true(cv_varint_get(&p, out + n, &v) && v == want);
		assert_ptr_equal(p, out + n);
		want &= 0x3fffffff;
		p = out;
		cv_varint_put4(out, (uint32_t)want);
		assert_true(cv_varint_get(&p, out + 4, &v) && v == want);
		assert_ptr_equal(p, out + 4);
	}
}

static void test_count(void **state)
{
	struct cv_frame f = { .seg = 10, .len = 30 };
	(void)state;
	assert_int_equal(cv_frame_count(&f), 3);
	f.len = 31;
	assert_int_equal(cv_frame_count(&f), 4);
	f.len = 1;
	assert_int_equal(cv_frame_count(&f), 1);
	f.seg = f.len = 0;
	assert_int_equal(cv_frame_count(&f), 1);
}

static void test_reset_codes(void **state)
{
	(void)state;
	/* doc/protocol.md, section 7 */
	assert_string_equal(cv_reset_name(0), "done");
	assert_string_equal(cv_reset_name(1), "unknown_flow");
	assert_string_equal(cv_reset_name(2), "not_allowed");
	assert_string_equal(cv_reset_name(3), "bad_target");
	assert_string_equal(cv_reset_name(4), "flow_limit");
	assert_string_equal(cv_reset_name(5), "system_error");
	assert_string_equal(cv_reset_name(6), "connection_refused");
	assert_string_equal(cv_reset_name(7), "unreachable");
	assert_string_equal(cv_reset_name(8), "timed_out");
	assert_string_equal(cv_reset_name(9), "aborted");
	assert_string_equal(cv_reset_name(10), "unknown_code");
	assert_string_equal(cv_reset_name(UINT64_MAX), "unknown_code");
	for (uint64_t i = 0; i <= CV_RESET_N; i++)
		assert_true(strlen(cv_reset_why(i)) > 5);
	assert_string_equal(cv_reset_why(UINT64_MAX), "a reason unknown here");
	assert_int_equal(cv_reset_of(CULVERT_EREFUSED), CV_RESET_REFUSED);
	assert_int_equal(cv_reset_of(CULVERT_ESYNTAX), CV_RESET_TARGET);
	assert_int_equal(cv_reset_of(CULVERT_EINVAL), CV_RESET_TARGET);
	assert_int_equal(cv_reset_of(CULVERT_ENOMEM), CV_RESET_LIMIT);
	assert_int_equal(cv_reset_of(CULVERT_EFULL), CV_RESET_LIMIT);
	assert_int_equal(cv_reset_of(CULVERT_ESYS), CV_RESET_SYSTEM);
	assert_int_equal(cv_reset_of(-1000), CV_RESET_SYSTEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_hostile_lengths),
		cmocka_unit_test(test_segments),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_target_limit),
		cmocka_unit_test(test_last_stream),
		cmocka_unit_test(test_ack),
		cmocka_unit_test(test_unknown_types),
		cmocka_unit_test(test_noise_in),
		cmocka_unit_test(test_varint),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_reset_codes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
