/* SPDX-License-Identifier: MIT */
/* test_base64.c - RFC 4648, and libcrypto's own */
#include "unit/check.h"

#include "core/base64.h"
#include "unit/env.h"

#include <openssl/evp.h>

/* section 10 */
static void test_vectors(void **state)
{
	static const char *const v[][2] = {
		{ "", "" },
		{ "f", "Zg==" },
		{ "fo", "Zm8=" },
		{ "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" },
	};
	char text[CV_BASE64_TEXT(6)];
	(void)state;
	for (size_t i = 0; i < CV_COUNT(v); i++) {
		size_t len = strlen(v[i][0]);
		assert_ptr_equal(cv_base64_format(v[i][0], len, text), text);
		assert_string_equal(text, v[i][1]);
		assert_int_equal(strlen(text) + 1, CV_BASE64_TEXT(len));
	}
}

static void test_every_length(void **state)
{
	uint8_t data[512];
	char text[CV_BASE64_TEXT(sizeof data)];
	unsigned char want[CV_BASE64_TEXT(sizeof data)];
	uint64_t seed = 4648;
	(void)state;
	for (size_t len = 0; len <= sizeof data; len++) {
		rnd_fill(&seed, data, len);
		EVP_EncodeBlock(want, data, (int)len);
		assert_string_equal(
			cv_base64_format(data, len, text), (char *)want);
	}
}

static void test_digits(void **state)
{
	int taken = 0;
	(void)state;
	for (int c = 0; c < 256; c++) {
		int n = cv_base64_digit((char)c);
		char text[5];
		if (n < 0)
			continue;
		uint8_t byte = (uint8_t)(n << 2);
		taken++;
		assert_int_equal(cv_base64_format(&byte, 1, text)[0], c);
	}
	assert_int_equal(taken, 64);
	assert_int_equal(cv_base64_digit('='), -1);
	assert_int_equal(cv_base64_digit('\0'), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_digits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
