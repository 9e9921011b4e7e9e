/* SPDX-License-Identifier: MIT */
/**
 * answer.h - a small server: one request, one answer, and it hangs up
 *
 * Whoever connects has a few seconds for both.  Where all places are taken,
 * the client that has had most time gives way: one that is slow, or silent,
 * keeps nobody out.
 */
#ifndef CV_ANSWER_H
#define CV_ANSWER_H

#include <ev.h>
#include <stdbool.h>
#include <stdio.h>

enum {
	CV_ANSWER_CLIENTS = 8,
	CV_ANSWER_REQUEST = 4096, /* bytes of a request at most */
};

#define CV_ANSWER_PATIENCE 5. /* seconds that all of it may take */

/**
 * struct cv_answer_ops
 * @end:	what a request ends with
 * @admit:	whether the connection @fd may ask; NULL: everybody may
 * @compose:	write the answer to @request, which ends in NUL, without its
 *		end, and may be changed; NULL: it was too long
 */
struct cv_answer_ops {
	const char *end;
	bool (*admit)(int fd);
	void (*compose)(void *user, char *request, FILE *);
};

struct cv_answer;

/**
 * cv_answer_new() - Answer who connects to a listening stream socket
 * @fd:		it, non-blocking; owned from here on, closed on failure too
 * @user:	handed to @ops
 *
 * Return: the server, or NULL and errno
 */
struct cv_answer *cv_answer_new(
	struct ev_loop *, int fd, const struct cv_answer_ops *ops, void *user);

/** cv_answer_free() - hang up on everybody; NULL is fine */
void cv_answer_free(struct cv_answer *);

#endif
