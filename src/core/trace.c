/* SPDX-License-Identifier: MIT */
#include "core/trace.h"

#include "core/node.h"
#include "core/transport.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void cv_trace(const struct cv_transport *t, cv_time now, const char *event,
	const char *fmt, ...)
{
	const struct cv_env *env = &t->session->node->env;
	char line[CV_TRACE_LINE];
	va_list ap;
	if (!env->trace)
		return;
	int n = snprintf(line, sizeof line,
		"{\"t\":%" PRIu64 ",\"ev\":\"%s\",\"peer\":\"%s\",", now, event,
		t->session->name);
	va_start(ap, fmt);
	n += vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
	va_end(ap);
	if (n < (int)sizeof line - 2) {
		line[n] = '}';
		line[n + 1] = '\0';
		env->trace(env->user, line);
	}
}

void cv_trace_path(struct cv_transport *t, cv_time now)
{
	if (!t->session->node->env.trace || now - t->traced < CV_TRACE_EVERY)
		return;
	t->traced = now;
	cv_trace(t, now, "path",
		"\"rtt\":%" PRIu64 ",\"srtt\":%" PRIu64 ",\"min_rtt\":%" PRIu64
		",\"rate\":%" PRIu64 ",\"cwnd\":%" PRIu64
		",\"inflight\":%" PRIu64 ",\"delivered\":%" PRIu64
		",\"lost\":%" PRIu64 ",\"state\":\"%s\",\"mtu\":%u",
		t->rtt.latest, t->rtt.smoothed, t->rtt.min, t->cc.rate,
		t->cc.cwnd, t->flights.inflight, t->rate.delivered,
		t->rate.lost, cv_cc_state(&t->cc), t->pmtud.mtu);
}
