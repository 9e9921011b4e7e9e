/* SPDX-License-Identifier: MIT */
/**
 * sandbox.h - what a started process gives up, for good
 *
 * DOC: Whoever takes over a running node has its process.  So once its ports
 * are open and its keys read, the process keeps only what it needs to go on:
 *
 *   user		another one, if asked for
 *   capabilities	none, in every set, but those that are named
 *   no_new_privs	no program that is run could get any back
 *   not dumpable	no core file and no debugger sees the keys
 *   Landlock		reads the named files and what names and random
 *			numbers need, makes sockets in few directories; signals
 *			nobody outside
 *   seccomp		the system calls of sandbox_calls.c
 *
 * What the kernel does not have, or does not let us have, is left out and
 * said so; only what was asked for is an error when it cannot be had.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

/** Length of a phrase for people, with the terminating NUL. */
enum { SANDBOX_TEXT = 200 };

/** SANDBOX_CAP() - the bit of a capability, CAP_NET_ADMIN for example */
#define SANDBOX_CAP(cap) (UINT64_C(1) << (cap))

/** struct sandbox - what a process may keep; all zero is the strictest */
struct sandbox {
	const char *user; /* NAME[:GROUP] to become; NULL: stay who we are */
	bool off;         /* become @user and no more */
	uint64_t keep;    /* capabilities, if we have them: SANDBOX_CAP() */

	/* files and directories to be read, NULL at the end; may be NULL.  A
	   directory is all below it, now and later; a file is what has this
	   path now, not what somebody replaces it by */
	const char *const *readable;
	/* where unix sockets are made and removed, NULL at the end; may be NULL
	 */
	const char *const *socket_dirs;
};

/**
 * sandbox_enter() - Give up what is not needed any more
 * @s:		what may be kept
 * @note:	on success what was given up, for people: "user nobody, no
 *		capabilities, landlock ABI 6, seccomp"
 * @why:	on failure one line, with the remedy
 *
 * Call it once, when ports are open and files are read, and while there is
 * one thread.  There is no way back.
 *
 * Return: 0; CULVERT_EINVAL: there is no such user or group; CULVERT_ESYS: we
 * may not become it. After a failure the process is to end.
 */
int sandbox_enter(const struct sandbox *s, char note[SANDBOX_TEXT],
	char why[SANDBOX_TEXT]);

/**
 * sandbox_files() - The part of sandbox_enter() that is Landlock
 *
 * Return: the version of the kernel's interface, from 1, or a negative errno
 */
int sandbox_files(const struct sandbox *s);

/**
 * sandbox_calls() - The part of sandbox_enter() that is seccomp
 *
 * Every other system call fails with EPERM.
 *
 * Return: 0 or a negative errno; -ENOPKG: built without libseccomp
 */
int sandbox_calls(const struct sandbox *s);

#endif
