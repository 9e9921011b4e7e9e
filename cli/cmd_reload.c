/* SPDX-License-Identifier: MIT */
/* cmd_reload.c - have running nodes read their files again */
#include "cli.h"

#include <stdlib.h>

int cmd_reload(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	char *text;
	if (argc > 2 || (name && *name == '-')) {
		complain("reload: type \"culvert reload [NAME]\"");
		return EXIT_USAGE;
	}
	int err = gather(name, "reload", &text);
	if (err)
		return not_found("reload", name, err);
	int errors = errors_in("reload", text);
	free(text);
	return errors ? EXIT_FAILED : EXIT_OK;
}
