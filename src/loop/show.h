/* SPDX-License-Identifier: MIT */
/* show.h - what a node says about itself */
#ifndef CV_SHOW_H
#define CV_SHOW_H

#include "loop/loop.h"

#include <stdio.h>

/** cv_show_peer() - its name; its key if the configuration does not know it */
const char *cv_show_peer(const struct cv_session *, char key[CULVERT_KEYTEXT]);

/** cv_show_text() - for people */
void cv_show_text(FILE *, struct cv_node *, const char *name, cv_time now);

/** cv_show_json() - one object on one line (RFC 8259) */
void cv_show_json(FILE *, struct cv_node *, const char *name, cv_time now);

/**
 * cv_show_flows() - Up to CV_SHOW_FLOWS flows, for people: those that are kept,
 * then those that were used last
 */
void cv_show_flows(FILE *, struct cv_node *, const char *name, cv_time now);

/** cv_show_flows_json() - the same as one object on one line */
void cv_show_flows_json(
	FILE *, struct cv_node *, const char *name, cv_time now);

/** cv_show_quoted() - a string of JSON, in its quotes */
void cv_show_quoted(FILE *, const char *);

#endif
