/* SPDX-License-Identifier: MIT */
/* fuzz_base64.c - bytes as text, and read back bit by bit */
#include "core/base64.h"
#include "fuzz/fuzz.h"

#include <stdbool.h>

/* what stands at bit @at of the text; padding counts as zeroes */
static bool bit(const char *text, size_t at)
{
	int digit = cv_base64_digit(text[at / 6]);
	CHECK(digit >= 0 || text[at / 6] == '=');
	return digit >= 0 && digit >> (5 - at % 6) & 1;
}

static void check_text(const char *text, const uint8_t *data, size_t size)
{
	size_t len = CV_BASE64_TEXT(size) - 1, bits = 8 * size;
	CHECK(strlen(text) == len && len % 4 == 0);
	for (size_t i = 0; i < 6 * len; i++) {
		bool want = i < bits && data[i / 8] >> (7 - i % 8) & 1;
		CHECK(bit(text, i) == want);
	}
	/* padding stands where not a single bit of the data is */
	for (size_t i = 0; i < len; i++)
		CHECK((text[i] == '=') == (6 * i >= bits));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(CV_BASE64_TEXT(size));
	CHECK(text);
	CHECK(cv_base64_format(data, size, text) == text);
	check_text(text, data, size);
	free(text);
	/* a digit has one value, and each value one digit */
	for (size_t i = 0; i < size; i++) {
		int digit = cv_base64_digit((char)data[i]);
		CHECK(digit >= -1 && digit < 64);
		if (digit < 0)
			continue;
		uint8_t in[3] = { (uint8_t)(digit << 2) };
		char out[CV_BASE64_TEXT(sizeof in)];
		CHECK(*cv_base64_format(in, 3, out) == (char)data[i]);
	}
	return 0;
}
