/* SPDX-License-Identifier: MIT */
/* test_cookie.c - mac1, cookies and their packets, against BLAKE2s by hand */
#include "unit/check.h"

#include "core/cookie.h"
#include "core/limits.h"
#include "unit/blake2s.h"
#include "unit/env.h"

struct fix {
	struct mem mem;
	struct cv_env env;
	struct cv_crypto *crypto;
	struct cv_cookies k;
	uint8_t own[CV_KEY], init[CV_INIT_SIZE];
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	assert_non_null(f);
	f->env = mem_env(&f->mem, 3);
	f->crypto = cv_crypto_new();
	assert_non_null(f->crypto);
	f->env.random(&f->mem, f->own, CV_KEY);
	f->env.random(&f->mem, f->init, sizeof f->init);
	cv_cookies_init(&f->k, &f->env, f->own);
	f->k.crypto = f->crypto;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;
	cv_crypto_free(f->crypto);
	free(f);
	return 0;
}

/* doc/protocol.md, section 4.1 */
static void test_mac1(void **state)
{
	struct fix *f = *state;
	uint8_t text[8 + CV_KEY], key[CV_HASH], want[CV_MAC], got[CV_MAC];
	memcpy(text, "mac1----", 8);
	memcpy(text + 8, f->own, CV_KEY);
	blake2s(key, CV_HASH, CV_NO_BYTES, CV_BYTES(text, sizeof text));
	blake2s(want, CV_MAC, CV_BYTES(key, CV_KEY),
		CV_BYTES(f->init, CV_INIT_MAC1));
	assert_int_equal(
		cv_mac1(f->crypto, got, f->own, f->init, CV_INIT_MAC1), 0);
	assert_memory_equal(got, want, CV_MAC);
}

static void cookie(struct fix *f, uint16_t port, cv_time now, uint8_t *out)
{
	struct cv_addr from = {
		.ip = { 192, 0, 2, 1 }, .port = port, .family = CV_AF_INET
	};
	assert_int_equal(cv_cookie_make(&f->k, &from, now, out), 0);
}

static void test_cookie_of_an_address(void **state)
{
	struct fix *f = *state;
	uint8_t a[CV_MAC], b[CV_MAC];
	cookie(f, 5, CV_SEC(1), a);
	cookie(f, 5, CV_SEC(1) + CV_COOKIE_LIFE, b);
	assert_memory_equal(a, b, CV_MAC);
	cookie(f, 6, CV_SEC(1), b);
	assert_memory_not_equal(a, b, CV_MAC);
	/* the secret changes */
	cookie(f, 5, CV_SEC(1) + CV_COOKIE_LIFE + 1, b);
	assert_memory_not_equal(a, b, CV_MAC);
}

static void test_there_and_back(void **state)
{
	struct fix *f = *state;
	uint8_t packet[CV_COOKIE_SIZE], want[CV_MAC], got[CV_MAC];
	const uint8_t *mac1 = f->init + CV_INIT_MAC1;
	cookie(f, 5, CV_SEC(1), want);
	assert_int_equal(
		cv_cookie_seal(&f->k, f->init, CV_INIT_MAC1, want, packet), 0);
	assert_int_equal(packet[0], CV_PACKET_COOKIE);
	assert_memory_equal(packet + 1, f->init + 1, 7);
	assert_memory_not_equal(packet + 24, want, CV_MAC);
	assert_int_equal(
		cv_cookie_open(f->crypto, f->own, mac1, packet, got), 0);
	assert_memory_equal(got, want, CV_MAC);
	/* another salt each time */
	memcpy(got, packet + 8, CV_MAC);
	assert_int_equal(
		cv_cookie_seal(&f->k, f->init, CV_INIT_MAC1, want, packet), 0);
	assert_memory_not_equal(got, packet + 8, CV_MAC);
}

static void test_only_for_who_asked(void **state)
{
	struct fix *f = *state;
	uint8_t packet[CV_COOKIE_SIZE], want[CV_MAC], got[CV_MAC] = { 0 };
	uint8_t mac1[CV_MAC], zero[CV_MAC] = { 0 };
	cookie(f, 5, CV_SEC(1), want);
	assert_int_equal(
		cv_cookie_seal(&f->k, f->init, CV_INIT_MAC1, want, packet), 0);
	memcpy(mac1, f->init + CV_INIT_MAC1, CV_MAC);
	for (size_t bit = 0; bit < 8 * CV_MAC; bit++) {
		mac1[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(
			cv_cookie_open(f->crypto, f->own, mac1, packet, got),
			CULVERT_ECRYPTO);
		mac1[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 8 * 8; bit < 8 * sizeof packet; bit++) {
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(
			cv_cookie_open(f->crypto, f->own, mac1, packet, got),
			CULVERT_ECRYPTO);
		packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	f->init[0] ^= 1; /* some other key */
	assert_int_equal(cv_cookie_open(f->crypto, f->init, mac1, packet, got),
		CULVERT_ECRYPTO);
	assert_memory_equal(got, zero, CV_MAC);
}

static void test_load(void **state)
{
	struct fix *f = *state;
	cv_time now = CV_SEC(7);
	for (int second = 0; second < 3; second++, now += CV_SEC(1)) {
		for (int i = 0; i < CV_UNDER_LOAD; i++)
			assert_false(cv_cookies_loaded(&f->k, now));
		assert_true(cv_cookies_loaded(&f->k, now));
		assert_true(cv_cookies_loaded(&f->k, now + CV_SEC(1) - 1));
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_mac1),
		T(test_cookie_of_an_address),
		T(test_there_and_back),
		T(test_only_for_who_asked),
		T(test_load),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
