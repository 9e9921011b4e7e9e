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

/** struct front - one of our names */
struct front {
	const char *name, *command; /* ours, and what it stands for */
	const char *near, *far;     /* schemes of -b and -d */
	const char *word;           /* in front of the destination */
	int (*run)(int argc, char **argv);
};

/** struct given - what was typed */
struct given {
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

static int parse(const struct front *f, struct given *g, char **arg)
{
	for (; *arg; arg++) {
		const char *v;
		if ((v = value_of(&arg, "-b", "--binding")))
			url(g->binding, f->near, v);
		else if ((v = value_of(&arg, "-d", "--destination")))
			url(g->destination, f->far, v);
		else if (g->count < ARGS)
			g->rest[g->count++] = *arg;
	}
	if (*g->binding && *g->destination)
		return EXIT_OK;
	complain("%s: type \"%s -b HOST:PORT -d HOST:PORT\"", f->name, f->name);
	return EXIT_USAGE;
}

static bool wants_help(char **arg)
{
	while (*++arg)
		if (!strcmp(*arg, "--help") || !strcmp(*arg, "-h"))
			return true;
	return false;
}

/* the command, the binding, the rest as it was given, the destination */
static int call(const struct front *f, struct given *g)
{
	char *argv[ARGS + 5] = { (char *)(uintptr_t)f->command, g->binding };
	int n = 2 + g->count;
	memcpy(argv + 2, g->rest, (size_t)g->count * sizeof *argv);
	argv[n++] = (char *)(uintptr_t)f->word;
	argv[n++] = g->destination;
	argv[n] = NULL;
	return f->run(n, argv);
}

static int front(const struct front *f, char **argv)
{
	if (wants_help(argv))
		return usage(f);
	struct given *g = calloc(1, sizeof *g);
	if (!g) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	int code = parse(f, g, argv + 1);
	if (!code)
		code = call(f, g);
	free(g);
	return code;
}

int front_udp_local(char **argv)
{
	static const struct front local = {
		.name = "udp-local",
		.command = "forward",
		.near = "udp",
		.far = "tcp",
		.word = "via",
		.run = cmd_forward,
	};
	return front(&local, argv);
}

int front_udp_server(char **argv)
{
	static const struct front server = {
		.name = "udp-server",
		.command = "serve",
		.near = "tcp",
		.far = "udp",
		.word = "--to",
		.run = cmd_serve,
	};
	return front(&server, argv);
}
