/* SPDX-License-Identifier: MIT */
/**
 * systemd.h - what a service manager and its service tell each other
 *
 * DOC: Two small protocols, sd_notify(3) and sd_listen_fds(3), spoken here
 * without their library.  Without such a manager every function does nothing.
 */
#ifndef SYSTEMD_H
#define SYSTEMD_H

#include <stdint.h>

/**
 * systemd_notify() - Tell the manager how we are
 * @state:	lines of sd_notify(3): "READY=1", "STATUS=text", "RELOADING=1",
 *		"STOPPING=1", "WATCHDOG=1"
 *
 * To a text that begins with RELOADING=1 the time is added that goes with it.
 * A manager that is not there, or does not listen, is no error.
 */
void systemd_notify(const char *state);

/**
 * systemd_listen_fds() - The sockets that the manager opened for us
 * @fds:	their descriptors, in the order of the .socket unit, to be given
 *		to free()
 *
 * They are closed on exec, and the variables that announced them unset: call
 * it once, before other threads begin.
 *
 * Return: how many; 0: none, and @fds is untouched; -1 and errno: what was
 * announced is not there
 */
int systemd_listen_fds(int **fds);

/**
 * systemd_watchdog() - How often the manager wants to hear "WATCHDOG=1"
 *
 * Return: µs, of which half is a good period; 0: it does not
 */
uint64_t systemd_watchdog(void);

#endif
