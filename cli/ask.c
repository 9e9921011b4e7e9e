/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>

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
