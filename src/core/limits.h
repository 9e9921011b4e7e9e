/* SPDX-License-Identifier: MIT */
/* limits.h - the bound of every queue, table and loop, in one place */
#ifndef CV_LIMITS_H
#define CV_LIMITS_H

#include "core/types.h"

enum {
	/* datagrams and packets */
	CV_DGRAM_MAX = 65507,       /* largest UDP payload over IPv4 */
	CV_PACKET_MAX = 65507 + 96, /* largest packet: frames, header, tag */
	CV_FRAMES_MAX = CV_PACKET_MAX - 32, /* what fits between these */
	CV_HEADROOM = 64, /* in front of a packet: record, header */
	CV_TAILROOM = 32, /* behind it: tag */
	CV_SMALL = 448,   /* frames in a small buffer: its packet fits what
			     is taken from a stranger */

	/* queues */
	CV_CHUNK_BLOCKED = 16 << 10, /* bytes a chunk grows to behind a
					blocked link: what may be late */
	CV_CHUNK_SPREAD = 16 << 10,  /* ... with several links ... */
	CV_CHUNK_SHARED = 4 << 10,   /* ... that are all blocked */
	CV_TXQ_BYTES = 8 << 20,      /* a session's datagram queue */
	CV_HOLD_DGRAMS = 64,         /* kept while there is no session yet */
	CV_CTL_BUFS = 128,           /* a session's control queue, in buffers */
	CV_PATH_BUFS = 8,            /* control frames of one link, likewise */
	CV_REPLY_BUFS = 8,           /* stateless replies of a link */
	CV_OUT_BUFS = 64,            /* packets of one output call */
	CV_OUT_BYTES = 256 << 10,    /* bytes of one output call */

	/* tables */
	CV_OUTS = 4, /* kinds of edge that peers' flows go to */
	CV_SESSIONS_MAX = 4096,
	CV_PLAIN_MAX = 1024,      /* sessions without keys */
	CV_FLOWS_MAX = 131072,    /* default; --max-flows */
	CV_FLOWS_SOURCE = 65536,  /* default, per source address */
	CV_LINKS_SESSION = 16,    /* connections= of an endpoint */
	CV_LINKS_STRANGER = 1024, /* connections not authenticated yet */
	CV_LINKS_SOURCE = 64,     /* of these, from one address */
	CV_STRANGER_RECORD = 512, /* longest packet of one */
	CV_MEMORY = 64 << 20,     /* default of all buffers of a node */
	CV_TARGET_MAX = 400,      /* bytes of a target's URL */
	CV_REPLAY_BITS = 8192,    /* sliding window */
	CV_ALLOW_MAX = 256,       /* allow rules of a node */
	CV_SHOW_FLOWS = 2048,     /* listed at once: what a turn has time for */

	/* streams */
	CV_STREAM_WINDOW = 1 << 20,      /* bytes at first, of a stream ... */
	CV_SESSION_WINDOW = 8 << 20,     /* ... and of a session */
	CV_STREAM_WINDOW_MAX = 16 << 20, /* what they grow to */
	CV_SESSION_WINDOW_MAX = 32 << 20,
	CV_SESSION_CROWDED = 24 << 20,   /* waiting for consumers, of these */
	CV_STREAM_WINDOW_SURE = 8 << 20, /* beyond, 4 times as much came */
	CV_UNSENT_MIN = 128 << 10,       /* of a stream, waiting to be sent */
	CV_UNSENT_MAX = 1 << 20,         /* ... on a fast path */
	CV_UNSENT_LINK = 512 << 10,      /* ... on a byte stream */
	CV_TRACE_LINE = 500,             /* bytes of an event */
	CV_FRAME_LEAST = 24,    /* what is left of a packet is of use */
	CV_INITIAL_WINDOW = 10, /* packets (RFC 9002, section 7.2) */
	CV_NUDGE_BYTES = 1000,  /* in a packet of a busy sender */
	CV_NUDGE_PACKETS = 16,  /* come from a busy one */
	CV_PACKET_PARTS = 64,   /* things in a packet to be sent again */
	CV_OPENED_RANGES = 256, /* what a peer opened, as ranges */

	/* datagrams larger than a packet */
	CV_PARTS_DGRAMS = 32, /* of a session, being put together */
	CV_PARTS_PIECES = 64, /* of one, that do not touch */
	/* numbers of which is known that they are over */
	CV_PARTS_WINDOW = 1024,
	CV_PART_SPARE = 64,   /* bytes that one takes beyond its share */
	CV_PART_LEAST = 1000, /* bytes of a part that are never too few */

