/* SPDX-License-Identifier: MIT */
/* act.h - what a program may do from within a callback, tried in each */
#ifndef ACT_H
#define ACT_H

#include "side.h"

enum act {
	ACT_OPEN,
	ACT_SEND,
	ACT_CLOSE,
	ACT_RELOAD, /* to the text it has, and to one without the peer */
	ACT_WAKE,
	ACT_ASK, /* what only answers, and what is refused here */
	ACT_STOP,
	ACT_FREE,
	ACTS,
};

/** struct deed - @act is done in each callback of @kind of a side */
struct deed {
	enum call call;
	enum act act;
	const char *same, *other; /* texts to reload */
	const char *peer;
	unsigned done;
};

/** act() - do it; true if the node is freed now */
bool act(struct deed *, struct side *, enum call, culvert_flow *);

#endif
