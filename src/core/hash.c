/* SPDX-License-Identifier: MIT */
#include "core/hash.h"

#include <string.h>

enum { FIRST = 16 };

static uint64_t rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static uint64_t load_le(const uint8_t *p, size_t n)
{
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

uint64_t cv_siphash(const uint64_t key[2], const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t v[4] = {
		key[0] ^ UINT64_C(0x736f6d6570736575),
		key[1] ^ UINT64_C(0x646f72616e646f6d),
		key[0] ^ UINT64_C(0x6c7967656e657261),
		key[1] ^ UINT64_C(0x7465646279746573),
	};
	size_t left = len;
	for (; left >= 8; left -= 8, p += 8) {
		uint64_t m = load_le(p, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	uint64_t m = (uint64_t)len << 56 | load_le(p, left);
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

int cv_htab_init(struct cv_htab *t, const struct cv_env *env)
{
	*t = (struct cv_htab){ .env = env, .size = FIRST };
	t->slot = env->alloc(env->user, FIRST * sizeof *t->slot);
	return t->slot ? 0 : CULVERT_ENOMEM;
}

void cv_htab_clear(struct cv_htab *t)
{
	if (t->slot)
		t->env->free(t->env->user, t->slot, t->size * sizeof *t->slot);
	t->slot = NULL;
	t->size = t->used = 0;
}

static void grow(struct cv_htab *t)
{
	size_t size = t->size * 2;
	struct cv_hnode **slot =
		t->env->alloc(t->env->user, size * sizeof *slot);
	if (!slot)
		return;
	for (size_t i = 0; i < t->size; i++) {
		while (t->slot[i]) {
			struct cv_hnode *n = t->slot[i];
			t->slot[i] = n->next;
			n->next = slot[n->hash & (size - 1)];
			slot[n->hash & (size - 1)] = n;
		}
	}
	t->env->free(t->env->user, t->slot, t->size * sizeof *slot);
	t->slot = slot;
	t->size = size;
}

void cv_htab_add(struct cv_htab *t, struct cv_hnode *n, uint64_t hash)
{
	if (t->used >= t->size)
		grow(t);
	struct cv_hnode **s = &t->slot[hash & (t->size - 1)];
	n->hash = hash;
	n->next = *s;
	*s = n;
	t->used++;
}

void cv_htab_del(struct cv_htab *t, struct cv_hnode *n)
{
	struct cv_hnode **s = &t->slot[n->hash & (t->size - 1)];
	while (*s != n)
		s = &(*s)->next;
	*s = n->next;
	n->next = NULL;
	t->used--;
}

struct cv_hnode *cv_htab_first(const struct cv_htab *t, uint64_t hash)
{
	struct cv_hnode *n = t->slot[hash & (t->size - 1)];
	while (n && n->hash != hash)
		n = n->next;
	return n;
}

struct cv_hnode *cv_htab_next(struct cv_hnode *n)
{
	uint64_t hash = n->hash;
	do
		n = n->next;
	while (n && n->hash != hash);
	return n;
}
