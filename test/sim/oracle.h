/* SPDX-License-Identifier: MIT */
/* oracle.h - the inside of the oracle: model.c, way.c, wire.c, seal.c */
#ifndef SIM_ORACLE_H
#define SIM_ORACLE_H

#include "sim/model.h"

/* stands in every datagram of 16 bytes and more, as bytes 8 to 15 */
#define CANARY UINT64_C(0x21796c6c6f50a5c3)

/** struct current - the record that a node is looking at */
struct current {
	bool on, matched, again;
	struct cv_session *session; /* of the link, before */
	struct tag tag;
	uint64_t late, unknown; /* counters before */
	uint64_t delivered;
	uint8_t type;
	uint64_t index;
	uint64_t init; /* a name for an initiation */
};

/** struct way - one direction between a client and the server */
struct way {
	cv_time *up; /* when the sender's session came up */
	size_t ups, up_room;
	bool is_up;
	uint32_t link[LINKS]; /* serials of its connections, 0: none */
};

/** struct index - what the wire says of a receiver index, or a key */
struct index {
	uint64_t name;
	uint64_t next; /* number */
	uint64_t pair; /* of a responder's: the initiator's, and back */
	bool used, heard;
};

struct model {
	struct world *w;
	struct totals sum;
	struct gen **gen;
	size_t gens, gen_room;
	struct current cur;
	struct way way[1 + CLIENTS][2];
	struct index *index;
	size_t indices, index_size;
};

/** grown() - room for one more element */
void *grown(void *v, size_t n, size_t *room, size_t each);

/** index_of() - the entry of @name, made if there is none */
struct index *index_of(struct model *, uint64_t name);

/* wire.c: what may be said on the wire, and when */
void wire_in(struct end *, uint8_t *p, uint32_t len);
void wire_accepted(struct end *);
void wire_init(struct model *);

/* way.c: lateness, and when sessions came up */
void check_late(struct end *, uint64_t late);
void way_stopped(struct host *);

/* seal.c: every key and nonce that is used */
void seals_begin(struct model *);
void seals_end(struct model *);

#endif
