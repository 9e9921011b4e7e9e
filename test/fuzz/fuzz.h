/* SPDX-License-Identifier: MIT */
/**
 * fuzz.h - what every fuzz target uses
 *
 * A target is one file, fuzz_NOUN.c, with one function that takes any bytes
 * and checks what must hold whatever they are.  It begins anew with each
 * input, so that an input means the same wherever it runs.  Cryptography is
 * crypto.c's: fast, and no secret from the fuzzer.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** LLVMFuzzerTestOneInput() - libFuzzer's name for a target; returns 0 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** CHECK() - ends the process, as every sanitizer does, unless @x holds */
#define CHECK(x) ((x) ? (void)0 : broken(#x, __FILE__, __LINE__))

_Noreturn static inline void broken(const char *what, const char *file, int at)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, at, what);
	abort();
}

/** exact() - a copy whose ends the sanitizer watches; free() it */
static inline uint8_t *exact(const void *data, size_t len)
{
	uint8_t *p = malloc(len + !len);
	CHECK(p);
	if (len)
		memcpy(p, data, len);
	return p;
}

/** exact_text() - the same as a string, up to the first NUL */
static inline char *exact_text(const void *data, size_t len)
{
	size_t n = len ? strnlen(data, len) : 0;
	char *s = malloc(n + 1);
	CHECK(s);
	if (n)
		memcpy(s, data, n);
	s[n] = '\0';
	return s;
}

/** struct feed - input that was not used up yet; zeroes follow it */
struct feed {
	const uint8_t *p;
	size_t left;
};

/** feed_byte() - the next byte */
static inline uint8_t feed_byte(struct feed *f)
{
	if (!f->left)
		return 0;
	f->left--;
	return *f->p++;
}

/** feed_skip() - step over up to @n bytes: where they begin */
static inline const uint8_t *feed_skip(struct feed *f, size_t *n)
{
	const uint8_t *p = f->p;
	if (*n > f->left)
		*n = f->left;
	f->p += *n;
	f->left -= *n;
	return p;
}

/** feed_number() - @n bytes, big-endian */
static inline uint64_t feed_number(struct feed *f, int n)
{
	uint64_t v = 0;
	while (n--)
		v = v << 8 | feed_byte(f);
	return v;
}

#endif
