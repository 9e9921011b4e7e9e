/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
	{ "serve", "LINK... --key FILE --peer KEY [OPTION]...",
		"accept peers and reach targets for them", cmd_serve },
	{ "forward", "FROM [TO] via LINK --key FILE --peer KEY [OPTION]...",
		"carry a local port to a target behind a peer", cmd_forward },
	{ "run", "[-c FILE] [--user NAME[:GROUP]] [--no-sandbox]",
		"run what a configuration file says", cmd_run },
	{ "check", "[-c FILE]", "say what is wrong with a configuration file",
		cmd_check },
	{ "reload", "[NAME]", "have running nodes read their files again",
		cmd_reload },
	{ "show", "[-j] [--flows] [NAME]", "what running nodes are doing",
		cmd_show },
	{ "top", "[-n COUNT] [-d SECONDS] [NAME]",
		"what running nodes are doing, every second", cmd_top },
	{ "discover", "[LINK] [-j] [-l] [--watch] [--timeout SECONDS]",
		"list the servers of this LAN", cmd_discover },
	{ "metrics", "[NAME]", "every counter of running nodes, for Prometheus",
		cmd_metrics },
	{ "genkey", "[FILE]", "make a private key", cmd_genkey },
	{ "pubkey", "<FILE", "the public key of a private key", cmd_pubkey },
	{ "genpsk", "[FILE]", "make a pre-shared key", cmd_genpsk },
	{ "completion", "bash|zsh|fish",
		"print what makes a shell complete these", cmd_completion },
	{ "version", "", "print the version", NULL },
};

/* names of ours that are commands of their own */
static const struct {
	const char *name;
	int (*run)(char **argv);
} fronts[] = {
	{ "iproxy-client", front_iproxy_client },
	{ "iproxy-server", front_iproxy_server },
	{ "udp-local", front_udp_local },
	{ "udp-server", front_udp_server },
};

enum { COMMANDS = sizeof commands / sizeof *commands };

const struct command *command_at(int i)
{
	return i < COMMANDS ? &commands[i] : NULL;
}

void complain(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("culvert: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

int exit_code(int err)
{
	switch (err) {
	case CULVERT_OK:
		return EXIT_OK;
	case CULVERT_EINVAL:
	case CULVERT_ESYNTAX:
		return EXIT_USAGE;
	case CULVERT_ENODAEMON:
		return EXIT_NODAEMON;
	default:
		return EXIT_FAILED;
	}
}

static int help(void)
{
	puts("culvert carries UDP over TCP, authenticated and "
	     "encrypted.\n\nusage:");
	for (int i = 0; i < COMMANDS; i++)
		printf("  culvert %s %s\n      %s\n", commands[i].name,
			commands[i].usage, commands[i].what);
	puts("\n\"culvert COMMAND --help\" lists options, culvert(1) explains "
	     "them.");
	return EXIT_OK;
}

static int version(void)
{
	printf("culvert %s\n", culvert_version());
	return EXIT_OK;
}

static const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	return slash ? slash + 1 : path ? path : "";
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "--help";

	/* standard error may be a pipe that nobody reads any more */
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++)
		if (!strcmp(base_name(argv[0]), fronts[i].name))
			return fronts[i].run(argv);
	if (!strcmp(name, "--help") || !strcmp(name, "-h") ||
		!strcmp(name, "help"))
		return help();
	if (!strcmp(name, "--version") || !strcmp(name, "-V"))
		return version();
	for (int i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];
		if (strcmp(c->name, name))
			continue;
		if (argc > 2 &&
			(!strcmp(argv[2], "--help") ||
				!strcmp(argv[2], "-h")) &&
			c->run != cmd_serve && c->run != cmd_forward) {
			printf("usage: culvert %s %s\n", c->name, c->usage);
			return EXIT_OK;
		}
		return c->run ? c->run(argc - 1, argv + 1) : version();
	}
	complain("unknown command \"%s\"; \"culvert --help\" lists them", name);
	return EXIT_USAGE;
}
