/* SPDX-License-Identifier: MIT */
/* trace.h - what the transport does, for who wants to see it: JSON lines */
#ifndef CV_TRACE_H
#define CV_TRACE_H

#include "core/types.h"

struct cv_transport;

/**
 * cv_trace() - One event, if anybody listens
 * @event:	its name
 * @fmt:	further members, such as "\"bytes\":%u"
 */
void cv_trace(const struct cv_transport *, cv_time now, const char *event,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/** cv_trace_path() - how the path does now, every CV_TRACE_EVERY at most */
void cv_trace_path(struct cv_transport *, cv_time now);

#endif
