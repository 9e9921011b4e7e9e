/* SPDX-License-Identifier: MIT */
/* child.h - what changes a process for good is tried in one of its own */
#ifndef CHILD_H
#define CHILD_H

#include "unit/check.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

/** must() - in a child: else say so and end it */
#define must(condition)                                                        \
	do {                                                                   \
		if (!(condition))                                              \
			give_up(__FILE__, __LINE__, #condition);               \
	} while (0)

_Noreturn static inline void give_up(
	const char *file, int line, const char *what)
{
	dprintf(STDERR_FILENO, "# %s:%d: %s (errno: %s)\n", file, line, what,
		strerror(errno));
	_exit(1);
}

/** in_child() - run @body in a child and see that it came to its end */
static inline void in_child(void (*body)(void))
{
	int status;
	fflush(stdout);
	pid_t pid = fork();
	assert_int_not_equal(pid, -1);
	if (!pid) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#endif
