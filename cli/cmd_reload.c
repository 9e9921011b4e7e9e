/* SPDX-License-Identifier: MIT */
/* cmd_reload.c - have running nodes read their files again */
#include "cli.h"

#include <stdlib.h>

int cmd_reload(int argc, char **argv)
{
	char *text;
	int code = gather_named(argc, argv, &text);
	if (code)
		return code;
	int errors = errors_in("reload", text);
	free(text);
	return errors ? EXIT_FAILED : EXIT_OK;
}
