/* SPDX-License-Identifier: MIT */
#include "core/base64.h"

#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "abcdefghijklmnopqrstuvwxyz0123456789+/";

char *cv_base64_format(const void *data, size_t len, char *out)
{
	const uint8_t *in = data;
	char *p = out;
	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t v = 0;
		for (size_t k = 0; k < 3; k++)
			v = v << 8 | (k < n ? in[i + k] : 0);
		for (size_t k = 0; k < 4; k++)
			*p++ = k <= n ? alphabet[v >> (18 - 6 * k) & 63] : '=';
	}
	*p = '\0';
	return out;
}

int cv_base64_digit(char c)
{
	const char *p = memchr(alphabet, c, 64);
	return p ? (int)(p - alphabet) : -1;
}
