/* SPDX-License-Identifier: MIT */
/* wire.h - packet types and layouts; doc/protocol.md, section 4 */
#ifndef CV_WIRE_H
#define CV_WIRE_H

#include "core/crypto.h"

#define CV_PROLOGUE "culvert 1"

enum cv_packet_type {
	CV_PACKET_INIT = 0x01,
	CV_PACKET_RESPONSE = 0x02,
	CV_PACKET_COOKIE = 0x03,
	CV_PACKET_DATA = 0x04,
	CV_PACKET_PLAIN_INIT = 0x11,
	CV_PACKET_PLAIN_RESPONSE = 0x12,
	CV_PACKET_PLAIN_DATA = 0x14,
	CV_PACKET_QUESTION = 0x20, /* discovery: core/discover.h */
	CV_PACKET_ANSWER = 0x21,
};

/* every packet begins with a type byte and a 56-bit index */
#define CV_INDEX_MASK ((UINT64_C(1) << 56) - 1)

enum {
	CV_HELLO = 32, /* bytes of a handshake payload */

	/* type+sender 8 | e 32 | s 48 | hello 48 | mac1 16 | mac2 16 */
	CV_INIT_NOISE = 8,
	CV_INIT_MAC1 = CV_INIT_NOISE + 32 + 48 + CV_HELLO + CV_TAG,
	CV_INIT_SIZE = CV_INIT_MAC1 + 2 * CV_MAC,

	/* type+receiver 8 | sender 8 | e 32 | hello 48 | mac1 | mac2 */
	CV_RESPONSE_NOISE = 16,
	CV_RESPONSE_MAC1 = CV_RESPONSE_NOISE + 32 + CV_HELLO + CV_TAG,
	CV_RESPONSE_SIZE = CV_RESPONSE_MAC1 + 2 * CV_MAC,

	/* type+receiver 8 | salt 16 | cookie 16 | tag 16 */
	CV_COOKIE_SIZE = 8 + 16 + CV_MAC + CV_TAG,

	/* type+receiver 8 | number 8 | frames | tag 16 */
	CV_DATA_HEAD = 16,

	/* type+sender 8 | identity 32 | hello 32 */
	CV_PLAIN_INIT_SIZE = 8 + CV_KEY + CV_HELLO,
	/* type+receiver 8 | sender 8 | hello 32 */
	CV_PLAIN_RESPONSE_SIZE = 16 + CV_HELLO,
};

/**
 * struct cv_hello - what a handshake payload says
 * @version:	1
 * @links:	that the sender lets a session have; 0: one
 * @max_age:	the sender's queue age, µs; the receiver multiplies it
 * @stamp:	wall clock, µs since 1970; only grows (initiations)
 * @instance:	random at every start: a new one has forgotten all flows
 * @largest:	datagram that the sender puts together from parts; 0: none
 * @up:		µs that its memory of the receiver goes back; 0: not said
 */
struct cv_hello {
	uint16_t version, links;
	uint32_t max_age;
	uint64_t stamp;
	uint64_t instance;
	uint32_t largest;
	uint32_t up;
};

/** cv_hello_put() - version 2, links 2, max_age 4, stamp 8, instance 8,
 * largest 4, up 4 */
static inline void cv_hello_put(uint8_t p[CV_HELLO], const struct cv_hello *h)
{
	cv_put16(p, h->version);
	cv_put16(p + 2, h->links);
	cv_put32(p + 4, h->max_age);
	cv_put64(p + 8, h->stamp);
	cv_put64(p + 16, h->instance);
	cv_put32(p + 24, h->largest);
	cv_put32(p + 28, h->up);
}

static inline void cv_hello_get(const uint8_t p[CV_HELLO], struct cv_hello *h)
{
	h->version = cv_get16(p);
	h->links = cv_get16(p + 2);
	h->max_age = cv_get32(p + 4);
	h->stamp = cv_get64(p + 8);
	h->instance = cv_get64(p + 16);
	h->largest = cv_get32(p + 24);
	h->up = cv_get32(p + 28);
}

static inline void cv_head_put(uint8_t *p, enum cv_packet_type t, uint64_t idx)
{
	cv_put64(p, (uint64_t)t << 56 | idx);
}

#endif
