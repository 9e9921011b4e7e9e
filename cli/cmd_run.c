/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONF_MAX = 1 << 20 };

int run_node(const char *conf, size_t len,
	const char *(*place)(void *user, unsigned line, char out[300]),
	void *user)
{
	struct culvert_diag diag = { 0 };
	char buf[300];
	culvert *node;
	int err = culvert_new(&node, conf, len, &diag);
	if (!err) {
		err = culvert_run(node);
		culvert_free(node);
		return exit_code(err);
	}
	const char *at = place(user, diag.line, buf);
	const char *why = *diag.text ? diag.text : culvert_strerror(err);
	if (at)
		complain("%s: %s", at, why);
	else
		complain("%s", why);
	return exit_code(err);
}

static const char *file_line(void *user, unsigned line, char out[300])
{
	if (line)
		snprintf(out, 300, "%.280s:%u", (const char *)user, line);
	else
		snprintf(out, 300, "%.290s", (const char *)user);
	return out;
}

int cmd_run(int argc, char **argv)
{
	if (argc != 3 || strcmp(argv[1], "-c")) {
		complain("run: type \"culvert run -c FILE\"");
		return EXIT_USAGE;
	}
	FILE *f = fopen(argv[2], "re");
	char *text = f ? malloc(CONF_MAX) : NULL;
	if (!text) {
		complain("%s: %s", argv[2], strerror(errno));
		if (f)
			fclose(f);
		return EXIT_USAGE;
	}
	size_t n = fread(text, 1, CONF_MAX, f);
	int code = EXIT_USAGE;
	if (ferror(f) || n == CONF_MAX)
		complain("%s: %s", argv[2],
			n == CONF_MAX ? "larger than 1 MiB" : strerror(errno));
	else
		code = run_node(text, n, file_line, argv[2]);
	fclose(f);
	free(text);
	return code;
}
