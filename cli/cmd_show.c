/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <stdio.h>
#include <string.h>

static void print(void *user, const char *piece, size_t len)
{
	fwrite(piece, 1, len, user);
}

int cmd_show(int argc, char **argv)
{
	const char *name = NULL, *request = "show";
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-j")) {
			request = "show -j";
		} else if (*argv[i] != '-' && !name) {
			name = argv[i];
		} else {
			complain("show: unknown argument \"%s\"; type "
				 "\"culvert show [-j] [NAME]\"",
				argv[i]);
			return EXIT_USAGE;
		}
	}
	int err = culvert_ask(name, request, print, stdout);
	if (err && name)
		complain("show: no running node of yours is called \"%s\"; "
			 "\"culvert show\" lists them",
			name);
	else if (err)
		complain("show: no node of yours is running; start one with "
			 "\"culvert serve\" or \"culvert forward\"");
	return exit_code(err);
}
