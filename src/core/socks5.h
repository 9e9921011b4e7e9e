/* SPDX-License-Identifier: MIT */
/**
 * socks5.h - asking a SOCKS5 proxy for a connection: RFC 1928, RFC 1929
 *
 * Each state waits for so many bytes and says what comes next:
 *
 *	METHOD	 2 bytes; the greeting is out, with or without user and password
 *	AUTH	 2 bytes; user and password are out, because they were asked for
 *	REPLY	 2 bytes; the request is out: yes, or why not
 *	ADDRESS	 3 bytes; the kind of address in the reply, and its first byte
 *	BOUND	 what is left of that address, which is of no interest
 *	DONE	 nothing more is taken
 *
 * Not a byte beyond the reply is taken: the tunnel's are left where they are.
 */
#ifndef CV_SOCKS5_H
#define CV_SOCKS5_H

#include "core/via.h"

enum cv_socks5_state {
	CV_SOCKS5_METHOD,
	CV_SOCKS5_AUTH,
	CV_SOCKS5_REPLY,
	CV_SOCKS5_ADDRESS,
	CV_SOCKS5_BOUND,
	CV_SOCKS5_DONE,
};

struct cv_socks5 {
	struct cv_via_talk talk;
	enum cv_socks5_state state;
	const struct cv_url *target;
	const struct cv_via *via;
	uint8_t in[3 + 255 + 2];
	size_t have, want; /* of a state's bytes */
};

/**
 * cv_socks5_start() - Greet, on the way to host and port of @target
 *
 * A name is given to the proxy as it is, never looked up here.  Both arguments
 * must live as long.
 */
void cv_socks5_start(
	struct cv_socks5 *, const struct cv_url *target, const struct cv_via *);

/**
 * cv_socks5_input() - What the proxy says, cut anywhere
 *
 * Return: bytes taken; CULVERT_EPROTO or CULVERT_EREFUSED and talk.why
 */
int cv_socks5_input(struct cv_socks5 *, const uint8_t *data, size_t len);

#endif
