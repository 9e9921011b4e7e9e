/* SPDX-License-Identifier: MIT */
/**
 * known.h - keys of servers that were met before: a line "ID KEY NAME" each
 *
 * Lines that are empty or begin with # are skipped.
 */
#ifndef KNOWN_H
#define KNOWN_H

#include "culvert.h"

enum { KNOWN_PATH = 512, KNOWN_WHY = 640 };

/**
 * known_path() - The file that is used if none is named
 *
 * known_servers in $STATE_DIRECTORY (a service's), in $XDG_CONFIG_HOME/culvert,
 * or in ~/.config/culvert.
 *
 * Return: 0, or -1: none of these is set, or it is too long
 */
int known_path(char out[KNOWN_PATH]);

/** known_place() - The same for another @name; and for a file there, its
 * directories are made */
int known_place(char out[KNOWN_PATH], const char *name);
void known_dirs(const char *path);

/**
 * known_find() - The key of a server
 * @key:	filled in if there is one
 * @why:	filled in on failure
 *
 * Return: its line in the file, 0: there is none, -1: the file cannot be read
 * or understood
 */
int known_find(const char *path, uint32_t id, char key[CULVERT_KEYTEXT],
	char why[KNOWN_WHY]);

/** known_add() - Write a line at its end; 0, or -1 with @why filled in */
int known_add(
	const char *path, const struct culvert_server *, char why[KNOWN_WHY]);

#endif
