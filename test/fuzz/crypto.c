/* SPDX-License-Identifier: MIT */
/**
 * crypto.c - stands in for core/crypto.c under the fuzzer
 *
 * It keeps what the code around it relies on: both ends agree on a shared
 * secret, digests depend on every byte, a tag verifies under one key, one
 * nonce and one text only, and what does not verify is spoiled.  It keeps no
 * secret: nothing is hidden, and comparing tells the fuzzer what was wanted.
 */
#include "core/crypto.h"

#include <stdlib.h>
#include <string.h>

enum { LANES = 4, LONG = 256 };

struct cv_crypto {
	char none;
};

struct cv_aead {
	uint64_t key;
	bool seal;
};

/* a word anywhere, which the sanitizer checks without a call for each */
typedef uint64_t __attribute__((aligned(1), may_alias)) word_at;

static uint64_t stir(uint64_t h, uint64_t word)
{
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

/* lanes that do not wait for each other: packets are long */
static const uint8_t *digest_long(uint64_t *h, const uint8_t *p, size_t *left)
{
	uint64_t lane[LANES] = { 1, 2, 3, 4 };
	for (; *left >= sizeof lane; *left -= sizeof lane, p += sizeof lane) {
		const word_at *word = (const word_at *)p;
		for (int i = 0; i < LANES; i++)
			lane[i] = stir(lane[i], word[i]);
	}
	for (int i = 0; i < LANES; i++)
		*h = stir(*h, lane[i]);
	return p;
}

static uint64_t digest(uint64_t h, struct cv_bytes b)
{
	const uint8_t *p = b.data;
	size_t left = b.len;
	uint64_t word = 0;
	if (left >= LONG)
		p = digest_long(&h, p, &left);
	for (; left >= sizeof word; left -= sizeof word, p += sizeof word)
		h = stir(h, *(const word_at *)p);
	while (left)
		word = word << 8 | p[--left];
	return stir(stir(h, word), b.len);
}

static void spread(uint8_t *out, size_t len, uint64_t h)
{
	for (size_t i = 0; i < len; i += sizeof h) {
		h = stir(h, i + 1);
		*(word_at *)(out + i) = h;
	}
}

struct cv_crypto *cv_crypto_new(void)
{
	return calloc(1, sizeof(struct cv_crypto));
}

void cv_crypto_free(struct cv_crypto *c)
{
	free(c);
}

int cv_crypto_public(uint8_t pub[CV_KEY], const uint8_t priv[CV_KEY])
{
	for (int i = 0; i < CV_KEY; i++)
		pub[i] = priv[i] ^ 0x5a;
	return 0;
}

int cv_crypto_dh(uint8_t out[CV_KEY], const uint8_t priv[CV_KEY],
	const uint8_t pub[CV_KEY])
{
	uint8_t any = 0;
	for (int i = 0; i < CV_KEY; i++) {
		out[i] = priv[i] ^ pub[i];
		any |= out[i];
	}
	return any ? 0 : CULVERT_ECRYPTO;
}

int cv_crypto_hash(struct cv_crypto *c, uint8_t out[CV_HASH], struct cv_bytes a,
	struct cv_bytes b)
{
	(void)c;
	spread(out, CV_HASH, digest(digest(1, a), b));
	return 0;
}

int cv_crypto_hmac(struct cv_crypto *c, uint8_t out[CV_HASH],
	const uint8_t key[CV_HASH], struct cv_bytes in, uint8_t last)
{
	(void)c;
	if (in.len > CV_HASH)
		return CULVERT_EINVAL;
	uint64_t h = digest(2, CV_BYTES(key, CV_HASH));
	spread(out, CV_HASH, stir(digest(h, in), last));
	return 0;
}

int cv_crypto_mac(struct cv_crypto *c, uint8_t out[CV_MAC],
	const uint8_t key[CV_KEY], struct cv_bytes in)
{
	(void)c;
	spread(out, CV_MAC, digest(digest(3, CV_BYTES(key, CV_KEY)), in));
	return 0;
}

struct cv_aead *cv_aead_new(
	struct cv_crypto *c, const uint8_t key[CV_KEY], bool seal)
{
	struct cv_aead *a = malloc(sizeof *a);
	(void)c;
	if (a)
		*a = (struct cv_aead){ digest(4, CV_BYTES(key, CV_KEY)), seal };
	return a;
}

void cv_aead_free(struct cv_aead *a)
{
	free(a);
}

static void make_tag(uint8_t tag[CV_TAG], const struct cv_aead *a,
	uint64_t nonce, struct cv_bytes ad, struct cv_bytes text)
{
	spread(tag, CV_TAG, digest(digest(stir(a->key, nonce), ad), text));
}

int cv_aead_seal(struct cv_aead *a, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len)
{
	if (!a->seal)
		abort();
	make_tag(data + len, a, nonce, ad, CV_BYTES(data, len));
	return 0;
}

int cv_aead_open(struct cv_aead *a, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len)
{
	uint8_t tag[CV_TAG];
	if (a->seal)
		abort();
	make_tag(tag, a, nonce, ad, CV_BYTES(data, len));
	if (cv_crypto_equal(tag, data + len, CV_TAG))
		return 0;
	memset(data, 0xdb, len);
	return CULVERT_ECRYPTO;
}

bool cv_crypto_equal(const void *a, const void *b, size_t len)
{
	return memcmp(a, b, len) == 0;
}

void cv_crypto_wipe(void *p, size_t len)
{
	memset(p, 0, len);
}
