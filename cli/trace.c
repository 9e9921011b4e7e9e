/* SPDX-License-Identifier: MIT */
/* trace.c - what the transport does, into a file */
#include "cli.h"

#include <stdio.h>

static FILE *file;

int trace_open(const char *path)
{
	file = fopen(path, "we");
	return file ? 0 : -1;
}

void trace_line(void *user, const char *line)
{
	(void)user;
	fprintf(file, "%s\n", line);
}

void trace_close(void)
{
	if (file)
		fclose(file);
	file = NULL;
}
