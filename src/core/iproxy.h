/* SPDX-License-Identifier: MIT */
/**
 * iproxy.h - iproxy version 1: packets, and one end of a connection
 *
 * DOC: doc/protocol.md, section 14.  Stop and wait: at most one packet of each
 * direction is under way, so a connection holds no more than that one.  No I/O
 * here; who owns an end feeds it with packets and the time, and asks it for
 * packets.
 */
#ifndef CV_IPROXY_H
#define CV_IPROXY_H

#include "core/types.h"

enum {
	CV_IPROXY_HEAD = 28,
	CV_IPROXY_DATA = 1048, /* bytes of data at most */
	CV_IPROXY_MAX = CV_IPROXY_HEAD + CV_IPROXY_DATA,
	CV_IPROXY_TABLE = 64, /* connections of a server */
	CV_IPROXY_LISTS = 20, /* answers to LIST a second */
};

#define CV_IPROXY_LIST_SID UINT32_C(0xffffffff)
#define CV_IPROXY_RESEND CV_MS(100) /* before a round trip was measured */
#define CV_IPROXY_RESEND_MIN CV_MS(4)
#define CV_IPROXY_RESEND_MAX CV_SEC(1)
#define CV_IPROXY_KEEPALIVE CV_SEC(5)
#define CV_IPROXY_EXPIRE CV_SEC(30)
#define CV_IPROXY_JITTER CV_MS(100) /* of an answer to LIST */

enum cv_iproxy_flags {
	CV_IPROXY_PLAIN = 0, /* DATA */
	CV_IPROXY_FIN = 1,
	CV_IPROXY_ACK = 2,
	CV_IPROXY_GONE = CV_IPROXY_FIN | CV_IPROXY_ACK,
	CV_IPROXY_ALIVE = 4, /* KEEPALIVE */
	CV_IPROXY_LIST = 8,
	CV_IPROXY_HELLO = CV_IPROXY_LIST | CV_IPROXY_ACK,
};

struct cv_iproxy_packet {
	uint32_t flags, client, server, offset, len;
	const uint8_t *data;
};

/** cv_iproxy_is() - a datagram of this version, whatever else is wrong in it */
bool cv_iproxy_is(const uint8_t *p, size_t len);

/** cv_iproxy_read() - 0, or CULVERT_EPROTO with @out untouched; its data lies
 * in @p */
int cv_iproxy_read(struct cv_iproxy_packet *out, const uint8_t *p, size_t len);

/** cv_iproxy_write() - bytes of the datagram, at most CV_IPROXY_MAX */
size_t cv_iproxy_write(const struct cv_iproxy_packet *, uint8_t *p);

/**
 * struct cv_iproxy - one end of a connection
 * @held:	the data or FIN that is under way, from @next on
 * @resend:	between two of them
 */
struct cv_iproxy {
	uint32_t client, server;
	/* out */
	uint32_t next; /* offset of what is under way, or would be */
	uint32_t held;
	uint8_t data[CV_IPROXY_DATA];
	bool finishing;      /* a FIN follows */
	bool fin, fin_acked; /* it is under way; it arrived */
	bool client_end;     /* it opens the connection */
	bool opening;        /* the other end has not answered yet */
	unsigned sends;      /* of what is under way */
	unsigned quiet;      /* sends since something came in */
	cv_time sent;        /* the last of them */
	cv_time srtt, rttvar, resend;
	/* in */
	uint32_t expected;
	bool fin_seen;
	bool owes;  /* an ACK */
	bool calls; /* a KEEPALIVE is due */
	cv_time heard, spoke;
};

/** enum cv_iproxy_news - what a packet brought; a mask */
enum cv_iproxy_news {
	CV_IPROXY_GOT = 1,    /* its data is the next: the end has taken it */
	CV_IPROXY_ENDED = 2,  /* the other end has finished */
	CV_IPROXY_ROOM = 4,   /* cv_iproxy_send() is possible again */
	CV_IPROXY_CLOSED = 8, /* both directions are over and acknowledged */
	CV_IPROXY_LOST = 16,  /* it said GONE */
};

/** cv_iproxy_init() - @opens: a client's, which opens the connection */
void cv_iproxy_init(struct cv_iproxy *, uint32_t client, uint32_t server,
	bool opens, cv_time now);

/** cv_iproxy_room() - whether nothing is under way: bytes that it takes */
uint32_t cv_iproxy_room(const struct cv_iproxy *);

/** cv_iproxy_buffer(), cv_iproxy_send() - where up to cv_iproxy_room() bytes
 * are to be put; @len of them were */
uint8_t *cv_iproxy_buffer(struct cv_iproxy *);
void cv_iproxy_send(struct cv_iproxy *, uint32_t len, cv_time now);

/** cv_iproxy_finish() - nothing more will be sent */
void cv_iproxy_finish(struct cv_iproxy *);

/** cv_iproxy_alive() - say KEEPALIVE now, unless it is closed: the way to the
 * other end may be another */
void cv_iproxy_alive(struct cv_iproxy *);

/** cv_iproxy_in_vain() - how often something was sent, and again, since the
 * other end was heard, if that is more than three times; or 0 */
unsigned cv_iproxy_in_vain(const struct cv_iproxy *);

/**
 * cv_iproxy_input() - A packet of this connection
 * @room:	what may be taken: data beyond it is left to be sent again
 *
 * Return: a mask of enum cv_iproxy_news
 */
unsigned cv_iproxy_input(struct cv_iproxy *, const struct cv_iproxy_packet *,
	size_t room, cv_time now);

/** cv_iproxy_output() - the next packet to be sent now; false: none */
bool cv_iproxy_output(
	struct cv_iproxy *, struct cv_iproxy_packet *, cv_time now);

/** cv_iproxy_deadline() - when there is one, or it has expired */
cv_time cv_iproxy_deadline(const struct cv_iproxy *);

/** cv_iproxy_expired() - nothing was heard for too long */
bool cv_iproxy_expired(const struct cv_iproxy *, cv_time now);

/** cv_iproxy_closed() - both directions are over */
bool cv_iproxy_closed(const struct cv_iproxy *);

#endif
