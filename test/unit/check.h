/* SPDX-License-Identifier: MIT */
/* check.h - cmocka and its forerunners, in the order it wants them */
#ifndef CHECK_H
#define CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/** unhex() - Bytes of a hexadecimal text; returns how many */
static inline size_t unhex(uint8_t *out, const char *text)
{
	size_t n = strlen(text) / 2;
	for (size_t i = 0; i < n; i++) {
		char pair[3] = { text[2 * i], text[2 * i + 1], 0 };
		out[i] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

#endif
