/* SPDX-License-Identifier: MIT */
#include "core/noise.h"

#include <string.h>

static const char protocol[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";

/* HKDF with two or three outputs (Noise, section 4.3) */
static int kdf(struct cv_noise *n, const uint8_t *in, size_t len, uint8_t *o2,
	uint8_t *o3)
{
	uint8_t temp[CV_HASH], t1[CV_HASH], t2[CV_HASH], buf[CV_HASH];
	int err = cv_crypto_hmac(n->crypto, temp, n->ck, CV_BYTES(in, len), 0);
	if (!err)
		err = cv_crypto_hmac(n->crypto, t1, temp, CV_NO_BYTES, 1);
	/* T(i) = HMAC(temp, T(i-1) || i) */
	if (!err) {
		memcpy(buf, t1, CV_HASH);
		err = cv_crypto_hmac(
			n->crypto, t2, temp, CV_BYTES(buf, CV_HASH), 2);
	}
	if (!err && o3)
		err = cv_crypto_hmac(
			n->crypto, o3, temp, CV_BYTES(t2, CV_HASH), 3);
	if (!err) {
		memcpy(n->ck, t1, CV_HASH);
		memcpy(o2, t2, CV_HASH);
	}
	cv_crypto_wipe(temp, sizeof temp);
	cv_crypto_wipe(t1, sizeof t1);
	cv_crypto_wipe(t2, sizeof t2);
	cv_crypto_wipe(buf, sizeof buf);
	return err;
}

static int mix_hash(struct cv_noise *n, const void *data, size_t len)
{
	return cv_crypto_hash(
		n->crypto, n->h, CV_BYTES(n->h, CV_HASH), CV_BYTES(data, len));
}

static int mix_key(struct cv_noise *n, const uint8_t *in, size_t len)
{
	return kdf(n, in, len, n->k, NULL);
}

static int mix_dh(struct cv_noise *n, const uint8_t priv[CV_KEY],
	const uint8_t pub[CV_KEY])
{
	uint8_t dh[CV_KEY];
	int err = cv_crypto_dh(dh, priv, pub);
	if (!err)
		err = mix_key(n, dh, sizeof dh);
	cv_crypto_wipe(dh, sizeof dh);
	return err;
}

static int mix_psk(struct cv_noise *n)
{
	uint8_t t[CV_HASH];
	int err = kdf(n, n->psk, CV_KEY, t, n->k);
	if (!err)
		err = mix_hash(n, t, sizeof t);
	cv_crypto_wipe(t, sizeof t);
	return err;
}

/* each key of a handshake seals one message, so the nonce is always 0 */
static int encrypt_and_hash(struct cv_noise *n, uint8_t *p, size_t len)
{
	struct cv_aead *a = cv_aead_new(n->crypto, n->k, true);
	int err = a ? cv_aead_seal(a, 0, CV_BYTES(n->h, CV_HASH), p, len)
		    : CULVERT_ENOMEM;
	cv_aead_free(a);
	return err ? err : mix_hash(n, p, len + CV_TAG);
}

static int decrypt_and_hash(struct cv_noise *n, uint8_t *p, size_t len)
{
	uint8_t h[CV_HASH];
	int err = cv_crypto_hash(n->crypto, h, CV_BYTES(n->h, CV_HASH),
		CV_BYTES(p, len + CV_TAG));
	if (err)
		return err;
	struct cv_aead *a = cv_aead_new(n->crypto, n->k, false);
	err = a ? cv_aead_open(a, 0, CV_BYTES(n->h, CV_HASH), p, len)
		: CULVERT_ENOMEM;
	cv_aead_free(a);
	if (!err)
		memcpy(n->h, h, CV_HASH);
	return err;
}

int cv_noise_init(struct cv_noise *n, struct cv_crypto *crypto,
	const uint8_t s[CV_KEY], const uint8_t rs[CV_KEY], const char *prologue)
{
	memset(n, 0, sizeof *n);
	n->crypto = crypto;
	memcpy(n->s, s, CV_KEY);
	memcpy(n->rs, rs, CV_KEY);
	int err = cv_crypto_hash(crypto, n->h,
		CV_BYTES(protocol, sizeof protocol - 1), CV_NO_BYTES);
	memcpy(n->ck, n->h, CV_HASH);
	if (!err)
		err = mix_hash(n, prologue, strlen(prologue));
	return err ? err : mix_hash(n, rs, CV_KEY);
}

static int write_e(struct cv_noise *n, const uint8_t e[CV_KEY], uint8_t *msg)
{
	memcpy(n->e, e, CV_KEY);
	int err = cv_crypto_public(msg, e);
	if (!err)
		err = mix_hash(n, msg, CV_KEY);
	return err ? err : mix_key(n, msg, CV_KEY);
}

static int read_e(struct cv_noise *n, const uint8_t *msg)
{
	memcpy(n->re, msg, CV_KEY);
	int err = mix_hash(n, msg, CV_KEY);
	return err ? err : mix_key(n, msg, CV_KEY);
}

int cv_noise_write1(struct cv_noise *n, const uint8_t e[CV_KEY],
	const uint8_t pub[CV_KEY], uint8_t *msg, size_t len)
{
	int err = write_e(n, e, msg); /* e */
	if (!err)
		err = mix_dh(n, n->e, n->rs); /* es */
	memcpy(msg + CV_KEY, pub, CV_KEY);
	if (!err)
		err = encrypt_and_hash(n, msg + CV_KEY, CV_KEY); /* s */
	if (!err)
		err = mix_dh(n, n->s, n->rs); /* ss */
	return err ? err : encrypt_and_hash(n, msg + 80, len);
}

int cv_noise_read1(struct cv_noise *n, uint8_t *msg, size_t len)
{
	int err = read_e(n, msg); /* e */
	if (!err)
		err = mix_dh(n, n->s, n->re); /* es */
	if (!err)
		err = decrypt_and_hash(n, msg + CV_KEY, CV_KEY); /* s */
	memcpy(n->rs, msg + CV_KEY, CV_KEY);
	if (!err)
		err = mix_dh(n, n->s, n->rs); /* ss */
	return err ? err : decrypt_and_hash(n, msg + 80, len);
}

int cv_noise_write2(
	struct cv_noise *n, const uint8_t e[CV_KEY], uint8_t *msg, size_t len)
{
	int err = write_e(n, e, msg); /* e */
	if (!err)
		err = mix_dh(n, n->e, n->re); /* ee */
	if (!err)
		err = mix_dh(n, n->e, n->rs); /* se */
	if (!err)
		err = mix_psk(n); /* psk */
	return err ? err : encrypt_and_hash(n, msg + CV_KEY, len);
}

int cv_noise_read2(struct cv_noise *n, uint8_t *msg, size_t len)
{
	int err = read_e(n, msg); /* e */
	if (!err)
		err = mix_dh(n, n->e, n->re); /* ee */
	if (!err)
		err = mix_dh(n, n->s, n->re); /* se */
	if (!err)
		err = mix_psk(n); /* psk */
	return err ? err : decrypt_and_hash(n, msg + CV_KEY, len);
}

int cv_noise_split(struct cv_noise *n, uint8_t k1[CV_KEY], uint8_t k2[CV_KEY])
{
	int err = kdf(n, NULL, 0, k2, NULL);
	if (!err)
		memcpy(k1, n->ck, CV_KEY);
	return err;
}

void cv_noise_wipe(struct cv_noise *n)
{
	cv_crypto_wipe(n, sizeof *n);
}
