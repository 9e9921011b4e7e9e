/* SPDX-License-Identifier: MIT */
/* test_keytext.c - keys in base64, one text for each key and no other */
#include "unit/check.h"

#include "core/keytext.h"
#include "unit/env.h"

#include <openssl/evp.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "abcdefghijklmnopqrstuvwxyz0123456789+/";

static void refuse(const char *text)
{
	uint8_t key[CV_KEY], was[CV_KEY];
	memset(key, 0x5a, sizeof key);
	memcpy(was, key, sizeof key);
	assert_int_equal(cv_keytext_parse(key, text), CULVERT_ESYNTAX);
	assert_memory_equal(key, was, sizeof key);
}

/* against libcrypto's own base64 */
static void test_both_ways(void **state)
{
	uint8_t key[CV_KEY], back[CV_KEY];
	char text[CULVERT_KEYTEXT];
	unsigned char want[CULVERT_KEYTEXT];
	uint64_t seed = 9;
	(void)state;
	for (int i = 0; i < 20000; i++) {
		rnd_fill(&seed, key, sizeof key);
		if (i < 2)
			memset(key, i ? 0xff : 0, sizeof key);
		EVP_EncodeBlock(want, key, CV_KEY);
		assert_ptr_equal(cv_keytext_format(key, text), text);
		assert_string_equal(text, (char *)want);
		assert_int_equal(cv_keytext_parse(back, text), 0);
		assert_memory_equal(back, key, sizeof key);
	}
}

/* RFC 4648, section 3.5: the two bits behind the last byte are zero */
static void test_every_other_ending(void **state)
{
	uint8_t key[CV_KEY] = { 0 };
	char text[CULVERT_KEYTEXT];
	(void)state;
	for (unsigned last = 0; last < 16; last++) {
		key[CV_KEY - 1] = (uint8_t)last;
		cv_keytext_format(key, text);
		char good = text[42];
		for (unsigned c = 0; c < 64; c++) {
			text[42] = alphabet[c];
			if (c % 4)
				refuse(text);
		}
		text[42] = good;
		for (unsigned c = 1; c < 256; c++) {
			text[43] = (char)c;
			if (c != '=')
				refuse(text);
		}
	}
}

static void test_every_other_character(void **state)
{
	uint8_t key[CV_KEY] = { 1, 2, 3 }, got[CV_KEY];
	char text[CULVERT_KEYTEXT];
	(void)state;
	cv_keytext_format(key, text);
	for (int at = 0; at < 42; at++) {
		char good = text[at];
		for (unsigned c = 1; c < 256; c++) {
			text[at] = (char)c;
			if (strchr(alphabet, (int)c))
				assert_int_equal(
					cv_keytext_parse(got, text), 0);
			else
				refuse(text);
		}
		text[at] = good;
	}
}

static void test_length(void **state)
{
	uint8_t key[CV_KEY] = { 0 };
	char text[2 * CULVERT_KEYTEXT];
	(void)state;
	cv_keytext_format(key, text);
	for (size_t n = 0; n < CULVERT_KEYTEXT - 1; n++) {
		char cut[CULVERT_KEYTEXT] = "";
		memcpy(cut, text, n);
		refuse(cut);
		if (n) {
			cut[n - 1] = '=';
			refuse(cut);
		}
	}
	strcat(text, "=");
	refuse(text);
	text[43] = 'A';
	refuse(text);
	refuse(" AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	/* 33 bytes, as padding says */
	refuse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	/* 31 bytes */
	refuse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_every_other_ending),
		cmocka_unit_test(test_every_other_character),
		cmocka_unit_test(test_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
