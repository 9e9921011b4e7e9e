/* SPDX-License-Identifier: MIT */
/* cmd_reload.c - have running nodes read their files again */
#include "cli.h"

#include <stdio.h>
#include <string.h>

enum { TEXT = 4096 };

struct answers {
	char text[TEXT]; /* a line each node */
	size_t len;
};

static void collect(void *user, const char *piece, size_t len)
{
	struct answers *a = user;
	if (len > TEXT - 1 - a->len)
		len = TEXT - 1 - a->len;
	memcpy(a->text + a->len, piece, len);
	a->len += len;
	a->text[a->len] = '\0';
}

/* the errors among them; how many */
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
	struct answers a = { .len = 0 };
	const char *name = argc > 1 ? argv[1] : NULL;
	if (argc > 2 || (name && *name == '-')) {
		complain("reload: type \"culvert reload [NAME]\"");
		return EXIT_USAGE;
	}
	int err = culvert_ask(name, "reload", collect, &a);
	if (err && name)
		complain("reload: no running node of yours is called \"%s\"; "
			 "\"culvert show\" lists them",
			name);
	else if (err)
		complain("reload: no node of yours is running");
	if (err)
		return exit_code(err);
	return report(a.text) ? EXIT_FAILED : EXIT_OK;
}
