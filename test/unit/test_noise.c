/* SPDX-License-Identifier: MIT */
#include "unit/check.h"

#include "core/noise.h"
#include "interop/vectors/noise_ikpsk2.h"

struct ends {
	struct cv_crypto *crypto;
	struct cv_noise i, r;
	uint8_t ie[CV_KEY], re[CV_KEY], pub[CV_KEY];
};

static int setup(void **state)
{
	struct ends *e = calloc(1, sizeof *e);
	uint8_t s[CV_KEY], rs_pub[CV_KEY];
	char prologue[32] = { 0 };

	e->crypto = cv_crypto_new();
	assert_non_null(e->crypto);
	unhex((uint8_t *)prologue, v_prologue);
	unhex(rs_pub, v_rs_pub);
	unhex(e->ie, v_ie);
	unhex(e->re, v_re);
	unhex(s, v_is);
	assert_int_equal(cv_crypto_public(e->pub, s), 0);
	assert_int_equal(
		cv_noise_init(&e->i, e->crypto, s, rs_pub, prologue), 0);
	unhex(s, v_rs);
	assert_int_equal(
		cv_noise_init(&e->r, e->crypto, s, rs_pub, prologue), 0);
	unhex(e->i.psk, v_psk);
	unhex(e->r.psk, v_psk);
	*state = e;
	return 0;
}

static int teardown(void **state)
{
	struct ends *e = *state;
	cv_crypto_free(e->crypto);
	free(e);
	return 0;
}

static size_t expect(const uint8_t *msg, size_t len, int i)
{
	uint8_t want[256];
	assert_int_equal(unhex(want, v_msg[i].ciphertext), len);
	assert_memory_equal(msg, want, len);
	return len;
}

static void test_vector(void **state)
{
	struct ends *e = *state;
	uint8_t msg[256], k1[CV_KEY], k2[CV_KEY];

	size_t len = unhex(msg + 80, v_msg[0].payload);
	assert_int_equal(cv_noise_write1(&e->i, e->ie, e->pub, msg, len), 0);
	expect(msg, len + CV_NOISE_INIT, 0);
	assert_int_equal(cv_noise_read1(&e->r, msg, len), 0);
	assert_memory_equal(e->r.rs, e->pub, CV_KEY);

	len = unhex(msg + CV_KEY, v_msg[1].payload);
	assert_int_equal(cv_noise_write2(&e->r, e->re, msg, len), 0);
	expect(msg, len + CV_NOISE_RESP, 1);
	assert_int_equal(cv_noise_read2(&e->i, msg, len), 0);
	assert_memory_equal(e->i.h, e->r.h, CV_HASH);

	assert_int_equal(cv_noise_split(&e->i, k1, k2), 0);
	for (int m = 2; m < 6; m++) {
		struct cv_aead *tx =
			cv_aead_new(e->crypto, m % 2 ? k2 : k1, true);
		struct cv_aead *rx =
			cv_aead_new(e->crypto, m % 2 ? k2 : k1, false);
		uint64_t nonce = (uint64_t)(m / 2 - 1);
		uint8_t plain[64];
		len = unhex(plain, v_msg[m].payload);
		memcpy(msg, plain, len);
		assert_int_equal(
			cv_aead_seal(tx, nonce, CV_NO_BYTES, msg, len), 0);
		expect(msg, len + CV_TAG, m);
		assert_int_equal(
			cv_aead_open(rx, nonce, CV_NO_BYTES, msg, len), 0);
		assert_memory_equal(msg, plain, len);
		cv_aead_free(tx);
		cv_aead_free(rx);
	}
}

static void test_every_flipped_bit_is_refused(void **state)
{
	struct ends *e = *state;
	uint8_t msg[256], bad[256];
	struct cv_noise fresh = e->r;

	size_t len = unhex(msg + 80, v_msg[0].payload);
	assert_int_equal(cv_noise_write1(&e->i, e->ie, e->pub, msg, len), 0);
	for (size_t bit = 0; bit < 8 * (len + CV_NOISE_INIT); bit++) {
		if (bit == 255) /* X25519 ignores the top bit of a key */
			continue;
		memcpy(bad, msg, sizeof bad);
		bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
		e->r = fresh;
		assert_int_not_equal(cv_noise_read1(&e->r, bad, len), 0);
	}
}

static void test_wrong_psk_is_refused(void **state)
{
	struct ends *e = *state;
	uint8_t msg[256];

	size_t len = unhex(msg + 80, v_msg[0].payload);
	assert_int_equal(cv_noise_write1(&e->i, e->ie, e->pub, msg, len), 0);
	assert_int_equal(cv_noise_read1(&e->r, msg, len), 0);
	e->r.psk[0] ^= 1;
	len = unhex(msg + CV_KEY, v_msg[1].payload);
	assert_int_equal(cv_noise_write2(&e->r, e->re, msg, len), 0);
	assert_int_equal(cv_noise_read2(&e->i, msg, len), CULVERT_ECRYPTO);
}

static void test_zero_key_is_refused(void **state)
{
	struct ends *e = *state;
	uint8_t zero[CV_KEY] = { 0 }, out[CV_KEY];
	assert_int_equal(cv_crypto_dh(out, e->ie, zero), CULVERT_ECRYPTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_vector, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_every_flipped_bit_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_wrong_psk_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_zero_key_is_refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
