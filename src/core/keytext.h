/* SPDX-License-Identifier: MIT */
/* keytext.h - keys as people see them: base64, 44 characters */
#ifndef CV_KEYTEXT_H
#define CV_KEYTEXT_H

#include "core/crypto.h"

/**
 * cv_keytext_parse() - A key from its text (RFC 4648, section 4)
 *
 * Return: 0, or CULVERT_ESYNTAX with @key untouched
 */
int cv_keytext_parse(uint8_t key[CV_KEY], const char *text);

/** cv_keytext_format() - the text of a key; returns @out */
const char *cv_keytext_format(
	const uint8_t key[CV_KEY], char out[CULVERT_KEYTEXT]);

#endif
