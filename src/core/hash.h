/* SPDX-License-Identifier: MIT */
/**
 * hash.h - a keyed hash and an intrusive hash table that grows
 *
 * The key is random per node, so that a peer who chooses the names cannot
 * choose their buckets (SipHash-1-3, Aumasson and Bernstein 2012).
 */
#ifndef CV_HASH_H
#define CV_HASH_H

#include "core/types.h"

struct cv_hnode {
	struct cv_hnode *next;
	uint64_t hash;
};

struct cv_htab {
	const struct cv_env *env;
	struct cv_hnode **slot;
	size_t size, used; /* slots, a power of two; entries */
};

/** cv_siphash() - 64-bit SipHash-1-3 of @data */
uint64_t cv_siphash(const uint64_t key[2], const void *data, size_t len);

/** cv_htab_init() - 0 or CULVERT_ENOMEM; cv_htab_clear() frees no entry */
int cv_htab_init(struct cv_htab *, const struct cv_env *);
void cv_htab_clear(struct cv_htab *);

/** cv_htab_add() - enter @n under @hash; a table that cannot grow slows */
void cv_htab_add(struct cv_htab *, struct cv_hnode *n, uint64_t hash);
void cv_htab_del(struct cv_htab *, struct cv_hnode *n);

/** cv_htab_first() - first entry with @hash; go on with cv_htab_next() */
struct cv_hnode *cv_htab_first(const struct cv_htab *, uint64_t hash);
struct cv_hnode *cv_htab_next(struct cv_hnode *n);

#endif
