/* SPDX-License-Identifier: MIT */
/* test_again.c - the same answer to copies of one handshake */
#include "unit/check.h"

#include "link/again.h"

struct fix {
	struct cv_again a;
	uint8_t out[CV_AGAIN_SIZE];
	cv_time now;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	assert_non_null(f);
	f->now = CV_SEC(7);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* the packet of handshake @which, and what is said to it */
static const uint8_t *init(uint8_t which)
{
	static uint8_t p[CV_INIT_SIZE];
	memset(p, which, sizeof p);
	p[0] = 1;
	return p;
}

static void answered(struct fix *f, uint8_t which, uint32_t len)
{
	uint8_t said[CV_AGAIN_SIZE + 1];
	memset(said, which + 100, sizeof said);
	cv_again_begin(&f->a, init(which), CV_INIT_SIZE);
	cv_again_keep(&f->a, said, len, f->now);
	cv_again_end(&f->a);
}

static uint32_t found(struct fix *f, uint8_t which)
{
	memset(f->out, 0, sizeof f->out);
	return cv_again_find(&f->a, init(which), CV_INIT_SIZE, f->out, f->now);
}

static void copies_are_answered_alike(void **state)
{
	struct fix *f = *state;
	assert_int_equal(found(f, 1), 0);
	answered(f, 1, CV_RESPONSE_SIZE);
	assert_int_equal(found(f, 1), CV_RESPONSE_SIZE);
	for (unsigned i = 0; i < CV_RESPONSE_SIZE; i++)
		assert_int_equal(f->out[i], 101);
	assert_int_equal(found(f, 2), 0);
}

static void one_bit_is_another_packet(void **state)
{
	struct fix *f = *state;
	uint8_t p[CV_INIT_SIZE];
	answered(f, 1, CV_COOKIE_SIZE);
	for (unsigned i = 0; i < sizeof p; i++) {
		memcpy(p, init(1), sizeof p);
		p[i] ^= 1;
		assert_int_equal(
			cv_again_find(&f->a, p, sizeof p, f->out, f->now), 0);
	}
	assert_int_equal(
		cv_again_find(&f->a, init(1), CV_INIT_SIZE - 1, f->out, f->now),
		0);
}

static void several_are_remembered(void **state)
{
	struct fix *f = *state;
	for (uint8_t i = 0; i <= CV_AGAIN; i++)
		answered(f, i, 20U + i);
	assert_int_equal(found(f, 0), 0);
	for (uint8_t i = 1; i <= CV_AGAIN; i++) {
		assert_int_equal(found(f, i), 20 + i);
		assert_int_equal(f->out[0], 100 + i);
	}
}

static void they_are_forgotten(void **state)
{
	struct fix *f = *state;
	answered(f, 1, 20);
	f->now += CV_AGAIN_AGE;
	assert_int_equal(found(f, 1), 20);
	f->now++;
	assert_int_equal(found(f, 1), 0);
}

static void nobody_is_flooded(void **state)
{
	struct fix *f = *state;
	unsigned n = 0;
	answered(f, 1, CV_RESPONSE_SIZE);
	assert_true(CV_RESPONSE_SIZE <= CV_INIT_SIZE);
	for (unsigned i = 0; i < 1000; i++)
		n += found(f, 1) != 0;
	assert_int_equal(n, CV_AGAIN_TIMES);
}

/* what fits no handshake is not kept, and nothing is kept for another one */
static void only_what_was_said_to_it(void **state)
{
	struct fix *f = *state;
	uint8_t word[20] = { 9 };
	answered(f, 1, CV_AGAIN_SIZE + 1);
	assert_int_equal(found(f, 1), 0);
	cv_again_begin(&f->a, init(2), CV_INIT_SIZE);
	cv_again_end(&f->a);
	cv_again_keep(&f->a, word, sizeof word, f->now);
	assert_int_equal(found(f, 2), 0);
	cv_again_begin(&f->a, init(3), CV_INIT_SIZE - 1);
	cv_again_keep(&f->a, word, sizeof word, f->now);
	assert_int_equal(found(f, 3), 0);
	cv_again_begin(&f->a, init(4), CV_INIT_SIZE);
	cv_again_keep(&f->a, word, sizeof word, f->now);
	cv_again_keep(&f->a, word, 1, f->now);
	assert_int_equal(found(f, 4), sizeof word);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(copies_are_answered_alike),
		TEST(one_bit_is_another_packet),
		TEST(several_are_remembered),
		TEST(they_are_forgotten),
		TEST(nobody_is_flooded),
		TEST(only_what_was_said_to_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
