/* SPDX-License-Identifier: MIT */
#include "core/keytext.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "abcdefghijklmnopqrstuvwxyz0123456789+/";

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
		const char *p = memchr(alphabet, text[i], 64);
		if (!p)
			return CULVERT_ESYNTAX;
		bits = bits << 6 | (uint32_t)(p - alphabet);
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
	size_t n = 0;
	for (size_t i = 0; i < CV_KEY; i += 3) {
		bool two = i + 2 == CV_KEY;
		uint32_t v = (uint32_t)key[i] << 16 |
			     (uint32_t)key[i + 1] << 8 | (two ? 0 : key[i + 2]);
		for (int shift = 18; shift >= (two ? 6 : 0); shift -= 6)
			out[n++] = alphabet[v >> shift & 63];
	}
	out[n++] = '=';
	out[n] = '\0';
	return out;
}
