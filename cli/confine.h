/* SPDX-License-Identifier: MIT */
/* confine.h - what a node's configuration lets its process keep */
#ifndef CONFINE_H
#define CONFINE_H

#include "cli.h"
#include "sandbox.h"

enum { CONFINE_PATHS = 16, CONFINE_PATH = 256 };

/** struct confine - what the configuration needs, for later */
struct confine {
	uint64_t keep;                          /* capabilities */
	char path[CONFINE_PATHS][CONFINE_PATH]; /* to read again */
	int paths;
	char metrics[CONFINE_PATH]; /* directory of their socket, or "" */
};

/** confine_plan() - Read it from the configuration's text */
void confine_plan(struct confine *, const struct source *);

/**
 * confine() - Enter the sandbox
 * @socket:	path of the control socket, or NULL
 * @note:	"sandbox: ...", for culvert_note()
 *
 * Return: as sandbox_enter()
 */
int confine(const struct confine *, const struct process *, const char *socket,
	char note[SANDBOX_TEXT + 16], char why[SANDBOX_TEXT]);

#endif
