/* SPDX-License-Identifier: MIT */
/**
 * record.h - packets on a byte stream; doc/protocol.md, section 3
 *
 * A record is a 24-bit length, big-endian, and a packet of that length.
 */
#ifndef CV_RECORD_H
#define CV_RECORD_H

#include "core/buf.h"

enum {
	CV_RECORD_HEAD = 3,
	CV_RECORD_MIN = 16, /* shortest packet: a plain header */
};

/** cv_record_wrap() - Put the length in front of a packet, in its headroom */
void cv_record_wrap(struct cv_buf *);

/**
 * cv_record_next() - Find the next whole packet in a stretch of the stream
 * @p:		start of unread bytes; moved behind the record
 * @end:	end of what was received
 * @max:	longest packet that is accepted
 * @len:	the packet's length
 *
 * Return: the packet, or NULL with *@len 0 if more bytes are needed and
 * UINT32_MAX if the length is out of bounds and the stream is lost
 */
uint8_t *cv_record_next(
	uint8_t **p, const uint8_t *end, uint32_t max, uint32_t *len);

#endif
