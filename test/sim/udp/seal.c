/* SPDX-License-Identifier: MIT */
/**
 * seal.c - a cipher that hides nothing, and costs little
 *
 * The linker sends the core's calls of cv_aead_*() here (--wrap).  The tag is
 * a sum over key, nonce and bytes, so what was changed on the way is found as
 * by the real one; and what is under way can be read by the oracle.  No nonce
 * may come twice under one key.
 */
#include "sim/udp/world.h"

#include <stdlib.h>
#include <string.h>

struct fake {
	uint64_t key, next;
};

static struct world *watching;

struct cv_aead *__wrap_cv_aead_new(
	struct cv_crypto *c, const uint8_t key[CV_KEY], bool seal);
void __wrap_cv_aead_free(struct cv_aead *);
int __wrap_cv_aead_seal(struct cv_aead *, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len);
int __wrap_cv_aead_open(struct cv_aead *, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len);

struct cv_aead *__wrap_cv_aead_new(
	struct cv_crypto *c, const uint8_t key[CV_KEY], bool seal)
{
	struct fake *x = calloc(1, sizeof *x);
	(void)c;
	(void)seal;
	if (!x)
		abort();
	for (int i = 0; i < CV_KEY; i += 8)
		x->key = mix64(x->key ^ cv_get64(key + i));
	return (struct cv_aead *)(void *)x;
}

void __wrap_cv_aead_free(struct cv_aead *a)
{
	free(a);
}

static uint64_t add(uint64_t x, const uint8_t *p, size_t n)
{
	const uint64_t prime = UINT64_C(0x9e3779b97f4a7c15);
	for (; n >= 8; p += 8, n -= 8)
		x = (x ^ cv_get64(p)) * prime;
	for (; n; p++, n--)
		x = (x ^ *p ^ 0x100) * prime;
	return x ^ x >> 29;
}

static void tag(uint8_t out[CV_TAG], uint64_t seed, struct cv_bytes ad,
	struct cv_bytes data)
{
	uint64_t x = add(mix64(seed), ad.data, ad.len);
	x = mix64(add(x, data.data, data.len));
	cv_put64(out, x);
	cv_put64(out + 8, mix64(x + data.len));
}

int __wrap_cv_aead_seal(struct cv_aead *a, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len)
{
	struct fake *x = (void *)a;
	if (nonce < x->next && watching)
		broken(watching, "a nonce was used twice");
	x->next = nonce + 1;
	tag(data + len, x->key ^ mix64(nonce), ad, CV_BYTES(data, len));
	return 0;
}

int __wrap_cv_aead_open(struct cv_aead *a, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len)
{
	const struct fake *x = (void *)a;
	uint8_t t[CV_TAG];
	tag(t, x->key ^ mix64(nonce), ad, CV_BYTES(data, len));
	return memcmp(t, data + len, CV_TAG) ? CULVERT_ECRYPTO : 0;
}

void seals_begin(struct world *w)
{
	watching = w;
}
