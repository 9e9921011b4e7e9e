/* SPDX-License-Identifier: MIT */
#include "core/stats.h"

#include <assert.h>

static const char *const name[] = {
	[CV_DROP_NONE] = "none",
	[CV_DROP_AGED] = "aged",
	[CV_DROP_QUEUE_FULL] = "queue_full",
	[CV_DROP_NO_BUFFER] = "no_buffer",
	[CV_DROP_NO_SESSION] = "no_session",
	[CV_DROP_LINK_LOST] = "link_lost",
	[CV_DROP_FLOW_LIMIT] = "flow_limit",
	[CV_DROP_MALFORMED] = "malformed",
	[CV_DROP_BAD_MAC] = "bad_mac",
	[CV_DROP_UNKNOWN_PEER] = "unknown_peer",
	[CV_DROP_STALE_HELLO] = "stale_hello",
	[CV_DROP_UNKNOWN_INDEX] = "unknown_index",
	[CV_DROP_FORGED] = "forged",
	[CV_DROP_REPLAYED] = "replayed",
	[CV_DROP_PLAIN] = "plain",
	[CV_DROP_UNDER_LOAD] = "under_load",
	[CV_DROP_STRANGER] = "stranger",
	[CV_DROP_FLOOD] = "flood",
	[CV_DROP_LATE] = "late",
	[CV_DROP_UNKNOWN_FLOW] = "unknown_flow",
	[CV_DROP_INCOMPLETE] = "incomplete",
	[CV_DROP_UNREACHABLE] = "unreachable",
	[CV_DROP_TOO_BIG] = "too_big",
	[CV_DROP_SOCKET_FULL] = "socket_full",
	[CV_DROP_SOCKET] = "socket",
	[CV_DROP_OVERRUN] = "overrun",
	[CV_DROP_OPENING] = "opening",
};
static_assert(CV_COUNT(name) == CV_DROP_N, "every drop has a name");

const char *cv_drop_name(enum cv_drop d)
{
	return name[d];
}

bool cv_drop_packets(enum cv_drop d)
{
	return d >= CV_DROP_MALFORMED && d <= CV_DROP_FLOOD;
}
