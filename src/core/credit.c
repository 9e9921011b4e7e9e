/* SPDX-License-Identifier: MIT */
#include "core/credit.h"

#include "core/node.h"
#include "core/transport.h"

/* bytes that came in and are not taken, holes included */
static uint64_t waiting(const struct cv_transport *t)
{
	return t->rx_out - t->untold;
}

static bool crowded(const struct cv_transport *t)
{
	return waiting(t) > CV_SESSION_CROWDED;
}

uint32_t cv_credit_offer(const struct cv_transport *t)
{
	uint64_t window = t->window;
	if (!cv_pool_scarce(&t->session->node->pool))
		window += waiting(t);
	if (window > CV_SESSION_WINDOW_MAX)
		window = CV_SESSION_WINDOW_MAX;
	return (uint32_t)(window > t->rx_window ? window : t->rx_window);
}

void cv_credit_arrived(struct cv_transport *t, cv_time now)
{
	if (crowded(t) && !t->crowded) {
		t->crowded = now;
		cv_transport_schedule(t, now);
	}
	if (t->tell || cv_credit_offer(t) - t->rx_window < t->window / 4)
		return;
	t->tell = true;
	cv_session_wake(t->session, now);
}

/* the one that is stuck longest, or NULL */
static struct cv_stream *most_stuck(const struct cv_transport *t)
{
	struct cv_list *all = &t->session->flows;
	struct cv_stream *found = NULL;
	for (struct cv_list *l = all->next; l != all; l = l->next) {
		struct cv_stream *st =
			CV_CONTAINER(l, struct cv_flow, peers)->stream;
		if (!st || !st->transport || st->rx.taken == st->rx.next)
			continue;
		if (!found || st->took < found->took)
			found = st;
	}
	return found;
}

static void cut_off(struct cv_transport *t, struct cv_stream *st, cv_time now)
{
	struct cv_session *s = t->session;
	cv_log(s->node, CULVERT_WARN,
		"msg=\"connection cut off: its program reads nothing, and "
		"others wait\" peer=%s stuck_ms=%llu bytes=%llu",
		*s->name ? s->name : "-",
		(unsigned long long)((now - st->took) / 1000),
		(unsigned long long)(st->rx.next - st->rx.taken));
	cv_flow_close(s->node, st->flow, NULL, CV_RESET_TIMEOUT, now);
}

void cv_credit_clock(struct cv_transport *t, cv_time now)
{
	if (!crowded(t))
		t->crowded = 0;
	if (!t->crowded || now < t->crowded)
		return;
	struct cv_stream *st = most_stuck(t);
	t->crowded = now + CV_STUCK_LOOK;
	if (st && now - st->took >= CV_STUCK)
		cut_off(t, st, now);
}

cv_time cv_credit_deadline(const struct cv_transport *t)
{
	return t->crowded ? t->crowded : CV_NEVER;
}
