/* SPDX-License-Identifier: MIT */
/* fuzz_keytext.c - a key has one text, and a text at most one key */
#include "core/keytext.h"
#include "fuzz/fuzz.h"

static void parse(const char *text)
{
	uint8_t key[CV_KEY], same[CV_KEY];
	char again[CULVERT_KEYTEXT];
	memset(key, 0xa5, sizeof key);
	memset(same, 0xa5, sizeof same);
	int err = cv_keytext_parse(key, text);
	if (err) {
		CHECK(err == CULVERT_ESYNTAX);
		CHECK(!memcmp(key, same, sizeof key));
		return;
	}
	CHECK(cv_keytext_format(key, again) == again);
	CHECK(!strcmp(again, text));
}

static void format(const uint8_t *data, size_t size)
{
	uint8_t key[CV_KEY] = { 0 }, again[CV_KEY];
	char text[CULVERT_KEYTEXT];
	memcpy(key, data, size < CV_KEY ? size : CV_KEY);
	cv_keytext_format(key, text);
	CHECK(strlen(text) == CULVERT_KEYTEXT - 1);
	CHECK(!cv_keytext_parse(again, text));
	CHECK(!memcmp(key, again, CV_KEY));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = exact_text(data, size);
	parse(text);
	if (size)
		format(data, size);
	free(text);
	return 0;
}
