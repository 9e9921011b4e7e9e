/* SPDX-License-Identifier: MIT */
/* crypto.h - the primitives of the one suite; crypto.c alone calls libcrypto */
#ifndef CV_CRYPTO_H
#define CV_CRYPTO_H

#include "core/types.h"

enum {
	CV_KEY = 32,  /* bytes of any key, public or private */
	CV_HASH = 32, /* bytes of a BLAKE2s-256 digest */
	CV_TAG = 16,  /* bytes of a Poly1305 tag */
	CV_MAC = 16,  /* bytes of a keyed BLAKE2s-128 */
};

/** struct cv_bytes - some bytes of somebody else's */
struct cv_bytes {
	const void *data;
	size_t len;
};

#define CV_BYTES(p, n) ((struct cv_bytes){ (p), (n) })
#define CV_NO_BYTES CV_BYTES(NULL, 0)

struct cv_crypto; /* fetched algorithms, one per node */
struct cv_aead;   /* one direction's ChaCha20-Poly1305 key, kept set up */

/** cv_crypto_new() - Fetch the algorithms; NULL if libcrypto lacks one */
struct cv_crypto *cv_crypto_new(void);
void cv_crypto_free(struct cv_crypto *);

/** cv_crypto_public() - X25519 public key of @priv (RFC 7748) */
int cv_crypto_public(uint8_t pub[CV_KEY], const uint8_t priv[CV_KEY]);

/** cv_crypto_dh() - X25519(@priv, @pub); refuses the all-zero result */
int cv_crypto_dh(uint8_t out[CV_KEY], const uint8_t priv[CV_KEY],
	const uint8_t pub[CV_KEY]);

/** cv_crypto_hash() - BLAKE2s-256 of @a followed by @b (RFC 7693) */
int cv_crypto_hash(struct cv_crypto *, uint8_t out[CV_HASH], struct cv_bytes a,
	struct cv_bytes b);

/**
 * cv_crypto_hmac() - HMAC-BLAKE2s (RFC 2104) of an HKDF input
 * @in:		at most CV_HASH bytes
 * @last:	a counter behind them, 0 for none
 */
int cv_crypto_hmac(struct cv_crypto *, uint8_t out[CV_HASH],
	const uint8_t key[CV_HASH], struct cv_bytes in, uint8_t last);

/** cv_crypto_mac() - keyed BLAKE2s-128 of @data (RFC 7693) */
int cv_crypto_mac(struct cv_crypto *, uint8_t out[CV_MAC],
	const uint8_t key[CV_KEY], struct cv_bytes);

/** cv_aead_new() - Set up @key for sealing or for opening (RFC 8439) */
struct cv_aead *cv_aead_new(
	struct cv_crypto *, const uint8_t key[CV_KEY], bool seal);
void cv_aead_free(struct cv_aead *);

/**
 * cv_aead_seal() - Encrypt in place; the tag goes to @data + @len
 * @nonce:	64-bit counter: the nonce is 4 zero bytes and @nonce,
 *		little-endian (Noise, section 12)
 *
 * Return: 0 or CULVERT_ECRYPTO
 */
int cv_aead_seal(struct cv_aead *, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len);

/**
 * cv_aead_open() - Decrypt in place; the tag is at @data + @len
 *
 * Return: 0 or CULVERT_ECRYPTO when the tag does not verify
 */
int cv_aead_open(struct cv_aead *, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len);

/** cv_crypto_equal() - Compare in constant time */
bool cv_crypto_equal(const void *a, const void *b, size_t len);

/** cv_crypto_wipe() - Zero memory for good */
void cv_crypto_wipe(void *p, size_t len);

#endif
