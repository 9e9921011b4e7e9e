/* SPDX-License-Identifier: MIT */
/* stats.h - every drop has one name and one counter */
#ifndef CV_STATS_H
#define CV_STATS_H

#include "core/types.h"

enum cv_drop {
	CV_DROP_NONE,
	/* datagrams on their way to a peer */
	CV_DROP_AGED,       /* waited longer than --max-age */
	CV_DROP_QUEUE_FULL, /* more bytes than a session may queue */
	CV_DROP_NO_BUFFER,  /* memory ceiling */
	CV_DROP_NO_SESSION, /* no session or connection came up in time */
	CV_DROP_LINK_LOST,  /* the link went away with it */
	CV_DROP_FLOW_LIMIT, /* flow table full of active flows */
	/* packets from a link */
	CV_DROP_MALFORMED,     /* neither a packet nor a frame */
	CV_DROP_BAD_MAC,       /* not meant for this key */
	CV_DROP_UNKNOWN_PEER,  /* a public key we do not know */
	CV_DROP_STALE_HELLO,   /* handshake replayed */
	CV_DROP_UNKNOWN_INDEX, /* no such session */
	CV_DROP_FORGED,        /* the tag does not verify */
	CV_DROP_REPLAYED,      /* packet number seen or too old */
	CV_DROP_PLAIN,         /* plain against sealed */
	CV_DROP_UNDER_LOAD,    /* answered with a cookie */
	CV_DROP_STRANGER,      /* said something before the handshake */
	CV_DROP_FLOOD,         /* more than a packet or a link may ask for */
	/* datagrams from a peer */
	CV_DROP_LATE,         /* the network took too long */
	CV_DROP_UNKNOWN_FLOW, /* not open here */
	CV_DROP_INCOMPLETE,   /* a part of it is missing */
	/* datagrams at an edge */
	CV_DROP_UNREACHABLE, /* ICMP: nobody there */
	CV_DROP_TOO_BIG,     /* larger than the path takes */
	CV_DROP_SOCKET_FULL, /* the socket's send buffer */
	CV_DROP_SOCKET,      /* any other error of the system */
	CV_DROP_OVERRUN,     /* by the kernel: its receive buffer was full */
	CV_DROP_OPENING,     /* the target is still being resolved */
	CV_DROP_N,
};

struct cv_stats {
	uint64_t drop[CV_DROP_N];
	uint64_t tx_packets, tx_bytes, rx_packets, rx_bytes;
	uint64_t tx_dgrams, tx_dgram_bytes; /* to peers */
	uint64_t rx_dgrams, rx_dgram_bytes; /* from peers */
	uint64_t handshakes, handshakes_failed;
};

/** cv_drop_name() - the name that metrics and show use */
const char *cv_drop_name(enum cv_drop);

/** cv_drop_packets() - it counts packets of a link, not datagrams */
bool cv_drop_packets(enum cv_drop);

#endif
