/* SPDX-License-Identifier: MIT */
/*
 * cmd_metrics.c - the metrics of running nodes as one exposition
 *
 * DOC: In the answers of several nodes every name comes several times.  A
 * scraper wants it once, with all its samples: so blocks, which begin with the
 * HELP of a name, are printed with what others have under the same heading.
 */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELP "# HELP "
#define DONE ' ' /* instead of a name's first letter: it was printed */

/* the end of a block: the next one, or that of all text */
static char *block_end(char *block)
{
	char *next = strstr(block + 1, "\n" HELP);
	return next ? next + 1 : block + strlen(block);
}

/* where its samples begin, behind two lines */
static char *samples(char *block, char *end)
{
	char *p = memchr(block, '\n', (size_t)(end - block));
	p = p ? memchr(p + 1, '\n', (size_t)(end - p - 1)) : NULL;
	return p ? p + 1 : end;
}

static void print_name(char *block)
{
	char *end = block_end(block);
	/* the words of another version may be others, the name is not */
	size_t head = strlen(HELP) + strcspn(block + strlen(HELP), " ") + 1;
	fwrite(block, 1, (size_t)(end - block), stdout);
	for (char *b = end; *b; b = end) {
		end = block_end(b);
		if (strncmp(b, block, head))
			continue;
		char *p = samples(b, end);
		fwrite(p, 1, (size_t)(end - p), stdout);
		b[strlen(HELP)] = DONE;
	}
}

int cmd_metrics(int argc, char **argv)
{
	char *text;
	int code = gather_named(argc, argv, &text);
	if (code)
		return code;
	int errors = errors_in("metrics", text);
	for (char *b = text; *b; b = block_end(b)) {
		if (!strncmp(b, HELP, strlen(HELP)) && b[strlen(HELP)] != DONE)
			print_name(b);
	}
	free(text);
	return errors ? EXIT_FAILED : EXIT_OK;
}
