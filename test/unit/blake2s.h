/* SPDX-License-Identifier: MIT */
/* blake2s.h - BLAKE2s as RFC 7693, section 3 writes it: slow and plain */
#ifndef BLAKE2S_H
#define BLAKE2S_H

#include "core/crypto.h"

#include <string.h>

static inline uint32_t blake2s_right(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static inline void blake2s_mix(
	uint32_t *v, const int at[4], uint32_t x, uint32_t y)
{
	uint32_t *a = &v[at[0]], *b = &v[at[1]], *c = &v[at[2]], *d = &v[at[3]];
	*a += *b + x;
	*d = blake2s_right(*d ^ *a, 16);
	*c += *d;
	*b = blake2s_right(*b ^ *c, 12);
	*a += *b + y;
	*d = blake2s_right(*d ^ *a, 8);
	*c += *d;
	*b = blake2s_right(*b ^ *c, 7);
}

static const uint32_t blake2s_iv[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372,
	0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

static inline void blake2s_block(
	uint32_t h[8], const uint8_t block[64], uint64_t count, bool last)
{
	static const uint8_t sigma[10][16] = {
		{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
		{ 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
		{ 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4 },
		{ 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8 },
		{ 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13 },
		{ 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9 },
		{ 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11 },
		{ 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10 },
		{ 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5 },
		{ 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0 },
	};
	static const int at[8][4] = { { 0, 4, 8, 12 }, { 1, 5, 9, 13 },
		{ 2, 6, 10, 14 }, { 3, 7, 11, 15 }, { 0, 5, 10, 15 },
		{ 1, 6, 11, 12 }, { 2, 7, 8, 13 }, { 3, 4, 9, 14 } };
	uint32_t v[16], m[16];
	for (int i = 0; i < 16; i++)
		m[i] = (uint32_t)block[4 * i] |
		       (uint32_t)block[4 * i + 1] << 8 |
		       (uint32_t)block[4 * i + 2] << 16 |
		       (uint32_t)block[4 * i + 3] << 24;
	memcpy(v, h, 32);
	memcpy(v + 8, blake2s_iv, 32);
	v[12] ^= (uint32_t)count;
	v[13] ^= (uint32_t)(count >> 32);
	if (last)
		v[14] = ~v[14];
	for (int r = 0; r < 10; r++) {
		for (int i = 0; i < 8; i++)
			blake2s_mix(v, at[i], m[sigma[r][2 * i]],
				m[sigma[r][2 * i + 1]]);
	}
	for (int i = 0; i < 8; i++)
		h[i] ^= v[i] ^ v[i + 8];
}

/** blake2s() - @len bytes of digest of @in, keyed if @key is not empty */
static inline void blake2s(
	uint8_t *out, size_t len, struct cv_bytes key, struct cv_bytes in)
{
	uint32_t h[8];
	uint64_t count = 0;
	size_t at = 0;
	bool keyed = key.len != 0, last;
	memcpy(h, blake2s_iv, sizeof h);
	h[0] ^= 0x01010000 ^ (uint32_t)key.len << 8 ^ (uint32_t)len;
	do {
		uint8_t block[64] = { 0 };
		struct cv_bytes from = keyed ? key : in;
		size_t n = from.len - at < 64 ? from.len - at : 64;
		if (n)
			memcpy(block, (const uint8_t *)from.data + at, n);
		if (keyed)
			last = in.len == 0;
		else
			last = (at += n) == in.len;
		count += keyed ? 64 : n;
		blake2s_block(h, block, count, last);
		keyed = false;
	} while (!last);
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(h[i / 4] >> 8 * (i % 4));
}

#endif
