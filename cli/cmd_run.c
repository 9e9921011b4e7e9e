/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { CONF_MAX = 1 << 20 };

int run_node(char *conf, size_t len,
	const char *(*place)(void *user, unsigned line, char out[300]),
	void *user)
{
	struct culvert_diag diag = { 0 };
	char buf[300];
	culvert *node;
	int err = culvert_new(&node, conf, len, &diag);
	explicit_bzero(conf, len);
	free(conf);
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

/* a line that gives a secret itself, not the file it is in */
static bool holds_secret(const char *text)
{
	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += strspn(p, " \t\r\n");
		size_t n = strcspn(p, " \t=\r\n");
		if ((n == 10 && !strncasecmp(p, "PrivateKey", n)) ||
			(n == 12 && !strncasecmp(p, "PresharedKey", n)))
			return true;
	}
	return false;
}

/* the file as text to be wiped and freed; NULL: it was said why not */
static char *read_file(const char *path, size_t *len)
{
	struct stat st;
	FILE *f = fopen(path, "re");
	char *text = f ? calloc(1, CONF_MAX + 1) : NULL;
	const char *why = NULL;
	if (text)
		*len = fread(text, 1, CONF_MAX, f);
	if (!text || ferror(f) || fstat(fileno(f), &st))
		why = strerror(errno);
	else if (*len == CONF_MAX)
		why = "larger than 1 MiB";
	else if (st.st_mode & 077 && holds_secret(text))
		why = "others may read the keys in it; type chmod 600, or keep "
		      "keys in files of their own";
	if (f)
		fclose(f);
	if (!why)
		return text;
	complain("%s: %s", path, why);
	if (text)
		explicit_bzero(text, CONF_MAX);
	free(text);
	return NULL;
}

int cmd_run(int argc, char **argv)
{
	if (argc != 3 || strcmp(argv[1], "-c")) {
		complain("run: type \"culvert run -c FILE\"");
		return EXIT_USAGE;
	}
	size_t len = 0;
	char *text = read_file(argv[2], &len);
	return text ? run_node(text, len, file_line, argv[2]) : EXIT_FAILED;
}
