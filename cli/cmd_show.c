/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_show(int argc, char **argv)
{
	static const char *const requests[2][2] = {
		{ "show", "show -j" },
		{ "show flows", "show flows -j" },
	};
	const char *name = NULL;
	bool flows = false, json = false;
	char *text;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-j")) {
			json = true;
		} else if (!strcmp(argv[i], "--flows")) {
			flows = true;
		} else if (*argv[i] != '-' && !name) {
			name = argv[i];
		} else {
			complain("show: unknown argument \"%s\"; type "
				 "\"culvert show [-j] [--flows] [NAME]\"",
				argv[i]);
			return EXIT_USAGE;
		}
	}
	int err = gather(name, requests[flows][json], &text);
	if (err)
		return not_found("show", name, err);
	int errors = errors_in("show", text);
	fputs(text, stdout);
	free(text);
	return errors ? EXIT_FAILED : EXIT_OK;
}
