/* SPDX-License-Identifier: MIT */
/**
 * fuzz_record.c - records cut out of a stream, however much of it is there
 *
 *	longest packet 3 | more to receive 2 | stream ...
 */
#include "core/record.h"
#include "fuzz/fuzz.h"

/* a packet wrapped again is the record it came from */
static void wrap(const uint8_t *packet, uint32_t len)
{
	struct cv_buf *b = malloc(sizeof *b + CV_HEADROOM + len);
	CHECK(b);
	*b = (struct cv_buf){ .off = CV_HEADROOM, .len = len };
	memcpy(cv_buf_data(b), packet, len);
	cv_record_wrap(b);
	CHECK(b->len == len + CV_RECORD_HEAD);
	CHECK(!memcmp(cv_buf_data(b), packet - CV_RECORD_HEAD, b->len));
	free(b);
}

/* every packet up to @end; where the rest begins, @lost: that it is none */
static uint8_t *cut(uint8_t *p, const uint8_t *end, uint32_t max, bool *lost)
{
	for (;;) {
		uint8_t *at = p;
		uint32_t len = 7;
		uint8_t *packet = cv_record_next(&p, end, max, &len);
		if (!packet) {
			CHECK(p == at && (!len || len == UINT32_MAX));
			*lost = len != 0;
			return p;
		}
		CHECK(packet == at + CV_RECORD_HEAD && p == packet + len);
		CHECK(len >= CV_RECORD_MIN && len <= max && p <= end);
		wrap(packet, len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed f = { data, size };
	uint32_t max = (uint32_t)feed_number(&f, 3);
	size_t more = feed_number(&f, 2);
	uint8_t *all = exact(f.p, f.left), *part;
	bool lost, early;

	size_t first = more < f.left ? f.left - more : 0;
	uint8_t *end = cut(all, all + f.left, max, &lost);
	/* the same in two helpings, the first with nothing behind it */
	part = exact(all, first);
	size_t done = (size_t)(cut(part, part + first, max, &early) - part);
	CHECK(!early || (lost && end == all + done));
	CHECK(cut(all + done, all + f.left, max, &early) == end);
	CHECK(early == lost);
	free(part);
	free(all);
	return 0;
}
