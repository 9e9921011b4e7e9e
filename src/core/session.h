/* SPDX-License-Identifier: MIT */
/**
 * session.h - one peer identity: handshake, keys, queues
 *
 * States, all of them visible from the fields below:
 *
 *	down	  no link, or no keys; datagrams are held (the newest few,
 *		  for a second), and the shell is asked to dial
 *	hello	  a link, and an initiation on its way (hs_sent)
 *	up	  a link that is ready, and confirmed keys
 *
 * A session that is up may have further links, as many as both ends allow;
 * path.h has their states.
 *
 * The end that dials also starts every handshake: on its first link and when
 * the keys reach CV_REKEY_AFTER_TIME.  Keys come in threes, as in WireGuard:
 * the current ones, the previous ones for packets under way, and on the
 * responder the next ones, which count from the first packet they open.
 */
#ifndef CV_SESSION_H
#define CV_SESSION_H

#include "core/flow.h"
#include "core/noise.h"
#include "core/path.h"
#include "core/replay.h"
#include "core/timer.h"
#include "core/txq.h"
#include "core/wire.h"

struct cv_node;
struct cv_train;
struct cv_transport;

struct cv_keys {
	struct cv_hnode by_index;
	struct cv_session *session;
	uint64_t index, remote;  /* ours, the peer's */
	struct cv_aead *tx, *rx; /* NULL: plain */
	uint64_t first;          /* number that we began with */
	struct cv_addr from;     /* where the initiation came from */
	struct cv_replay replay;
	struct cv_hello hello; /* the peer's */
	cv_time born;
	cv_time begun;  /* when the initiation left, or came */
	unsigned links; /* that both ends allow */
	bool fresh;     /* agreed on a link that the session did not have */
	bool confirmed; /* something came in under them */
};

/** struct cv_agreed - what a handshake ended in */
struct cv_agreed {
	struct cv_noise *noise; /* NULL: plain */
	uint64_t index, remote; /* ours, the peer's */
	struct cv_hello hello;  /* the peer's */
	bool initiator;
	bool fresh;          /* on a link that the session did not have */
	struct cv_addr from; /* where the initiation came from */
};

struct cv_session {
	/* configuration */
	struct cv_node *node;
	uint8_t pub[CV_KEY]; /* the peer's; plain: its random identity */
	uint8_t psk[CV_KEY];
	char name[32];
	bool plain, temporary; /* temporary: not from the configuration */
	bool dials;
	unsigned allowed; /* links at a time */
	void *dialer;     /* the shell's, and ... */
	unsigned rule;    /* ... which of its rules made the session */

	/* handshake */
	struct cv_noise hs;
	struct cv_path *hs_path;     /* while hs_sent */
	struct cv_hnode hs_by_index; /* while hs_sent */
	uint64_t hs_index;
	cv_time hs_sent;      /* 0: none under way */
	cv_time hs_retry;     /* there was no memory for one: not before this */
	cv_time hs_wait;      /* for the answer, on a datagram link */
	struct cv_buf *hello; /* handshake packet to send, or NULL */
	uint8_t mac1[CV_MAC]; /* of the last one we sent */
	uint8_t cookie[CV_MAC];
	cv_time cookie_at; /* 0: none */
	uint64_t stamp;    /* newest initiation of this peer */

	/* state */
	struct cv_hnode by_pub;
	struct cv_list all;
	struct cv_keys *cur, *prev, *next;
	bool told; /* the embedding program knows that it is up */
	struct cv_path path[CV_LINKS_SESSION];
	unsigned places;      /* one more than the highest with a link */
	unsigned links;       /* places with a link */
	unsigned ready;       /* paths that carry datagrams */
	struct cv_path *turn; /* one of these, or NULL */
	bool bound;           /* the next chunk must go over the same */
	bool doubt;           /* a link could not join: agree on keys anew */
	bool leaving;         /* CLOSE goes behind everything */
	struct cv_timer timer;
	struct cv_bufq ctl; /* control frames, unsealed */
	struct cv_txq txq;
	struct cv_list flows;
	size_t nflows;
	struct cv_list waiters;
	uint64_t forgotten; /* temporary: added to our instance, because what
			       there was with this peer may be forgotten ... */
	cv_time began;      /* ... before this; 0: as long as the node runs */
	uint64_t instance;  /* the peer's, 0: never heard of it */
	uint64_t next_id;
	uint64_t number; /* of the next packet, whatever its keys */
	struct cv_transport *transport; /* or NULL */
	uint32_t epoch; /* rises when OPENs under way may be lost */
	cv_time rx_at;

