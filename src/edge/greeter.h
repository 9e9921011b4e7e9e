/* SPDX-License-Identifier: MIT */
/**
 * greeter.h - accepted connections that say first who their client is
 *
 * DOC: A PROXY header is read to its last byte and no further.  What comes
 * without one, or too slowly, is closed: who expects headers believes them, so
 * nothing else may pass.
 */
#ifndef CV_GREETER_H
#define CV_GREETER_H

#include "loop/loop.h"

/**
 * struct cv_greeter
 * @greeted:	its header is read; the socket is the callee's.  @client: its
 *		address, family NONE if the header tells none
 */
struct cv_greeter {
	struct cv_loop *loop;
	struct cv_list all; /* longest here first */
	size_t count;
	void (*greeted)(
		struct cv_greeter *, int fd, const struct cv_addr *client);
};

/** cv_greeter_init() - @greeted is the owner's to set */
void cv_greeter_init(struct cv_greeter *, struct cv_loop *);

/** cv_greeter_take() - an accepted socket, which then belongs to @g */
void cv_greeter_take(struct cv_greeter *g, int fd);

/** cv_greeter_clear() - close those that have not greeted yet */
void cv_greeter_clear(struct cv_greeter *);

#endif
