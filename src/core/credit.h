/* SPDX-License-Identifier: MIT */
/**
 * credit.h - a session's window, and consumers that do not take their bytes
 *
 * DOC: What came in and is not taken *waits*.  It is in the session's window
 * until it is taken, so a few consumers that have stopped would use the window
 * up and stop all others.  Therefore the window is raised by what waits, up to
 * its most and while there is memory.  Where even that is nearly used up the
 * session is *crowded*, and the stream whose consumer has taken nothing for
 * longest, and for CV_STUCK at least, is cut off.  doc/protocol.md, section
 * 12.4.
 */
#ifndef CV_CREDIT_H
#define CV_CREDIT_H

#include "core/limits.h"

struct cv_transport;

/** cv_credit_offer() - the window that the peer should have now, bytes; never
 * less than it has */
uint32_t cv_credit_offer(const struct cv_transport *);

/** cv_credit_arrived() - bytes of a stream came: the peer may have to be told
 * of a larger window */
void cv_credit_arrived(struct cv_transport *, cv_time now);

/** cv_credit_clock() - cut off whoever is stuck, if the session is crowded */
void cv_credit_clock(struct cv_transport *, cv_time now);

/** cv_credit_deadline() - when cv_credit_clock() has something to do */
cv_time cv_credit_deadline(const struct cv_transport *);

#endif
