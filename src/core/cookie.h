/* SPDX-License-Identifier: MIT */
/* cookie.h - mac1, mac2 and cookies (WireGuard, section 5.4.4 and 5.4.7) */
#ifndef CV_COOKIE_H
#define CV_COOKIE_H

#include "core/addr.h"
#include "core/wire.h"

struct cv_cookies {
	struct cv_crypto *crypto;
	const struct cv_env *env;
	const uint8_t *own;     /* our public key */
	uint8_t secret[CV_KEY]; /* changes every CV_COOKIE_LIFE */
	cv_time secret_at;
	cv_time second; /* start of the second being counted */
	unsigned count; /* handshakes in it */
};

/** cv_mac1() - proves knowledge of the receiver's public key */
int cv_mac1(struct cv_crypto *, uint8_t out[CV_MAC],
	const uint8_t receiver[CV_KEY], const void *msg, size_t len);

/** cv_cookies_init() - @own, the node's public key, stays the caller's */
void cv_cookies_init(
	struct cv_cookies *, const struct cv_env *, const uint8_t own[CV_KEY]);

/** cv_cookies_loaded() - count a handshake; true when cookies are due */
bool cv_cookies_loaded(struct cv_cookies *, cv_time now);

/** cv_cookie_make() - the cookie of an address, now */
int cv_cookie_make(struct cv_cookies *, const struct cv_addr *from, cv_time now,
	uint8_t out[CV_MAC]);

/**
 * cv_cookie_seal() - Write a cookie packet
 * @init:	the initiation it answers, its mac1 at @at
 * @out:	CV_COOKIE_SIZE bytes
 */
int cv_cookie_seal(const struct cv_cookies *, const uint8_t *init, size_t at,
	const uint8_t cookie[CV_MAC], uint8_t *out);

/** cv_cookie_open() - the cookie inside a cookie packet */
int cv_cookie_open(struct cv_crypto *, const uint8_t peer[CV_KEY],
	const uint8_t mac1[CV_MAC], const uint8_t *packet,
	uint8_t cookie[CV_MAC]);

#endif
