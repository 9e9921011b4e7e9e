/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void keep(void *user, const char *piece, size_t len)
{
	fwrite(piece, 1, len, user);
}

int gather(const char *name, const char *request, char **text)
{
	char *answers = NULL;
	size_t len;
	FILE *f = open_memstream(&answers, &len);
	if (!f)
		return CULVERT_ENOMEM;
	int err = culvert_ask(name, request, keep, f);
	if (fclose(f))
		err = CULVERT_ENOMEM;
	if (!err) {
		*text = answers;
		return 0;
	}
	free(answers);
	return err;
}

int errors_in(const char *command, char *text)
{
	const char lead[] = "error: ";
	char *to = text;
	int errors = 0;
	for (char *line = text, *next; *line; line = next) {
		size_t len = strcspn(line, "\n");
		next = line + len + (line[len] == '\n');
		if (!strncmp(line, lead, strlen(lead))) {
			complain("%s: %.*s", command, (int)(len - strlen(lead)),
				line + strlen(lead));
			errors++;
			continue;
		}
		memmove(to, line, (size_t)(next - line));
		to += next - line;
	}
	*to = '\0';
	return errors;
}

int not_found(const char *command, const char *name, int err)
{
	if (err != CULVERT_ENODAEMON)
		complain("%s: %s", command, culvert_strerror(err));
	else if (name)
		complain("%s: no running node of yours is called \"%s\"; "
			 "\"culvert show\" lists them",
			command, name);
	else
		complain("%s: no node of yours is running; start one with "
			 "\"culvert serve\" or \"culvert forward\"",
			command);
	return exit_code(err);
}

int gather_named(int argc, char **argv, char **text)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	if (argc > 2 || (name && *name == '-')) {
		complain("%s: type \"culvert %s [NAME]\"", argv[0], argv[0]);
		return EXIT_USAGE;
	}
	int err = gather(name, argv[0], text);
	return err ? not_found(argv[0], name, err) : EXIT_OK;
}
