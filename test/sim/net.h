/* SPDX-License-Identifier: MIT */
/**
 * net.h - connections: two byte streams with rate, delay and a send buffer
 *
 * A pipe cuts what is written into segments wherever it likes, delivers them
 * in order, and takes only as much as its buffer holds.  Each record that a
 * node hands over gets a tag beside the bytes, by which the oracle knows what
 * was inside it, when it was sealed, and whether it ever arrived.
 */
#ifndef SIM_NET_H
#define SIM_NET_H

#include "sim/world.h"

enum { SEGMENTS = 64 };

/** struct tag - a record on its way */
struct tag {
	uint64_t start; /* in the stream */
	uint32_t len, dgrams;
	cv_time stamp;  /* what its TIME frame says; 0: has none */
	cv_time pulled; /* when the link took it; both in the world's time */
};

struct pipe {
	struct end *to;
	uint8_t *ring;
	uint32_t cap;
	uint64_t written, arrived; /* stream offsets */
	struct {
		uint64_t end;
		cv_time at;
	} seg[SEGMENTS];
	unsigned first, segs;
	cv_time free_at; /* the line has carried what is scheduled */
	bool fin;        /* and the writer said that this is all */
	struct event arrive;
	struct tag *tag;
	size_t tags, tag_room;
};

/** struct past - the quickest packet with a TIME frame of one second */
struct past {
	cv_time second; /* when that began */
	int64_t took;
};

/** struct pace - how quick packets are on their way to an end */
struct pace {
	struct past *past; /* of this measurement */
	size_t pasts, past_room;
	cv_time run; /* first of a row of late ones, or 0 */
	bool unsure; /* what happened could not be seen */
};

/** struct end - one end of a connection: a link, or a stranger's */
struct end {
	struct cv_link link;
	struct host *host; /* NULL: a stranger's */
	struct stranger *stranger;
	struct conn *conn;
	unsigned side; /* 0 connected, 1 accepted */
	bool alive;
	bool waiting;       /* for room to write */
	bool reading, dead; /* closed by the node while it reads */
	struct cv_bufq out;
	size_t helping;
	struct cv_buf *rest;
	uint64_t queued; /* stream offset of what was pulled */
	uint64_t parsed; /* of the first byte not parsed yet */
	struct event first, error, writable;
	struct cv_list of_host;
	struct pace pace; /* the oracle's */
};

struct conn {
	struct world *w;
	struct cv_list all;
	uint32_t serial;
	uint64_t instance; /* of the server it was made with */
	uint64_t life;     /* of the client that made it */
	struct end end[2];
	struct pipe pipe[2]; /* away from end 0, away from end 1 */
	cv_time delay, stalled_until, slow_until;
	uint32_t rate, slow_rate;
	bool silent;       /* a dead end does not even answer with a reset */
	bool flip, repeat; /* the next record */
	bool garbled;      /* a bit was changed: framing may be lost */
};

enum closing {
	CLOSE_FIN,    /* what was written arrives, then the end of file */
	CLOSE_RST,    /* the other end gets an error, soon */
	CLOSE_SILENT, /* the other end learns when it writes */
};

/** conn_new() - connected; @h NULL: by a stranger */
struct conn *conn_new(struct world *, struct host *h);

/** conn_stall(), conn_reset() - nothing moves for a time; it breaks */
void conn_stall(struct conn *, cv_time how_long);
void conn_reset(struct conn *, bool half);

/** pipe_room() - bytes that pipe_write() takes now */
size_t pipe_room(const struct end *);

/** pipe_write() - take what there is room for; returns bytes taken */
size_t pipe_write(struct end *, const uint8_t *p, size_t n);

/** end_gone() - the end is not there any more; tells the other one */
void end_gone(struct end *, enum closing);

/** net_honest() - whether a host of ours is at the other end */
bool net_honest(const struct cv_link *);

/** net_life() - the instance of the client that dialled; 0: a stranger */
uint64_t net_life(const struct cv_link *);

/** net_cut() - a host goes: all its ends */
void net_cut(struct host *, bool abrupt);

/** net_heal() - every connection is well again, or known to be dead */
void net_heal(struct world *);

/** net_reap() - forget connections with no end left; net_clear() - all */
void net_reap(struct world *);
void net_clear(struct world *);

/* link.c: the link on top of an end, as link/link_tcp.c is one */
void link_open(struct end *, struct cv_session *, unsigned number);
void link_readable(struct end *, uint8_t *area, size_t n);
void link_eof(struct end *, const char *why);
void link_writable(struct end *);
void link_cut(struct end *, enum closing);

/* dial.c: as link/dial.c */
void dial_init(struct host *);
void dial_kick(struct host *);
void dial_stop(struct host *);

#endif
