/* SPDX-License-Identifier: MIT */
/* base64.h - RFC 4648, section 4 */
#ifndef CV_BASE64_H
#define CV_BASE64_H

#include <stddef.h>

/* characters of @len bytes, with the NUL */
#define CV_BASE64_TEXT(len) (((len) + 2) / 3 * 4 + 1)

/** cv_base64_format() - @len bytes as CV_BASE64_TEXT(@len) characters */
char *cv_base64_format(const void *data, size_t len, char *out);

/** cv_base64_digit() - what six bits a character stands for; -1: none */
int cv_base64_digit(char c);

#endif
