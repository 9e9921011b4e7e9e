/* SPDX-License-Identifier: MIT */
/* unix.h - stream sockets that have a path, unix(7) */
#ifndef CV_UNIX_H
#define CV_UNIX_H

#include <stdbool.h>

/**
 * cv_unix_listen() - Listen at @path, mode 0600, for up to @backlog waiters
 *
 * A socket that nobody answers at any more gives way; nothing else does.
 *
 * Return: non-blocking, close-on-exec; or -1 and errno, EADDRINUSE if somebody
 * answers there
 */
int cv_unix_listen(const char *path, int backlog);

/** cv_unix_dial() - connect and wait at most 3 s for each answer; -1, errno */
int cv_unix_dial(const char *path);

/** cv_unix_ours() - the other end belongs to us or to root */
bool cv_unix_ours(int fd);

#endif
