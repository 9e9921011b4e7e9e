/* SPDX-License-Identifier: MIT */
/*
 * front.c - udp-local and udp-server: the same under names of their own
 *
 * DOC: -b says where to bind and -d where to go; every other argument is one
 * of serve's or forward's.
 */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { URL = 600, ARGS = 4096 };

struct front {
	const char *name, *command; /* ours, and what it stands for */
	const char *near, *far;     /* schemes of -b and -d */
	char binding[URL], destination[URL];
	char *rest[ARGS];
	int count;
};

static int usage(const struct front *f)
{
	printf("usage: %s -b %s -d %s [OPTION]...\n\n"
	       "  -b, --binding HOST:PORT      %s port to bind\n"
	       "  -d, --destination HOST:PORT  %s\n\n"
	       "\"culvert %s --help\" lists the other options.\n",
		f->name, "HOST:PORT", "HOST:PORT", f->near,
		*f->near == 'u' ? "TCP port of the udp-server to go to"
				: "UDP port to send to",
		f->command);
	return EXIT_OK;
}

/* the value of -N or --NAME in *@arg; NULL: it is another argument */
static const char *value_of(char ***arg, const char *letter, const char *name)
{
	const char *a = **arg;
	size_t n = strlen(name);
	if (!strncmp(a, name, n) && a[n] == '=')
		return a + n + 1;
	if (!strncmp(a, letter, 2) && a[2])
		return a + 2;
	if (strcmp(a, letter) && strcmp(a, name))
		return NULL;
	return (*arg)[1] ? *++*arg : "";
}

/* "HOST:PORT" or a whole URL; of nothing, nothing */
static void url(char out[URL], const char *scheme, const char *text)
{
	if (!*text || strstr(text, "://"))
		snprintf(out, URL, "%s", text);
	else
		snprintf(out, URL, "%s://%s%s", scheme, *text == ':' ? "*" : "",
			text);
}

static int parse(struct front *f, char **arg)
{
	for (; *arg; arg++) {
		const char *v;
		if ((v = value_of(&arg, "-b", "--binding")))
			url(f->binding, f->near, v);
		else if ((v = value_of(&arg, "-d", "--destination")))
			url(f->destination, f->far, v);
		else if (f->count < ARGS)
			f->rest[f->count++] = *arg;
	}
	if (*f->binding && *f->destination)
		return EXIT_OK;
	complain("%s: type \"%s -b HOST:PORT -d HOST:PORT\"", f->name, f->name);
	return EXIT_USAGE;
}

static struct front *begin(const struct front *kind, char **argv, int *code)
{
	struct front *f = malloc(sizeof *f);
	if (!f) {
		complain("out of memory");
		exit(EXIT_FAILED);
	}
	*f = *kind;
	*code = parse(f, argv + 1);
	return f;
}

static bool wants_help(char **arg)
{
	while (*++arg)
		if (!strcmp(*arg, "--help") || !strcmp(*arg, "-h"))
			return true;
	return false;
}

/* @command, the binding, the rest as it was given, @word, the destination */
static int call(struct front *f, char *command, char *word,
	int (*run)(int argc, char **argv))
{
	char *argv[ARGS + 5] = { command, f->binding };
	int n = 2 + f->count;
	memcpy(argv + 2, f->rest, (size_t)f->count * sizeof *argv);
	argv[n++] = word;
	argv[n++] = f->destination;
	argv[n] = NULL;
	return run(n, argv);
}

int front_udp_local(char **argv)
{
	static const struct front kind = {
		.name = "udp-local",
		.command = "forward",
		.near = "udp",
		.far = "tcp",
	};
	char name[] = "forward", word[] = "via";
	int code;
	if (wants_help(argv))
		return usage(&kind);
	struct front *f = begin(&kind, argv, &code);
	if (!code)
		code = call(f, name, word, cmd_forward);
	free(f);
	return code;
}

int front_udp_server(char **argv)
{
	static const struct front kind = {
		.name = "udp-server",
		.command = "serve",
		.near = "tcp",
		.far = "udp",
	};
	char name[] = "serve", option[] = "--to";
	int code;
	if (wants_help(argv))
		return usage(&kind);
	struct front *f = begin(&kind, argv, &code);
	if (!code)
		code = call(f, name, option, cmd_serve);
	free(f);
	return code;
}
