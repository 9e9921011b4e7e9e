/* SPDX-License-Identifier: MIT */
/* test_record.c - packets on a byte stream, however the stream is split */
#include "unit/check.h"

#include "core/record.h"
#include "unit/env.h"

enum { STREAM = 1 << 20, MAX = CV_PACKET_MAX };

static uint8_t stream[STREAM], area[STREAM];

struct packet {
	size_t at, len;
};

static struct packet packet[2000];
static size_t packets;

/* records of all kinds of lengths, as cv_record_wrap() makes them */
static size_t fill(uint64_t *seed, size_t largest)
{
	struct mem mem;
	struct cv_env env = mem_env(&mem, 1);
	struct cv_pool pool;
	size_t n = 0;
	cv_pool_init(&pool, &env, 1 << 20);
	struct cv_buf *b = cv_buf_large(&pool);
	for (packets = 0; packets < CV_COUNT(packet); packets++) {
		size_t len = CV_RECORD_MIN +
			     rnd_below(seed, largest - CV_RECORD_MIN + 1);
		if (n + len + CV_RECORD_HEAD > STREAM)
			break;
		b->off = CV_HEADROOM - 16;
		b->len = (uint32_t)len;
		rnd_fill(seed, cv_buf_data(b), len);
		cv_record_wrap(b);
		assert_int_equal(b->len, len + CV_RECORD_HEAD);
		memcpy(stream + n, cv_buf_data(b), b->len);
		packet[packets] = (struct packet){ n + CV_RECORD_HEAD, len };
		n += b->len;
	}
	cv_buf_free(&pool, b);
	cv_pool_clear(&pool);
	return n;
}

/* read pieces of at most @piece bytes behind what was left over, as a link */
static void read_split(uint64_t *seed, size_t n, size_t piece)
{
	size_t have = 0, at = 0, got = 0;
	while (at < n) {
		size_t k = 1 + rnd_below(seed, piece);
		if (k > n - at)
			k = n - at;
		memcpy(area + have, stream + at, k);
		have += k;
		at += k;
		uint8_t *p = area, *x;
		uint32_t len;
		while ((x = cv_record_next(&p, area + have, MAX, &len))) {
			assert_true(got < packets);
			assert_int_equal(len, packet[got].len);
			assert_memory_equal(x, stream + packet[got].at, len);
			assert_ptr_equal(p, x + len);
			got++;
		}
		assert_int_equal(len, 0);
		have -= (size_t)(p - area);
		memmove(area, p, have);
	}
	assert_int_equal(got, packets);
	assert_int_equal(have, 0);
}

static void test_any_split(void **state)
{
	uint64_t seed = 14;
	(void)state;
	for (size_t largest = 20; largest <= MAX; largest *= 9) {
		size_t n = fill(&seed, largest);
		read_split(&seed, n, n);
		for (size_t piece = 5; piece < n; piece *= 7)
			read_split(&seed, n, piece);
	}
	size_t n = fill(&seed, 60);
	read_split(&seed, n, 1); /* byte by byte */
}

static void test_every_length(void **state)
{
	(void)state;
	for (uint32_t max = 512; max <= MAX; max += MAX - 512) {
		for (uint32_t n = 0; n < 1 << 24;
			n = n < 70000 ? n + 1 : n + 99991) {
			uint8_t *p = area, *x;
			uint32_t len = 7;
			area[0] = (uint8_t)(n >> 16);
			cv_put16(area + 1, (uint16_t)n);
			x = cv_record_next(
				&p, area + CV_RECORD_HEAD + MAX, max, &len);
			if (n >= CV_RECORD_MIN && n <= max) {
				assert_ptr_equal(x, area + CV_RECORD_HEAD);
				assert_ptr_equal(p, x + n);
				assert_int_equal(len, n);
				continue;
			}
			assert_null(x);
			assert_int_equal(len, UINT32_MAX);
			assert_ptr_equal(p, area);
		}
	}
}

/* a hostile length is seen before anything behind it has come */
static void test_hostile_length_at_once(void **state)
{
	uint8_t *p = area;
	uint32_t len;
	(void)state;
	memset(area, 0xff, 3);
	assert_null(cv_record_next(&p, area + 2, MAX, &len));
	assert_int_equal(len, 0);
	assert_null(cv_record_next(&p, area + 3, MAX, &len));
	assert_int_equal(len, UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_split),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_hostile_length_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
