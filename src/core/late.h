/* SPDX-License-Identifier: MIT */
/**
 * late.h - how late packets are, by the stamps inside them
 *
 * DOC: Datagrams are stamped when they arrive at the far edge.  The least
 * difference between their clock and ours over the last one or two windows
 * stands for a packet that waited nowhere; what is later than that by more
 * than the limit is stale: it sat in the buffers of a stalled connection.
 * Windows follow the clocks' drift.  What stays late for CV_LATE_RUN is no
 * stall but a path that has become slower.  doc/protocol.md, section 8.
 */
#ifndef CV_LATE_H
#define CV_LATE_H

#include "core/limits.h"

/** struct cv_late - zero bytes are a measurement that has not begun */
struct cv_late {
	uint32_t min[2]; /* least (our clock - theirs), last window and this */
	cv_time since;   /* start of this window */
	cv_time run;     /* since when every packet was late, or 0 */
	bool known;
};

/**
 * cv_late() - Take one stamp in
 * @stamp:	the sender's clock, µs modulo 2^32
 * @limit:	how much later than the least is late, µs
 *
 * Return: whether what came with it is late
 */
bool cv_late(struct cv_late *, uint32_t stamp, uint64_t limit, cv_time now);

#endif
