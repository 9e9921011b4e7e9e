/* SPDX-License-Identifier: MIT */
/* test_framing.c - frames of foreign programs, cut anywhere */
#include "unit/check.h"

#include "core/framing.h"
#include "unit/env.h"

enum { ROOM = 1 << 20, MANY = 20000 };

/* a stream, and what is to come out of it */
static struct {
	uint8_t bytes[ROOM];
	size_t len;
	uint32_t size[MANY], sum[MANY];
	size_t dgrams, too_big;
} want;

/* what came */
static struct {
	uint8_t area[ROOM]; /* unread bytes, then new ones */
	size_t rest;
	struct cv_framing f;
	const char *why;
	int r; /* the last answer */
	size_t dgrams, trains;
	uint32_t longest; /* train */
} got;

static uint64_t seed;

static uint32_t sum(const uint8_t *p, size_t n)
{
	uint32_t h = 2166136261;
	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 16777619;
	return h;
}

static void begin(enum cv_framing_start start)
{
	memset(&want, 0, sizeof want);
	memset(&got, 0, sizeof got);
	got.f.start = start;
	seed = 63;
}

static void say(const void *p, size_t n)
{
	memcpy(want.bytes + want.len, p, n);
	want.len += n;
}

static void frame(uint32_t len)
{
	uint8_t *p = want.bytes + want.len;
	cv_put16(p, (uint16_t)len);
	rnd_fill(&seed, p + 2, len);
	want.len += 2 + len;
	if (len > CV_DGRAM_MAX) {
		want.too_big++;
		return;
	}
	want.size[want.dgrams] = len;
	want.sum[want.dgrams++] = sum(p + 2, len);
}

static void see(const struct cv_frame *t)
{
	uint32_t at = 0;
	assert_true(t->seg <= CV_DGRAM_MAX && t->seg <= t->len);
	assert_true(cv_frame_count(t) <= CV_PACKET_DGRAMS);
	assert_true(t->len <= CV_DGRAM_MAX);
	do {
		uint32_t n = t->len - at < t->seg ? t->len - at : t->seg;
		assert_true(got.dgrams < want.dgrams);
		assert_int_equal(n, want.size[got.dgrams]);
		assert_int_equal(sum(t->data + at, n), want.sum[got.dgrams]);
		got.dgrams++;
		at += n;
	} while (at < t->len);
	got.trains++;
	if (t->len > got.longest)
		got.longest = t->len;
}

/* the next @n bytes of the stream arrive */
static void arrive(const uint8_t *bytes, size_t n)
{
	uint8_t *p = got.area, *end = p + got.rest + n;
	struct cv_frame t;
	memcpy(p + got.rest, bytes, n);
	while ((got.r = cv_framing_next(&got.f, &p, end, &t, &got.why)) > 0)
		see(&t);
	got.rest = (size_t)(end - p);
	memmove(got.area, p, got.rest);
	if (!got.r)
		assert_true(got.rest < CV_FRAMING_HEAD + CV_DGRAM_MAX);
}

/* all of it, in pieces of up to @most bytes */
static void arrive_cut(size_t most)
{
	for (size_t at = 0, n; at < want.len && got.r >= 0; at += n) {
		n = 1 + rnd_below(&seed, most);
		if (n > want.len - at)
			n = want.len - at;
		arrive(want.bytes + at, n);
	}
}

static void expect_all(void)
{
	assert_int_equal(got.r, 0);
	assert_int_equal(got.dgrams, want.dgrams);
	assert_int_equal(got.f.too_big, want.too_big);
	assert_int_equal(got.f.frames, want.dgrams + want.too_big);
	assert_int_equal(got.rest, 0);
}

static void some_frames(void)
{
	static const uint32_t sizes[] = { 0, 1, 64, 64, 64, 64, 63, 0, 0, 1400,
		1400, 1, 1400, CV_DGRAM_MAX, CV_DGRAM_MAX + 1, 2, 65535, 3, 3 };
	for (size_t i = 0; i < CV_COUNT(sizes); i++)
		frame(sizes[i]);
}

static void test_every_size(void **state)
{
	(void)state;
	begin(CV_FRAMING_BARE);
	some_frames();
	arrive(want.bytes, want.len);
	expect_all();
}

static void test_byte_by_byte(void **state)
{
	(void)state;
	begin(CV_FRAMING_BARE);
	some_frames();
	arrive_cut(1);
	expect_all();
}

static void test_cut_anywhere(void **state)
{
	(void)state;
	for (size_t most = 2; most < 300000; most = most * 3 / 2 + 1) {
		begin(CV_FRAMING_BARE);
		seed = most;
		while (want.len < ROOM / 2)
			frame((uint32_t)rnd_below(
				&seed, rnd_below(&seed, 50) ? 200 : 65536));
		arrive_cut(most);
		expect_all();
	}
}

