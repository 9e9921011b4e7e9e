/* SPDX-License-Identifier: MIT */
#include "core/cookie.h"

#include "core/limits.h"

#include <string.h>

enum { LABEL = 8, SALT = 16 };

static int label_key(struct cv_crypto *c, uint8_t out[CV_KEY],
	const char label[LABEL + 1], const uint8_t pub[CV_KEY])
{
	return cv_crypto_hash(
		c, out, CV_BYTES(label, LABEL), CV_BYTES(pub, CV_KEY));
}

int cv_mac1(struct cv_crypto *c, uint8_t out[CV_MAC],
	const uint8_t receiver[CV_KEY], const void *msg, size_t len)
{
	uint8_t key[CV_KEY];
	int err = label_key(c, key, "mac1----", receiver);
	return err ? err : cv_crypto_mac(c, out, key, CV_BYTES(msg, len));
}

void cv_cookies_init(struct cv_cookies *k, const struct cv_env *env,
	const uint8_t own[CV_KEY])
{
	*k = (struct cv_cookies){ .env = env, .own = own };
}

bool cv_cookies_loaded(struct cv_cookies *k, cv_time now)
{
	if (now - k->second >= CV_SEC(1)) {
		k->second = now;
		k->count = 0;
	}
	return ++k->count > CV_UNDER_LOAD;
}

int cv_cookie_make(struct cv_cookies *k, const struct cv_addr *from,
	cv_time now, uint8_t out[CV_MAC])
{
	if (!k->secret_at || now - k->secret_at > CV_COOKIE_LIFE) {
		k->env->random(k->env->user, k->secret, sizeof k->secret);
		k->secret_at = now;
	}
	return cv_crypto_mac(
		k->crypto, out, k->secret, CV_BYTES(from, sizeof *from));
}

/* one key for each cookie packet: label, public key, mac1 and salt */
static int packet_key(struct cv_crypto *c, uint8_t key[CV_KEY],
	const uint8_t pub[CV_KEY], const uint8_t mac1[CV_MAC],
	const uint8_t salt[SALT])
{
	uint8_t both[CV_MAC + SALT];
	int err = label_key(c, key, "cookie--", pub);
	memcpy(both, mac1, CV_MAC);
	memcpy(both + CV_MAC, salt, SALT);
	return err ? err
		   : cv_crypto_hash(c, key, CV_BYTES(key, CV_KEY),
			     CV_BYTES(both, sizeof both));
}

int cv_cookie_seal(const struct cv_cookies *k, const uint8_t *init, size_t at,
	const uint8_t cookie[CV_MAC], uint8_t *out)
{
	const uint8_t *mac1 = init + at;
	uint8_t key[CV_KEY];
	cv_head_put(out, CV_PACKET_COOKIE, cv_get64(init) & CV_INDEX_MASK);
	k->env->random(k->env->user, out + 8, SALT);
	memcpy(out + 8 + SALT, cookie, CV_MAC);
	int err = packet_key(k->crypto, key, k->own, mac1, out + 8);
	if (err)
		return err;
	struct cv_aead *a = cv_aead_new(k->crypto, key, true);
	err = a ? cv_aead_seal(
			  a, 0, CV_BYTES(mac1, CV_MAC), out + 8 + SALT, CV_MAC)
		: CULVERT_ENOMEM;
	cv_aead_free(a);
	return err;
}

int cv_cookie_open(struct cv_crypto *c, const uint8_t peer[CV_KEY],
	const uint8_t mac1[CV_MAC], const uint8_t *packet,
	uint8_t cookie[CV_MAC])
{
	uint8_t key[CV_KEY], box[CV_MAC + CV_TAG];
	int err = packet_key(c, key, peer, mac1, packet + 8);
	if (err)
		return err;
	memcpy(box, packet + 8 + SALT, sizeof box);
	struct cv_aead *a = cv_aead_new(c, key, false);
	err = a ? cv_aead_open(a, 0, CV_BYTES(mac1, CV_MAC), box, CV_MAC)
		: CULVERT_ENOMEM;
	cv_aead_free(a);
	if (!err)
		memcpy(cookie, box, CV_MAC);
	return err;
}
