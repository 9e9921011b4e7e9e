/* SPDX-License-Identifier: MIT */
/* cmd_reload.c - have running nodes read their files again */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

/* the errors among the answers; how many */
static int report(char *text)
{
	const char lead[] = "error: ";
	int errors = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (strncmp(line, lead, sizeof lead - 1))
			continue;
		complain("reload: %s", line + sizeof lead - 1);
		errors++;
	}
	return errors;
}

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
	int errors = report(text);
	free(text);
	return errors ? EXIT_FAILED : EXIT_OK;
}