/* lengths as a hostile peer would write them: any bytes at all */
static void test_any_bytes(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) {
		begin(CV_FRAMING_BARE);
		seed = (uint64_t)i + 1;
		size_t len = 0, end = 200000;
		static uint8_t noise[200000];
		rnd_fill(&seed, noise, end);
		for (uint32_t n; len + 2 <= end; len += 2 + n) {
			n = cv_get16(noise + len);
			if (len + 2 + n > end && n <= CV_DGRAM_MAX)
				break;
			if (n > CV_DGRAM_MAX) {
				want.too_big++;
				continue;
			}
			want.size[want.dgrams] = n;
			want.sum[want.dgrams++] = sum(noise + len + 2, n);
		}
		memcpy(want.bytes, noise, end);
		want.len = end;
		arrive_cut(70000);
		assert_int_equal(got.dgrams, want.dgrams);
		assert_int_equal(got.f.too_big, want.too_big);
	}
}

static void test_equal_ones_are_a_train(void **state)
{
	(void)state;
	begin(CV_FRAMING_BARE);
	for (int i = 0; i < 100; i++)
		frame(500);
	frame(499);
	frame(500);
	arrive(want.bytes, want.len);
	expect_all();
	assert_int_equal(got.trains, 2);
	assert_int_equal(got.longest, 100 * 500 + 499);

	begin(CV_FRAMING_BARE);
	for (int i = 0; i < 3 * CV_PACKET_DGRAMS; i++)
		frame(8);
	arrive(want.bytes, want.len);
	expect_all();
	assert_int_equal(got.trains, 3);

	begin(CV_FRAMING_BARE);
	for (int i = 0; i < 100; i++)
		frame(1400);
	arrive(want.bytes, want.len);
	expect_all();
	assert_int_equal(got.longest, CV_DGRAM_MAX / 1400 * 1400);
}

static void test_preamble(void **state)
{
	(void)state;
	for (size_t most = 1; most < 200; most = most * 2 + 1) {
		begin(CV_FRAMING_LED);
		say(cv_framing_preamble, CV_PREAMBLE);
		some_frames();
		arrive_cut(most);
		expect_all();
	}
	/* each of its bytes counts, and is missed at once */
	for (size_t i = 0; i < CV_PREAMBLE; i++) {
		begin(CV_FRAMING_LED);
		say(cv_framing_preamble, CV_PREAMBLE);
		want.bytes[i] ^= 1;
		arrive(want.bytes, i + 1);
		assert_int_equal(got.r, CULVERT_EPROTO);
		assert_non_null(strstr(got.why, "use frames+tcp://"));
	}
}

static void refuse(const char *bytes, size_t len, const char *why)
{
	for (int whole = 0; whole < 2; whole++) {
		begin(CV_FRAMING_GUARDED);
		say(bytes, len);
		arrive_cut(whole ? len : 1);
		assert_int_equal(got.r, CULVERT_EPROTO);
		assert_non_null(strstr(got.why, why));
		assert_int_equal(got.dgrams, 0);
	}
}

static void test_strangers(void **state)
{
	(void)state;
	refuse((const char *)cv_framing_preamble, CV_PREAMBLE,
		"use udptunnel+tcp://");
	refuse("IKETCP", 6, "RFC 9329");
	refuse("GET / HTTP/1.1", 14, "HTTP");
	refuse("\x16\x03\x01\x02\x00\x01", 6, "TLS");
	refuse("\x16\x03\x03\xff\xff\x01", 6, "TLS");
}

/* a frame that merely begins like one of them is a frame */
static void expect_frame(const void *bytes, size_t len, uint8_t last)
{
	begin(CV_FRAMING_GUARDED);
	frame(cv_get16(bytes));
	memcpy(want.bytes, bytes, len);
	want.bytes[len - 1] = last;
	want.sum[0] = sum(want.bytes + 2, want.size[0]);
	frame(5);
	arrive_cut(7);
	expect_all();
}

static void test_no_strangers(void **state)
{
	(void)state;
	for (size_t n = 3; n <= CV_PREAMBLE; n++)
		expect_frame(cv_framing_preamble, n,
			cv_framing_preamble[n - 1] ^ 0x80);
	expect_frame("IKETCP", 6, 'Q');
	expect_frame("GET /", 5, '.');
	expect_frame("\x16\x03\x01\x02\x00\x01", 6, 2);
	expect_frame("\x16\x03\x04\x02\x00\x01", 6, 1);
}

static void test_first_of_one_byte(void **state)
{
	(void)state;
	begin(CV_FRAMING_GUARDED);
	frame(1);
	arrive_cut(1);
	expect_all();
	begin(CV_FRAMING_GUARDED);
	frame(0);
	arrive(want.bytes, 2);
	expect_all();
}

static void test_schemes(void **state)
{
	(void)state;
	assert_int_equal(cv_framing_of("frames+tcp"), CV_FRAMING_GUARDED);
	assert_int_equal(
		cv_framing_of("frames+tcp://[::1]:5"), CV_FRAMING_GUARDED);
	assert_int_equal(cv_framing_of("udptunnel+tcp://a:5"), CV_FRAMING_LED);
	assert_int_equal(cv_framing_of("tcp://a:5"), CV_FRAMING_BARE);
	assert_int_equal(cv_framing_of("frames+tcpx://a:5"), CV_FRAMING_BARE);
	assert_int_equal(cv_framing_of("frames"), CV_FRAMING_BARE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_size),
		cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_any_bytes),
		cmocka_unit_test(test_equal_ones_are_a_train),
		cmocka_unit_test(test_preamble),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_no_strangers),
		cmocka_unit_test(test_first_of_one_byte),
		cmocka_unit_test(test_schemes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
