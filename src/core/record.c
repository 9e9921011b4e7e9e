/* SPDX-License-Identifier: MIT */
#include "core/record.h"

void cv_record_wrap(struct cv_buf *b)
{
	uint32_t len = b->len;
	b->off -= CV_RECORD_HEAD;
	b->len += CV_RECORD_HEAD;
	uint8_t *p = cv_buf_data(b);
	p[0] = (uint8_t)(len >> 16);
	cv_put16(p + 1, (uint16_t)len);
}

uint8_t *cv_record_next(
	uint8_t **p, const uint8_t *end, uint32_t max, uint32_t *len)
{
	uint8_t *head = *p;
	*len = 0;
	if (end - head < CV_RECORD_HEAD)
		return NULL;
	uint32_t n = (uint32_t)head[0] << 16 | cv_get16(head + 1);
	if (n < CV_RECORD_MIN || n > max) {
		*len = UINT32_MAX;
		return NULL;
	}
	if ((size_t)(end - head) < CV_RECORD_HEAD + n)
		return NULL;
	*p = head + CV_RECORD_HEAD + n;
	*len = n;
	return head + CV_RECORD_HEAD;
}
