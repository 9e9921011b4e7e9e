/* SPDX-License-Identifier: MIT */
/* frame.h - the frames inside a packet; doc/protocol.md, section 5 */
#ifndef CV_FRAME_H
#define CV_FRAME_H

#include "core/limits.h"

enum cv_frame_type {
	CV_FRAME_PADDING = 0x00,
	CV_FRAME_PING = 0x01,
	CV_FRAME_PONG = 0x02,
	CV_FRAME_CLOSE = 0x03,
	CV_FRAME_TIME = 0x04,
	CV_FRAME_LINK = 0x05,
	CV_FRAME_CHALLENGE = 0x06, /* PATH_CHALLENGE and ... */
	CV_FRAME_ECHO = 0x07,      /* ... PATH_RESPONSE of RFC 9000 */
	CV_FRAME_OPEN = 0x08,
	CV_FRAME_OPENED = 0x09,
	CV_FRAME_RESET = 0x0a,
	CV_FRAME_WINDOW = 0x0b,
	CV_FRAME_SESSION_WINDOW = 0x0c,
	CV_FRAME_ACK = 0x0d,
	CV_FRAME_DGRAM = 0x10,
	CV_FRAME_PART = 0x11,   /* of a datagram larger than a packet */
	CV_FRAME_STREAM = 0x14, /* with these bits: */
	CV_STREAM_FIN = 1,      /* the stream ends with it */
	CV_STREAM_LEN = 2,      /* a length is given: others may follow */
};

/** Why a flow ended, on the wire. */
enum cv_reset {
	CV_RESET_DONE,        /* its owner closed it, or it was idle */
	CV_RESET_UNKNOWN,     /* no such flow here: open it again */
	CV_RESET_REFUSED,     /* policy: the target is not allowed */
	CV_RESET_TARGET,      /* the target's URL or name makes no sense */
	CV_RESET_LIMIT,       /* no room for another flow */
	CV_RESET_SYSTEM,      /* the system refused a socket or an address */
	CV_RESET_NOBODY,      /* the target refused the connection */
	CV_RESET_UNREACHABLE, /* no way to the target */
	CV_RESET_TIMEOUT, /* the target did not answer, or stopped answering */
	CV_RESET_ABORTED, /* the program at the far end broke it off */
	CV_RESET_N,
};

/** cv_reset_of() - what to tell a peer about a negative enum culvert_err */
enum cv_reset cv_reset_of(int err);

/** cv_reset_name() - in words, for logs; any number is fine */
const char *cv_reset_name(uint64_t code);

/** cv_reset_why() - what it means for who asked, a phrase */
const char *cv_reset_why(uint64_t code);

/** struct cv_frame - one decoded frame; pointers reach into the packet */
struct cv_frame {
	uint8_t type;   /* enum cv_frame_type */
	uint8_t kind;   /* OPEN: enum cv_kind */
	bool fin;       /* STREAM; its type has no bits set any more */
	uint32_t time;  /* TIME: sender's clock, µs, modulo 2^32 */
	uint64_t flow;  /* OPEN, OPENED, RESET, DGRAM, PART, STREAM, WINDOW */
	uint64_t value; /* PING, PONG, CHALLENGE, ECHO: opaque; RESET,
			   CLOSE: code; LINK: number; STREAM, PART:
			   offset;
			   WINDOW, SESSION_WINDOW: bytes */
	uint64_t taken; /* WINDOW: bytes used up; PART: the datagram's number */
	uint32_t seg;   /* DGRAM: size of each datagram but the last; PART: of
			   the whole one */
	uint32_t len;   /* OPEN, DGRAM, PART, STREAM, ACK: bytes of data */
	uint8_t *data;  /* OPEN: target; DGRAM, PART, STREAM: payload; ACK: what
			   follows the type */
};

enum {
	CV_TIME_SIZE = 5,
	CV_FRAME_SHORT = 26, /* room for any frame that carries no data */
	/* type, flow, segment size, length in the four-byte form */
	CV_DGRAM_HEAD = 1 + 8 + 4 + 4,
	/* type, flow, number, and three lengths in the four-byte form */
	CV_PART_FIXED = 1 + 4 + 4 + 4,
	CV_PART_HEAD = 8 + 8 + CV_PART_FIXED,
	CV_OPEN_HEAD = 1 + 8 + 1 + 4,   /* type, flow, kind, length */
	CV_STREAM_HEAD = 1 + 8 + 8 + 4, /* type, flow, offset, length */
};

/** cv_frame_count() - datagrams in a DGRAM frame; an empty one counts */
static inline uint64_t cv_frame_count(const struct cv_frame *f)
{
	return f->seg ? (f->len + f->seg - 1) / f->seg : 1;
}

/** cv_varint_put() - RFC 9000 section 16; returns bytes written */
size_t cv_varint_put(uint8_t *p, uint64_t v);

/** cv_varint_put4() - the four-byte form, for a length patched later */
void cv_varint_put4(uint8_t *p, uint32_t v);

/** cv_varint_get() - advances *@p; false if @end comes first */
bool cv_varint_get(uint8_t **p, const uint8_t *end, uint64_t *v);

/**
 * cv_frame_next() - Decode the frame at *@p and step over it
 *
 * Return: 1, 0 at @end, CULVERT_EPROTO if what is there is no frame
 */
int cv_frame_next(uint8_t **p, uint8_t *end, struct cv_frame *f);

/** cv_frame_put() - Encode PING, PONG, CHALLENGE, ECHO, CLOSE, TIME, LINK,
 * OPENED, RESET, WINDOW or SESSION_WINDOW
 * @p:		room for CV_FRAME_SHORT bytes
 * Return: bytes written
 */
size_t cv_frame_put(uint8_t *p, const struct cv_frame *f);

/**
 * cv_frame_put_stream() - Encode the head of a STREAM frame; @f->len bytes
 * follow it
 * @last:	nothing follows them in the packet: no length is written
 */
size_t cv_frame_put_stream(uint8_t *p, const struct cv_frame *f, bool last);

/**
 * cv_frame_put_part() - Encode the head of a PART frame; @f->len bytes follow
 * it.  Heads of one datagram are equally long
 * @p:		room for CV_PART_HEAD bytes
 */
size_t cv_frame_put_part(uint8_t *p, const struct cv_frame *f);

/** cv_varint_size() - bytes that cv_varint_put() writes */
static inline size_t cv_varint_size(uint64_t v)
{
	return v < 1u << 6 ? 1 : v < 1u << 14 ? 2 : v < 1u << 30 ? 4 : 8;
}

/** cv_frame_put_time() - Encode TIME for @now; returns CV_TIME_SIZE */
size_t cv_frame_put_time(uint8_t *p, cv_time now);

/** cv_frame_put_open() - Encode OPEN; @p has room for CV_OPEN_HEAD + @f->len */
size_t cv_frame_put_open(uint8_t *p, const struct cv_frame *f);

#endif
