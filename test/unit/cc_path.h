/* SPDX-License-Identifier: MIT */
/**
 * cc_path.h - a path in virtual time, and bulk senders that share it
 *
 * DOC: One bottleneck with a drop-tail queue of bytes, then delay, loss and
 * reordering; a sender is what a transport is to congestion control: pacer,
 * rate sampler, loss by threshold and time, probe timer.  Everything repeats
 * with the seed.
 */
#ifndef CC_PATH_H
#define CC_PATH_H

#include "core/cc.h"
#include "core/pacer.h"
#include "core/rate.h"

enum {
	PATH_FRAME = 1514,   /* bytes a full packet takes at the bottleneck */
	PATH_MSS = 1500,     /* ... as the sender counts them */
	PATH_PAYLOAD = 1434, /* ... that the application sees */
	PATH_FLOWS = 8,
	PATH_DELAYS = 10000, /* of 100 µs: classes of queueing delay */
};

/** struct path_cfg - may be changed while it runs; rates in Mbit/s */
struct path_cfg {
	double rate;      /* of the bottleneck */
	cv_time rtt;      /* µs, without queue */
	double queue_ms;  /* room of the queue, in time at @rate; 0: 100 */
	double loss;      /* share lost behind the bottleneck */
	double burst;     /* mean length of a loss; 0: single ones */
	double late;      /* share that comes 2 ms late */
	cv_time jitter;   /* µs, random, order kept */
	cv_time noise;    /* µs: both ends look at the network this late */
	cv_time ack_gap;  /* µs: ACKs come in bursts as far apart */
	double police;    /* a token bucket's rate; 0: none */
	double bucket_ms; /* ... and its depth */
	bool dark;        /* nothing passes */
};

enum path_kind { PATH_RATE, PATH_CUBIC, PATH_BBR1 };

struct path;

/** path_new() - no flow yet */
struct path *path_new(const struct path_cfg *, uint64_t seed);

/** path_free() - and all flows */
void path_free(struct path *);

/** path_cfg() - to change */
struct path_cfg *path_cfg(struct path *);

/** path_flow() - a bulk sender that begins at @at, or now; its number */
unsigned path_flow(struct path *, enum path_kind, cv_time at);

/** path_talk() - from now on flow @f sends @bytes each @every µs and no more;
 * 0: bulk again */
void path_talk(struct path *, unsigned f, uint64_t bytes, cv_time every);

/** path_run() - to the time @until */
void path_run(struct path *, cv_time until);

/** path_mark() - figures are counted from here on */
void path_mark(struct path *);

/** path_payload() - Mbit/s of payload of flow @f since the mark */
double path_payload(const struct path *, unsigned f);

/** path_delay() - the queueing delay that @share of the packets stayed under
 * since the mark, ms */
double path_delay(const struct path *, double share);

/** path_lost() - share of packets sent since the mark that the queue or the
 * policer dropped */
double path_lost(const struct path *);

/** path_cc() - the congestion control of a flow */
const struct cv_cc *path_cc(const struct path *, unsigned f);

/** path_resets() - how often persistent congestion was found */
unsigned path_resets(const struct path *, unsigned f);

#endif