	/* what one packet or one turn of the loop may ask for, so that one
	   peer's flood is not everybody's stall */
	CV_PACKET_DGRAMS = 1024,  /* datagrams in a packet */
	CV_PACKET_CONTROLS = 256, /* frames of other kinds */
	CV_PACKET_OPENS = 64,     /* of these, OPEN */
	CV_RESUMES_TURN = 16,     /* rounds of reading more and sending it */
	CV_CLOSES_TURN = 256,     /* flows that end in one tick */
	CV_YOUNG_FAILURES = 2,    /* as many, at most, do short links count */
	CV_COOKIES_LINK = 4,      /* cookies that may be used at once */
	CV_LOOKUPS = 64,          /* names being resolved at a time */
	CV_PINNED_SOURCE = 64,    /* flows of one peer that never idle out */

	/* load */
	CV_UNDER_LOAD = 500, /* handshakes a second before cookies */
};

/* sessions, as WireGuard's paper names them (section 6.1) */
#define CV_REKEY_AFTER_TIME CV_SEC(120)
#define CV_REJECT_AFTER_TIME CV_SEC(180)
#define CV_REKEY_AFTER_MESSAGES (UINT64_C(1) << 60)
#define CV_REJECT_AFTER_MESSAGES (UINT64_MAX - (UINT64_C(1) << 13) + 1)
#define CV_HANDSHAKE_TIMEOUT CV_SEC(5)
/* for an answer to an initiation that may get lost, doubled each time */
#define CV_HELLO_WAIT CV_MS(300)
#define CV_HELLO_WAIT_MAX CV_SEC(2)
/* without an answer, beside three round trips, before keys are asked for */
#define CV_DOUBT CV_MS(300)
#define CV_SILENT CV_SEC(3) /* ... and before people are told */
/* silence of a busy sender, beside half a round trip, before we ask */
#define CV_NUDGE CV_MS(25)
#define CV_INIT_INTERVAL CV_MS(20)   /* between initiations on one link */
#define CV_COOKIE_INTERVAL CV_SEC(1) /* between two that a link may give */
/* between samples of a path that is traced */
#define CV_TRACE_EVERY CV_MS(5)
/* until what had no memory is tried again */
#define CV_RETRY CV_MS(1)
/* from this many datagrams a second on, in helpings smaller than this, the
   loop turns at most once in this time: see loop.c */
#define CV_BREATH_RATE 20000
#define CV_BREATH_BATCH 32
#define CV_BREATH ((cv_time)200)
#define CV_BREATH_WINDOW CV_MS(2) /* over which it is measured */
#define CV_ALARM CV_MS(20) /* deadlines this near are to be met exactly */
#define CV_TURN CV_MS(2)   /* reading one link in one turn of the loop */
#define CV_COOKIE_LIFE CV_SEC(120)
#define CV_HEARTBEAT CV_SEC(20)   /* silence before a PING */
#define CV_DEAD CV_SEC(30)        /* silence before a path is given up */
#define CV_FIRST_PACKET CV_SEC(5) /* a stranger's time to say something */

/* lateness */
#define CV_MAX_AGE CV_MS(50)   /* default; --max-age */
#define CV_LATE_FACTOR 10      /* far end drops what took longer, × age */
#define CV_LATE_RUN CV_SEC(2)  /* all late for this long: a slower path */
#define CV_HOLD_AGE CV_SEC(1)  /* while the session is being set up */
#define CV_CHUNK_SPAN CV_MS(1) /* arrival times in one chunk */
#define CV_PARTS_AGE CV_SEC(1) /* until a datagram in parts is given up */
/* ... and what was begun is sent for this long */
#define CV_PARTS_SEND CV_MS(500)
#define CV_SKEW_WINDOW CV_SEC(60) /* clock offset: minimum over this long */

/* nothing taken for so long: may be cut off if others wait; between two looks
 */
#define CV_STUCK CV_SEC(10)
#define CV_STUCK_LOOK CV_MS(200)

/* flows and links */
#define CV_FLOW_IDLE CV_SEC(180) /* RFC 4787 REQ-5 asks at least 120 s */
#define CV_LINK_YOUNG CV_SEC(1)  /* lived shorter: counts as a failure */
#define CV_GAUGE CV_MS(1) /* an estimate of a link is good for this long */
#define CV_DIAL_MIN CV_MS(100)
#define CV_DIAL_MAX CV_SEC(10)
#define CV_DIAL_FAILED CV_SEC(2) /* at most, after failed handshakes */
#define CV_TRIM CV_SEC(10)       /* buffers unused for this long are freed */
#define CV_DRAIN CV_SEC(1)       /* orderly stop: flush for this long at most */
#define CV_DRAIN_STREAMS CV_SEC(30) /* ... once streams had this to end */

#endif
