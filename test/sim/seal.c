/* SPDX-License-Identifier: MIT */
/**
 * seal.c - no nonce twice under one key
 *
 * The linker sends the core's calls of cv_aead_*() here first (--wrap), so
 * that keys are seen as they are used, whatever the code around them means.
 */
#include "sim/oracle.h"

#include <stdlib.h>
#include <string.h>

struct watched {
	struct cv_aead *real;
	uint64_t key;
	bool seals;
};

static struct model *watching;

struct cv_aead *__real_cv_aead_new(
	struct cv_crypto *, const uint8_t key[CV_KEY], bool seal);
void __real_cv_aead_free(struct cv_aead *);
int __real_cv_aead_seal(struct cv_aead *, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len);
int __real_cv_aead_open(struct cv_aead *, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len);
struct cv_aead *__wrap_cv_aead_new(
	struct cv_crypto *, const uint8_t key[CV_KEY], bool seal);
void __wrap_cv_aead_free(struct cv_aead *);
int __wrap_cv_aead_seal(struct cv_aead *, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len);
int __wrap_cv_aead_open(struct cv_aead *, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len);

struct cv_aead *__wrap_cv_aead_new(
	struct cv_crypto *c, const uint8_t key[CV_KEY], bool seal)
{
	struct watched *x = malloc(sizeof *x);
	if (!x)
		abort();
	x->real = __real_cv_aead_new(c, key, seal);
	x->key = 0;
	x->seals = seal;
	for (int i = 0; i < CV_KEY; i += 8)
		x->key = mix64(x->key ^ cv_get64(key + i));
	return (struct cv_aead *)(void *)x;
}

void __wrap_cv_aead_free(struct cv_aead *a)
{
	struct watched *x = (void *)a;
	if (!x)
		return;
	__real_cv_aead_free(x->real);
	free(x);
}

int __wrap_cv_aead_seal(struct cv_aead *a, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len)
{
	struct watched *x = (void *)a;
	if (watching) {
		struct index *i = index_of(watching, x->key);
		if (nonce < i->next)
			broken(watching->w, "a nonce was used twice");
		i->next = nonce + 1;
	}
	return __real_cv_aead_seal(x->real, nonce, ad, data, len);
}

int __wrap_cv_aead_open(struct cv_aead *a, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len)
{
	struct watched *x = (void *)a;
	return __real_cv_aead_open(x->real, nonce, ad, data, len);
}

void seals_begin(struct model *m)
{
	watching = m;
}

void seals_end(struct model *m)
{
	if (watching == m)
		watching = NULL;
}
