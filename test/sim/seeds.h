/* SPDX-License-Identifier: MIT */
/**
 * seeds.h - lives from many seeds, and what came of them, as TAP
 *
 *	PROGRAM [--seeds FROM-TO | --seed N] [--regress FILE]
 *	        [--budget SECONDS] [--verbose] and what it has itself
 */
#ifndef SEEDS_H
#define SEEDS_H

#include "core/types.h"

/**
 * struct seeds
 * @program:	its name; @own: its own options, for the usage
 * @live:	one life: leaves its @trace, and @why if a rule was broken
 * @option:	an option of its own and the value; false: there is none; or
 *		NULL
 * @whole:	checks that take many seeds
 * @tell:	what was counted, as comments
 * @verbose:	set by --verbose
 */
struct seeds {
	const char *program, *own;
	bool (*live)(struct seeds *, uint64_t seed);
	bool (*option)(const char *name, const char *value);
	void (*whole)(struct seeds *);
	void (*tell)(void);
	bool *verbose;
	uint64_t trace; /* of the last seed */
	char why[240];
	uint64_t tests, bad;
};

/** seeds_main() - all of it; the exit code */
int seeds_main(struct seeds *, int argc, char **argv);

/** seeds_tap() - one more test, and how it went */
void seeds_tap(struct seeds *, bool ok, const char *name);

#endif
