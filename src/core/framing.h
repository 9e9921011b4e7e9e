/* SPDX-License-Identifier: MIT */
/**
 * framing.h - frames of foreign programs; doc/protocol.md, section 11
 *
 * A frame is a 16-bit length, big-endian, and a datagram of that length.  The
 * decoder walks a stretch of the stream and yields trains: frames of equal
 * length that follow each other, the last may be shorter, their headers
 * squeezed out in place.
 */
#ifndef CV_FRAMING_H
#define CV_FRAMING_H

#include "core/frame.h"

enum {
	CV_FRAMING_HEAD = 2,
	CV_PREAMBLE = 32,
	CV_FRAMING_FIRST = 65502, /* what rfc1036's server takes at first */
};

/** How a connection begins, seen from the end that reads it. */
enum cv_framing_start {
	CV_FRAMING_BARE,    /* nothing in front of the frames */
	CV_FRAMING_GUARDED, /* bare, and strangers are recognised */
	CV_FRAMING_LED,     /* udptunnel's preamble in front of them */
};

/** struct cv_framing - the state of one direction of one connection */
struct cv_framing {
	enum cv_framing_start start; /* what is still to come in front */
	uint32_t skip;               /* bytes of an over-long frame to come */
	uint64_t frames;             /* found so far, over-long ones too */
	uint64_t too_big;            /* of these, over-long ones */
};

/**
 * cv_framing_of() - How a connection to such a port begins
 * @url:	a URL, or its scheme
 * Return: CV_FRAMING_GUARDED for frames+tcp, CV_FRAMING_LED for udptunnel+tcp,
 * CV_FRAMING_BARE if it is neither
 */
enum cv_framing_start cv_framing_of(const char *url);

/** cv_framing_preamble - what udptunnel's client says first */
extern const uint8_t cv_framing_preamble[CV_PREAMBLE];

/**
 * cv_framing_next() - Find the next train in a stretch of the stream
 * @p:		start of unread bytes; moved behind what was used
 * @end:	end of what was received; up to there bytes may be moved
 * @train:	on 1: data, len, seg; valid while the stretch is
 * @why:	on CULVERT_EPROTO: what the other end speaks, and the remedy
 *
 * Return: 1, 0 if more bytes are needed behind the unread ones (fewer than
 * 2 + CV_DGRAM_MAX), CULVERT_EPROTO if the stream is lost
 */
int cv_framing_next(struct cv_framing *, uint8_t **p, uint8_t *end,
	struct cv_frame *train, const char **why);

#endif
