/* SPDX-License-Identifier: MIT */
/* show.h - what a node says about itself */
#ifndef CV_SHOW_H
#define CV_SHOW_H

#include "loop/loop.h"

#include <stdio.h>

/** cv_show_text() - for people */
void cv_show_text(FILE *, struct cv_node *, const char *name, cv_time now);

/** cv_show_json() - one object on one line (RFC 8259) */
void cv_show_json(FILE *, struct cv_node *, const char *name, cv_time now);

#endif
