/* SPDX-License-Identifier: MIT */
#include "core/keytext.h"

#include "core/base64.h"

#include <string.h>

int cv_keytext_parse(uint8_t key[CV_KEY], const char *text)
{
	uint8_t out[CV_KEY + 1];
	uint32_t bits = 0;
	size_t n = 0;

	/* 43 characters of six bits and one '=': 32 bytes and two zero bits */
	if (strlen(text) != CULVERT_KEYTEXT - 1 ||
		text[CULVERT_KEYTEXT - 2] != '=')
		return CULVERT_ESYNTAX;
	for (size_t i = 0; i < CULVERT_KEYTEXT - 2; i++) {
		int digit = cv_base64_digit(text[i]);
		if (digit < 0)
			return CULVERT_ESYNTAX;
		bits = bits << 6 | (uint32_t)digit;
		/* every four characters bring one byte less than they take */
		if (i % 4)
			out[n++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
	}
	if (bits & 3)
		return CULVERT_ESYNTAX;
	memcpy(key, out, CV_KEY);
	cv_crypto_wipe(out, sizeof out);
	return 0;
}

const char *cv_keytext_format(
	const uint8_t key[CV_KEY], char out[CULVERT_KEYTEXT])
{
	return cv_base64_format(key, CV_KEY, out);
}
