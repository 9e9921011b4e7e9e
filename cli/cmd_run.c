/* SPDX-License-Identifier: MIT */
/* cmd_run.c - configurations in files: run, check, reload */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define DEFAULT_CONF "/etc/culvert/culvert.conf"

enum { CONF_MAX = 1 << 20 };

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

char *read_conf(const char *path, size_t *len, char why[700])
{
	struct stat st;
	FILE *f = fopen(path, "re");
	char *text = f ? calloc(1, CONF_MAX + 1) : NULL;
	const char *wrong = NULL;
	if (text)
		*len = fread(text, 1, CONF_MAX, f);
	if (!text || ferror(f) || fstat(fileno(f), &st))
		wrong = strerror(errno);
	else if (*len == CONF_MAX)
		wrong = "larger than 1 MiB";
	else if (st.st_mode & 077 && holds_secret(text))
		wrong = "others may read the keys in it; type chmod 600, or "
			"keep keys in files of their own";
	if (f)
		fclose(f);
	if (!wrong)
		return text;
	snprintf(why, 700, "%.300s: %s", path, wrong);
	if (text)
		explicit_bzero(text, CONF_MAX);
	free(text);
	return NULL;
}

/* [-c] FILE, or none; NULL: it was said what is wrong */
static const char *path_of(char **argv, struct process *process)
{
	const char *path = NULL;
	for (char **a = argv + 1; *a; a++) {
		if (process && !strcmp(*a, "--no-sandbox")) {
			process->no_sandbox = true;
		} else if (process && !strcmp(*a, "--user") && a[1]) {
			process->user = *++a;
		} else if (process && !strcmp(*a, "--trace") && a[1]) {
			process->trace = *++a;
		} else if (!path && !strcmp(*a, "-c") && a[1]) {
			path = *++a;
		} else if (!path && **a != '-') {
			path = *a;
		} else {
			complain("%s: type \"culvert %s -c FILE%s\"", argv[0],
				argv[0],
				process ? " [--user NAME[:GROUP]] "
					  "[--trace FILE] "
					  "[--no-sandbox]"
					: "");
			return NULL;
		}
	}
	return path ? path : DEFAULT_CONF;
}

int cmd_run(int argc, char **argv)
{
	(void)argc;
	char why[700];
	struct source from = { .place = file_line };
	from.path = path_of(argv, &from.process);
	if (!from.path)
		return EXIT_USAGE;
	from.user = (void *)(uintptr_t)from.path;
	from.text = read_conf(from.path, &from.len, why);
	if (from.text)
		return run_node(&from);
	complain("%s", why);
	return EXIT_FAILED;
}

int cmd_check(int argc, char **argv)
{
	(void)argc;
	struct culvert_diag diag = { 0 };
	char why[700], place[300];
	size_t len = 0;
	const char *path = path_of(argv, NULL);
	if (!path)
		return EXIT_USAGE;
	char *text = read_conf(path, &len, why);
	if (!text) {
		complain("%s", why);
		return EXIT_FAILED;
	}
	int err = culvert_check(text, len, &diag);
	explicit_bzero(text, len);
	free(text);
	if (!err)
		return EXIT_OK;
	complain("%s: %s", file_line((void *)(uintptr_t)path, diag.line, place),
		*diag.text ? diag.text : culvert_strerror(err));
	return exit_code(err);
}
