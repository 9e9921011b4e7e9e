/* SPDX-License-Identifier: MIT */
#include "core/crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

struct cv_crypto {
	EVP_CIPHER *chacha;
	EVP_MD *blake;
	EVP_MAC *mac;
	EVP_MD_CTX *md;
	EVP_MAC_CTX *mctx;
};

enum { BLOCK = 64, NONCE = 12 };

struct cv_crypto *cv_crypto_new(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	struct cv_crypto *c = OPENSSL_zalloc(sizeof *c);
	if (!c)
		return NULL;
	c->chacha = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	c->blake = EVP_MD_fetch(NULL, "BLAKE2S-256", NULL);
	c->mac = EVP_MAC_fetch(NULL, "BLAKE2SMAC", NULL);
	c->md = EVP_MD_CTX_new();
	c->mctx = c->mac ? EVP_MAC_CTX_new(c->mac) : NULL;
	if (c->chacha && c->blake && c->md && c->mctx)
		return c;
	cv_crypto_free(c);
	return NULL;
}

void cv_crypto_free(struct cv_crypto *c)
{
	if (!c)
		return;
	EVP_CIPHER_free(c->chacha);
	EVP_MD_free(c->blake);
	EVP_MAC_free(c->mac);
	EVP_MD_CTX_free(c->md);
	EVP_MAC_CTX_free(c->mctx);
	OPENSSL_free(c);
}

int cv_crypto_public(uint8_t pub[CV_KEY], const uint8_t priv[CV_KEY])
{
	size_t len = CV_KEY;
	EVP_PKEY *k = EVP_PKEY_new_raw_private_key(
		EVP_PKEY_X25519, NULL, priv, CV_KEY);
	int ok = k && EVP_PKEY_get_raw_public_key(k, pub, &len) == 1;
	EVP_PKEY_free(k);
	return ok ? 0 : CULVERT_ECRYPTO;
}

int cv_crypto_dh(uint8_t out[CV_KEY], const uint8_t priv[CV_KEY],
	const uint8_t pub[CV_KEY])
{
	size_t len = CV_KEY;
	EVP_PKEY *k = EVP_PKEY_new_raw_private_key(
		EVP_PKEY_X25519, NULL, priv, CV_KEY);
	EVP_PKEY *p =
		EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, pub, CV_KEY);
	EVP_PKEY_CTX *ctx = k ? EVP_PKEY_CTX_new(k, NULL) : NULL;
	int ok = ctx && p && EVP_PKEY_derive_init(ctx) == 1 &&
		 EVP_PKEY_derive_set_peer(ctx, p) == 1 &&
		 EVP_PKEY_derive(ctx, out, &len) == 1;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(p);
	EVP_PKEY_free(k);
	return ok ? 0 : CULVERT_ECRYPTO;
}

int cv_crypto_hash(struct cv_crypto *c, uint8_t out[CV_HASH], struct cv_bytes a,
	struct cv_bytes b)
{
	if (EVP_DigestInit_ex2(c->md, c->blake, NULL) != 1 ||
		(a.len && EVP_DigestUpdate(c->md, a.data, a.len) != 1) ||
		(b.len && EVP_DigestUpdate(c->md, b.data, b.len) != 1) ||
		EVP_DigestFinal_ex(c->md, out, NULL) != 1)
		return CULVERT_ECRYPTO;
	return 0;
}

