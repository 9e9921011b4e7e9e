/* SPDX-License-Identifier: MIT */
/* trust.h - the key of a server of the LAN that is named by its id alone */
#ifndef TRUST_H
#define TRUST_H

#include "culvert.h"

#include <stdbool.h>

/** struct trust - what the command line says */
struct trust {
	const char *known; /* file of known servers, NULL: the usual one */
	bool first;        /* a key that is new is taken without a question */
};

/** is_lan() - @link is one of a LAN, whose servers can be asked for keys */
bool is_lan(const char *link);

/**
 * trust_key() - Ask the LAN for the key of the server that @link names, and the
 * user, if it is not known
 *
 * Return: an exit code; it was said what is wrong
 */
int trust_key(
	const struct trust *, const char *link, char key[CULVERT_KEYTEXT]);

#endif