	/* statistics */
	struct cv_stats stats;
};

/* session.c: life */
struct cv_session *cv_session_new(
	struct cv_node *, const uint8_t pub[CV_KEY], bool plain);
void cv_session_free(struct cv_session *);
void cv_session_forget_one(struct cv_node *);
void cv_session_link_up(struct cv_session *, struct cv_link *, cv_time now);
void cv_session_link_down(struct cv_session *, struct cv_path *, cv_time now);
void cv_session_hang_up(struct cv_session *, const char *why);
bool cv_session_up(const struct cv_session *);
void cv_session_ready(struct cv_session *, struct cv_path *, cv_time now);
unsigned cv_session_wants(const struct cv_session *);
void cv_session_wake(struct cv_session *, cv_time now);
void cv_session_open_pinned(struct cv_session *);
void cv_session_schedule(struct cv_session *, cv_time now);
void cv_session_want(struct cv_session *, cv_time now);
void cv_session_doubt(struct cv_session *, cv_time now);
void cv_session_drop(struct cv_session *, enum cv_drop, uint64_t n);
void cv_session_drop_queue(struct cv_session *, enum cv_drop);
void cv_session_new_epoch(struct cv_session *);
void cv_session_own(struct cv_session *, struct cv_flow *);
void cv_session_disown(struct cv_flow *);

/* keys.c: the three key pairs */
int cv_keys_install(struct cv_session *, const struct cv_agreed *, cv_time now);
void cv_keys_confirmed(struct cv_session *, struct cv_keys *);
void cv_keys_drop(struct cv_session *, struct cv_keys **);
bool cv_keys_usable(const struct cv_keys *, cv_time now);

/* handshake.c: messages */
int cv_handshake_start(struct cv_session *, struct cv_path *, cv_time now);
void cv_handshake_stop(struct cv_session *);
int cv_handshake_init(struct cv_node *, struct cv_link *, uint8_t *p,
	size_t len, cv_time now);
int cv_handshake_response(struct cv_node *, struct cv_link *, uint8_t *p,
	size_t len, cv_time now);
int cv_handshake_cookie(struct cv_node *, struct cv_link *, const uint8_t *p,
	size_t len, cv_time now);

/* session_rx.c: frames in */
struct cv_packet {
	uint64_t number;
	uint8_t *p; /* frames */
	size_t len;
	bool newest; /* no higher number came in before */
};
int cv_session_input(struct cv_keys *, struct cv_link *,
	const struct cv_packet *, cv_time now);

/* session_tx.c: frames out */
void cv_session_control(
	struct cv_session *, const struct cv_frame *, cv_time now);
int cv_session_open(struct cv_session *, struct cv_end *);
size_t cv_session_seal(struct cv_session *, uint8_t *p, size_t len);
int cv_session_dgram(struct cv_session *, struct cv_end *,
	const struct cv_frame *train, cv_time now);
void cv_session_goodbye(struct cv_session *);
bool cv_session_drained(struct cv_session *);
struct cv_buf *cv_session_output(struct cv_path *, cv_time now);
bool cv_session_train(struct cv_path *, struct cv_train *, cv_time now);
/* a packet with a PATH_CHALLENGE and nothing else, or NULL */
struct cv_buf *cv_session_challenge(
	struct cv_session *, uint64_t token, cv_time now);
void cv_session_expire(struct cv_session *, cv_time now);

#endif