int cv_crypto_hmac(struct cv_crypto *c, uint8_t out[CV_HASH],
	const uint8_t key[CV_HASH], struct cv_bytes data, uint8_t last)
{
	uint8_t pad[BLOCK] = { 0 }, in[CV_HASH + 1], inner[CV_HASH];
	size_t n = data.len;

	if (n > CV_HASH)
		return CULVERT_EINVAL;
	if (n)
		memcpy(in, data.data, n);
	if (last)
		in[n++] = last;
	memcpy(pad, key, CV_HASH);
	for (int i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36;
	int err = cv_crypto_hash(
		c, inner, CV_BYTES(pad, sizeof pad), CV_BYTES(in, n));
	for (int i = 0; i < BLOCK; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	if (!err)
		err = cv_crypto_hash(c, out, CV_BYTES(pad, sizeof pad),
			CV_BYTES(inner, CV_HASH));
	cv_crypto_wipe(pad, sizeof pad);
	cv_crypto_wipe(in, sizeof in);
	cv_crypto_wipe(inner, sizeof inner);
	return err;
}

int cv_crypto_mac(struct cv_crypto *c, uint8_t out[CV_MAC],
	const uint8_t key[CV_KEY], struct cv_bytes in)
{
	size_t size = CV_MAC, n;
	OSSL_PARAM p[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
		OSSL_PARAM_construct_end(),
	};
	if (EVP_MAC_CTX_set_params(c->mctx, p) != 1 ||
		EVP_MAC_init(c->mctx, key, CV_KEY, NULL) != 1 ||
		EVP_MAC_update(c->mctx, in.data, in.len) != 1 ||
		EVP_MAC_final(c->mctx, out, &n, CV_MAC) != 1)
		return CULVERT_ECRYPTO;
	return 0;
}

struct cv_aead *cv_aead_new(
	struct cv_crypto *c, const uint8_t key[CV_KEY], bool seal)
{
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	if (x && EVP_CipherInit_ex2(x, c->chacha, key, NULL, seal, NULL) == 1)
		return (struct cv_aead *)x;
	EVP_CIPHER_CTX_free(x);
	return NULL;
}

void cv_aead_free(struct cv_aead *a)
{
	EVP_CIPHER_CTX_free((EVP_CIPHER_CTX *)a);
}

static void make_nonce(uint8_t out[NONCE], uint64_t n)
{
	memset(out, 0, 4);
	for (int i = 0; i < 8; i++)
		out[4 + i] = (uint8_t)(n >> 8 * i);
}

/* EVP_CIPHER_CTX_ctrl() would look for the same name with 150 ns more */
struct tag {
	OSSL_PARAM p[2];
};

static struct tag tag_at(uint8_t *p)
{
	return (struct tag){ { OSSL_PARAM_construct_octet_string(
				       OSSL_CIPHER_PARAM_AEAD_TAG, p, CV_TAG),
		OSSL_PARAM_construct_end() } };
}

int cv_aead_seal(struct cv_aead *a, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len)
{
	EVP_CIPHER_CTX *x = (EVP_CIPHER_CTX *)a;
	struct tag tag = tag_at(data + len);
	uint8_t iv[NONCE];
	int n;

	make_nonce(iv, nonce);
	if (EVP_EncryptInit_ex2(x, NULL, NULL, iv, NULL) != 1 ||
		(ad.len && EVP_EncryptUpdate(
				   x, NULL, &n, ad.data, (int)ad.len) != 1) ||
		(len && EVP_EncryptUpdate(x, data, &n, data, (int)len) != 1) ||
		EVP_EncryptFinal_ex(x, data + len, &n) != 1 ||
		EVP_CIPHER_CTX_get_params(x, tag.p) != 1)
		return CULVERT_ECRYPTO;
	return 0;
}

int cv_aead_open(struct cv_aead *a, uint64_t nonce, struct cv_bytes ad,
	uint8_t *data, size_t len)
{
	EVP_CIPHER_CTX *x = (EVP_CIPHER_CTX *)a;
	struct tag tag = tag_at(data + len);
	uint8_t iv[NONCE], end[CV_TAG];
	int n;

	make_nonce(iv, nonce);
	if (EVP_DecryptInit_ex2(x, NULL, NULL, iv, NULL) != 1 ||
		EVP_CIPHER_CTX_set_params(x, tag.p) != 1 ||
		(ad.len && EVP_DecryptUpdate(
				   x, NULL, &n, ad.data, (int)ad.len) != 1) ||
		(len && EVP_DecryptUpdate(x, data, &n, data, (int)len) != 1) ||
		EVP_DecryptFinal_ex(x, end, &n) != 1)
		return CULVERT_ECRYPTO;
	return 0;
}

bool cv_crypto_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

void cv_crypto_wipe(void *p, size_t len)
{
	OPENSSL_cleanse(p, len);
}
