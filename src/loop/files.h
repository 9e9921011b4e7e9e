/* SPDX-License-Identifier: MIT */
/* files.h - what a configuration names by its path */
#ifndef CV_FILES_H
#define CV_FILES_H

#include "core/conf.h"

/**
 * cv_file_key() - A secret key in base64, from a file only its owner reads
 *
 * Return: 0, or CULVERT_ESYS with @diag's text filled in
 */
int cv_file_key(
	const char *path, uint8_t key[CV_KEY], struct culvert_diag *diag);

/** cv_file_peers() - Add a PeersFile to a configuration, likewise */
int cv_file_peers(
	const char *path, struct cv_conf *conf, struct culvert_diag *diag);

/** cv_files_limit() - how many descriptors the process may have */
unsigned cv_files_limit(void);

/** cv_files_flows() - descriptors below this number may be flows'; the rest is
 * for links and for being asked */
int cv_files_flows(void);

#endif
