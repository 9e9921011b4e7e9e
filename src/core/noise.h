/* SPDX-License-Identifier: MIT */
/**
 * noise.h - Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, one handshake
 *
 *	<- s
 *	...
 *	-> e, es, s, ss        payload
 *	<- e, ee, se, psk      payload
 *
 * Without a pre-shared key the psk is 32 zero bytes, as in WireGuard.
 * Reference: The Noise Protocol Framework, revision 34.
 */
#ifndef CV_NOISE_H
#define CV_NOISE_H

#include "core/crypto.h"

enum {
	/* bytes that a message adds to its payload */
	CV_NOISE_INIT = CV_KEY + CV_KEY + CV_TAG + CV_TAG,
	CV_NOISE_RESP = CV_KEY + CV_TAG,
};

struct cv_noise {
	struct cv_crypto *crypto;
	uint8_t h[CV_HASH];  /* handshake hash */
	uint8_t ck[CV_HASH]; /* chaining key */
	uint8_t k[CV_KEY];   /* cipher key of the current step */
	uint8_t s[CV_KEY];   /* own static private key */
	uint8_t e[CV_KEY];   /* own ephemeral private key */
	uint8_t rs[CV_KEY];  /* remote static public key */
	uint8_t re[CV_KEY];  /* remote ephemeral public key */
	uint8_t psk[CV_KEY];
};

/**
 * cv_noise_init() - Start a handshake
 * @n:		to be cleared with cv_noise_wipe()
 * @s:		own static private key
 * @rs:		the responder's public key: the remote one on the initiator,
 *		the own one on the responder
 * @prologue:	context both ends must agree on
 */
int cv_noise_init(struct cv_noise *n, struct cv_crypto *,
	const uint8_t s[CV_KEY], const uint8_t rs[CV_KEY],
	const char *prologue);

/**
 * cv_noise_write1() - The initiator's message
 * @e:		fresh ephemeral private key
 * @pub:	own static public key
 * @msg:	payload of @len bytes at @msg + 80, written in place; takes
 *		@len + CV_NOISE_INIT bytes in all
 */
int cv_noise_write1(struct cv_noise *n, const uint8_t e[CV_KEY],
	const uint8_t pub[CV_KEY], uint8_t *msg, size_t len);

/**
 * cv_noise_read1() - The responder reads it; the payload is at @msg + 80
 *
 * Afterwards n->rs is the initiator's static public key, proven; the caller
 * sets n->psk.
 */
int cv_noise_read1(struct cv_noise *n, uint8_t *msg, size_t len);

/** cv_noise_write2() - The responder's answer; payload at @msg + 32 */
int cv_noise_write2(
	struct cv_noise *n, const uint8_t e[CV_KEY], uint8_t *msg, size_t len);

/** cv_noise_read2() - The initiator reads it; payload at @msg + 32 */
int cv_noise_read2(struct cv_noise *n, uint8_t *msg, size_t len);

/** cv_noise_split() - The two transport keys, initiator's sending key first */
int cv_noise_split(struct cv_noise *n, uint8_t k1[CV_KEY], uint8_t k2[CV_KEY]);

/** cv_noise_wipe() - forget every secret */
void cv_noise_wipe(struct cv_noise *n);

#endif
