/* SPDX-License-Identifier: MIT */
/* metrics.h - what a node says about itself to a monitoring system */
#ifndef CV_METRICS_H
#define CV_METRICS_H

#include "loop/loop.h"

#include <stdio.h>

/** cv_metrics_text() - Prometheus' text exposition format 0.0.4 */
void cv_metrics_text(FILE *, struct cv_node *, const char *name, cv_time now);

/** cv_metrics_open() - the same as OpenMetrics 1.0.0 has it */
void cv_metrics_open(FILE *, struct cv_node *, const char *name, cv_time now);

struct cv_metrics;

/**
 * cv_metrics_listen() - Answer scrapers by HTTP
 * @url:	tcp://ADDRESS:PORT or unix:///PATH, which only its owner may use
 * @name:	of the node, for the label
 *
 * An address that others can reach is worth a warning in the log.
 *
 * Return: the listener, or NULL and errno
 */
struct cv_metrics *cv_metrics_listen(
	struct cv_loop *, const char *url, const char *name);

/** cv_metrics_free() - close and unlink; NULL is fine */
void cv_metrics_free(struct cv_metrics *);

#endif
