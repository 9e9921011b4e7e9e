/* SPDX-License-Identifier: MIT */
/**
 * iproxy_asker.h - who serves iproxy version 1: LIST by every way, and the
 * texts that come back
 */
#ifndef CV_IPROXY_ASKER_H
#define CV_IPROXY_ASKER_H

#include "edge/iproxy_port.h"

enum {
	CV_IPROXY_TEXT = 64, /* of a server, cut there */
	CV_IPROXY_HEARD = 256,
};

/**
 * struct cv_iproxy_heard - what answered
 * @text:	its own, printable ASCII
 * @from:	where it was heard first
 * @rtt:	since the question before it
 */
struct cv_iproxy_heard {
	uint32_t id;
	char text[CV_IPROXY_TEXT];
	struct cv_lan_way from;
	cv_time rtt;
};

struct cv_iproxy_asker {
	struct cv_iproxy_port port;
	uint32_t client; /* the name of the question */
	unsigned asked;
	cv_time last;
	struct cv_iproxy_heard heard[CV_IPROXY_HEARD];
	unsigned n;
};

/**
 * cv_iproxy_asker_open() - Nothing is asked yet
 *
 * Return: 0, or a negative enum culvert_err with @why filled in
 */
int cv_iproxy_asker_open(struct cv_iproxy_asker *, struct cv_loop *,
	const struct cv_url *, char why[CV_SOCK_WHY]);

/** cv_iproxy_asker_ask() - LIST, once, by every way */
void cv_iproxy_asker_ask(struct cv_iproxy_asker *);

/** cv_iproxy_asker_close() - what was heard stays */
void cv_iproxy_asker_close(struct cv_iproxy_asker *);

#endif
