/* SPDX-License-Identifier: MIT */
/* link_app.h - byte streams that the embedding program moves */
#ifndef CV_LINK_APP_H
#define CV_LINK_APP_H

#include "core/node.h"

/** struct cv_applinks - all of a node's, and the time as the program says */
struct cv_applinks {
	struct cv_node *node;
	struct cv_list all;
	cv_time now;
};

/**
 * cv_applink_new() - A link over a stream that exists
 * @s:		session of who is at its other end, whom this end greets; or
 *		NULL: whoever it is greets us
 *
 * Return: the link, or NULL without memory
 */
culvert_link *cv_applink_new(struct cv_applinks *, struct cv_session *s);

/** cv_applink_set() - what it was made in */
struct cv_applinks *cv_applink_set(const culvert_link *);

/** cv_applink_free() - the stream is gone; cv_applinks_clear(): all of them */
void cv_applink_free(culvert_link *);
void cv_applinks_clear(struct cv_applinks *);

/**
 * cv_applink_input(), cv_applink_output() - culvert_link_input(), _output()
 *
 * From within the former the program is called, which may free the link.
 */
int cv_applink_input(culvert_link *, const uint8_t *data, size_t len);
size_t cv_applink_output(culvert_link *, uint8_t *data, size_t size);

#endif
