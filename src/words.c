/* SPDX-License-Identifier: MIT */
/* words.c - public functions that need no node: keys, errors, version */
#include "core/crypto.h"
#include "core/keytext.h"

#include <sys/random.h>

static int fill(uint8_t *out, size_t len)
{
	return getrandom(out, len, 0) == (ssize_t)len ? 0 : CULVERT_ESYS;
}

int culvert_genkey(char out[CULVERT_KEYTEXT], int preshared)
{
	uint8_t key[CV_KEY];
	if (!out)
		return CULVERT_EINVAL;
	int err = fill(key, sizeof key);
	if (err)
		return err;
	if (!preshared) { /* clamped, as wg writes them (RFC 7748) */
		key[0] &= 248;
		key[31] = (uint8_t)((key[31] & 127) | 64);
	}
	cv_keytext_format(key, out);
	cv_crypto_wipe(key, sizeof key);
	return 0;
}

int culvert_pubkey(char out[CULVERT_KEYTEXT], const char *priv)
{
	uint8_t key[CV_KEY], pub[CV_KEY];
	if (!out || !priv)
		return CULVERT_EINVAL;
	int err = cv_keytext_parse(key, priv);
	if (!err)
		err = cv_crypto_public(pub, key);
	if (!err)
		cv_keytext_format(pub, out);
	cv_crypto_wipe(key, sizeof key);
	return err;
}

const char *culvert_strerror(int err)
{
	switch (err) {
	case CULVERT_OK:
		return "no error";
	case CULVERT_ENOMEM:
		return "out of memory, or a limit was reached";
	case CULVERT_EINVAL:
		return "a setting makes no sense";
	case CULVERT_ESYNTAX:
		return "could not be parsed";
	case CULVERT_ESYS:
		return "the system refused";
	case CULVERT_ECRYPTO:
		return "cryptography failed";
	case CULVERT_EPROTO:
		return "the peer broke the protocol";
	case CULVERT_EREFUSED:
		return "refused by policy";
	case CULVERT_ENODAEMON:
		return "no running node answers";
	case CULVERT_EFULL:
		return "a table or queue is full";
	case CULVERT_ESTATE:
		return "not possible in this state";
	default:
		return "unknown error";
	}
}

const char *culvert_version(void)
{
	return CV_VERSION;
}
