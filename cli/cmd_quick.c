/* SPDX-License-Identifier: MIT */
/*
 * cmd_quick.c - one-line commands: they write a configuration and run it
 *
 * DOC: Every line of the configuration remembers the argument it came from,
 * so that what the library finds wrong with it is said of that argument.
 */
#include "cli.h"
#include "trust.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES = 4096, ARGS = 4096 };

static const struct option options[] = {
	{ "--key", "PrivateKeyFile", "FILE", "own private key, mode 0600", NODE,
		false },
	{ "--peer", "PublicKey", "KEY",
		"public key of a peer; repeatable for serve", PEER, false },
	{ "--psk", "PresharedKeyFile", "FILE",
		"pre-shared key of the --peer before it", PEER, false },
	{ "--peers", "PeersFile", "FILE", "many peers: \"KEY [NAME]\" a line",
		NODE, true },
	{ "--plain", "Plain", NULL,
		"no keys: neither encrypted nor "
		"authenticated",
		NODE, false },
	{ "--allow", "Allow", "TARGET",
		"what peers may reach; default: loopback; repeatable", SERVE,
		true },
	{ "--to", "To", "TARGET", "target of flows that name none", SERVE,
		true },
	{ "--discoverable", "Discoverable", NULL,
		"be found on the LAN by \"culvert discover\"", SERVE, true },
	{ "--id", "ServerId", "N", "id there, if lan:// gives none", SERVE,
		true },
	{ "--max-age", "MaxAge", "MS",
		"drop datagrams that waited longer; default 50", NODE, false },
	{ "--idle", "IdleTimeout", "S",
		"forget a flow after this silence; default 180, 0: never", NODE,
		false },
	{ "--max-flows", "MaxFlows", "N", "flows in all; default 131072", NODE,
		false },
	{ "--max-flows-per-source", "MaxFlowsPerSource", "N",
		"flows of one client address or peer; default 65536", NODE,
		false },
	{ "--memory", "Memory", "MIB", "ceiling of all queues; default 64",
		NODE, false },
	{ "--server-number", "ServerNumber", "N",
		"leads this server's packet indices, for load balancers", NODE,
		true },
	{ "--name", "Name", "NAME", "what \"culvert show\" calls this node",
		NODE, false },
	{ "--metrics", "Metrics", "URL",
		"where Prometheus finds this node, such as "
		"tcp://127.0.0.1:9100",
		NODE, false },
	{ "--log", "LogLevel", "error|warn|info|debug", "default: info", NODE,
		false },
	{ "--trust-first-use", NULL, NULL,
		"take the key of the lan:// server, the first time, as it is "
		"told",
		CLIENT, false },
	{ "--known-servers", NULL, "FILE",
		"where the keys are of those that were met before", CLIENT,
		false },
	{ "--print-config", NULL, NULL,
		"print the configuration file instead of running it", PROCESS,
		false },
	{ "--user", NULL, "NAME[:GROUP]", "become this user once it runs",
		PROCESS, false },
	{ "--trace", NULL, "FILE",
		"write what udp:// transports do there, a JSON object a line",
		PROCESS, false },
	{ "--no-sandbox", NULL, NULL,
		"leave the process what it could do when it was started",
		PROCESS, false },
};

enum { OPTIONS = sizeof options / sizeof *options };

struct quick {
	const char *command;
	bool server, print;
	struct process process;
	struct trust trust;
	/* arguments, in order */
	const struct option *option[ARGS];
	const char *value[ARGS];
	int count;
	const char *word[ARGS]; /* what is no option */
	int words;
	/* the configuration */
	char *text;
	size_t len;
	FILE *out;
	const char *origin[LINES];
	unsigned lines;
};

__attribute__((format(printf, 3, 4))) static void line(
	struct quick *q, const char *origin, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vfprintf(q->out, fmt, ap);
	va_end(ap);
	fputc('\n', q->out);
	if (++q->lines < LINES)
		q->origin[q->lines] = origin;
}

static void section(struct quick *q, const char *origin, const char *name)
{
	if (q->lines)
		line(q, NULL, "%s", "");
	line(q, origin, "[%s]", name);
}

static const char *place(void *user, unsigned n, char out[300])
{
	const struct quick *q = user;
	const char *origin = n && n < LINES ? q->origin[n] : NULL;
	snprintf(out, 300, "%s%s%s", q->command, origin ? ": " : "",
		origin ? origin : "");
	return out;
}

static bool fits(const struct option *o, bool server)
{
	return server ? o->section != CLIENT : !o->server;
}

const struct option *option_at(const char *command, int i)
{
	bool server = !strcmp(command, "serve");
	if (!server && strcmp(command, "forward"))
		return NULL;
	for (int k = 0; k < OPTIONS; k++) {
		if (fits(&options[k], server) && !i--)
			return &options[k];
	}
	return NULL;
}

static int usage(const char *command, bool server)
{
	const struct option *o;
	printf("usage: culvert %s %s [OPTION]...\n\n", command,
		server ? "LINK..." : "FROM [TO] via LINK");
	for (int i = 0; (o = option_at(command, i)); i++) {
		char left[40];
		snprintf(left, sizeof left, "%s%s%s", o->name,
			o->value ? " " : "", o->value ? o->value : "");
		printf("  %-28s %s\n", left, o->what);
	}
	return EXIT_OK;
}

static const struct option *find(
	const struct quick *q, const char *name, size_t len)
{
	for (int i = 0; i < OPTIONS; i++) {
		if (strlen(options[i].name) == len &&
			!memcmp(options[i].name, name, len))
			return fits(&options[i], q->server) ? &options[i]
							    : NULL;
	}
	return NULL;
}

static void take_process(struct quick *q, const char *name, const char *value)
{
	if (!strcmp(name, "--user"))
		q->process.user = value;
	else if (!strcmp(name, "--trace"))
		q->process.trace = value;
	else if (!strcmp(name, "--known-servers"))
		q->trust.known = value;
	else if (!strcmp(name, "--trust-first-use"))
		q->trust.first = true;
	else if (!strcmp(name, "--no-sandbox"))
		q->process.no_sandbox = true;
	else
		q->print = true;
}

/* one option and its value; returns arguments taken, 0 on error */
static int take_option(struct quick *q, char **arg)
{
	const char *eq = strchr(*arg, '=');
	size_t len = eq ? (size_t)(eq - *arg) : strlen(*arg);
	const struct option *o = find(q, *arg, len);
	if (!o) {
		complain("%s: unknown option \"%.*s\"; \"culvert %s --help\" "
			 "lists them",
			q->command, (int)len, *arg, q->command);
		return 0;
	}
	if (!o->value && eq) {
		complain("%s: %s takes no value", q->command, o->name);
		return 0;
	}
	const char *value = !o->value ? "yes" : eq ? eq + 1 : arg[1];
	if (!value || !*value) {
		complain("%s: %s needs a value: %s", q->command, o->name,
			o->value);
		return 0;
	}
	if (o->section == PROCESS || o->section == CLIENT) {
		take_process(q, o->name, value);
	} else {
		q->option[q->count] = o;
		q->value[q->count++] = value;
	}
	return o->value && !eq ? 2 : 1;
}

static int parse(struct quick *q, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strpbrk(argv[i], "\r\n") || q->count == ARGS ||
			q->words == ARGS) {
			complain("%s: an argument with a line break, or too "
				 "many arguments",
				q->command);
			return EXIT_USAGE;
		}
		if (*argv[i] != '-') {
			q->word[q->words++] = argv[i];
			continue;
		}
		int n = take_option(q, argv + i);
		if (!n)
			return EXIT_USAGE;
		i += n - 1;
	}
	return EXIT_OK;
}

static void write_options(struct quick *q, enum section section)
{
	for (int i = 0; i < q->count; i++) {
		const struct option *o = q->option[i];
		if (o->section == section)
			line(q, o->name, "%s = %s", o->key, q->value[i]);
	}
}

static int count_of(const struct quick *q, const char *name)
{
	int n = 0;
	for (int i = 0; i < q->count; i++)
		n += !strcmp(q->option[i]->name, name);
	return n;
}

/* a section a peer: each --peer begins one */
static int write_peers(struct quick *q)
{
	bool any = false;
	for (int i = 0; i < q->count; i++) {
		const struct option *o = q->option[i];
		if (o->section != PEER)
			continue;
		if (!strcmp(o->name, "--peer")) {
			section(q, o->name, "Peer");
			any = true;
		} else if (!any) {
			complain("%s: --psk stands behind the --peer it is for",
				q->command);
			return EXIT_USAGE;
		}
		line(q, o->name, "%s = %s", o->key, q->value[i]);
	}
	return EXIT_OK;
}

static int run(struct quick *q, int code)
{
	fclose(q->out);
	if (!code && !q->print) {
		code = run_node(&(struct source){
			.text = q->text,
			.len = q->len,
			.process = q->process,
			.place = place,
			.user = q,
		});
		q->text = NULL;
	} else if (!code && (fwrite(q->text, 1, q->len, stdout) != q->len ||
				    fflush(stdout))) {
		complain("standard output: %s", strerror(errno));
		code = EXIT_FAILED;
	}
	free(q->text);
	free(q);
	return code;
}

static struct quick *begin(const char *command, bool server)
{
	struct quick *q = calloc(1, sizeof *q);
	if (q) {
		q->command = command;
		q->server = server;
		q->out = open_memstream(&q->text, &q->len);
	}
	if (q && q->out)
		return q;
	complain("out of memory");
	exit(EXIT_FAILED);
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	}
	return false;
}

int cmd_serve(int argc, char **argv)
{
	if (wants_help(argc, argv))
		return usage("serve", true);
	struct quick *q = begin("serve", true);
	int code = parse(q, argc, argv);
	if (!code && !q->words) {
		complain("serve: no link to listen on; for example "
			 "tcp://*:3456");
		code = EXIT_USAGE;
	}
	section(q, NULL, "Node");
	write_options(q, NODE);
	section(q, NULL, "Serve");
	for (int i = 0; i < q->words; i++)
		line(q, q->word[i], "Listen = %s", q->word[i]);
	write_options(q, SERVE);
	return run(q, code ? code : write_peers(q));
}

/* FROM [TO] via LINK */
static int check_words(const struct quick *q)
{
	int n = q->words;
	if (n >= 3 && n <= 4 && !strcmp(q->word[n - 2], "via"))
		return EXIT_OK;
	complain("forward: type \"culvert forward udp://LOCAL:PORT "
		 "udp://TARGET:PORT via tcp://SERVER:PORT\"");
	return EXIT_USAGE;
}

/* such as frames+tcp://, where there are no peers */
static bool has_framing(const char *link)
{
	return memchr(link, '+', strcspn(link, ":")) != NULL;
}

int cmd_forward(int argc, char **argv)
{
	if (wants_help(argc, argv))
		return usage("forward", false);
	struct quick *q = begin("forward", false);
	int code = parse(q, argc, argv);
	if (!code)
		code = check_words(q);
	if (!code && count_of(q, "--peer") > 1) {
		complain("forward: one --peer, the server's; more make no "
			 "sense");
		code = EXIT_USAGE;
	}
	if (code)
		return run(q, code);
	const char *link = q->word[q->words - 1];
	bool foreign = has_framing(link);
	char key[CULVERT_KEYTEXT] = "";
	if (is_lan(link) && !count_of(q, "--peer") && !count_of(q, "--plain"))
		code = trust_key(&q->trust, link, key);
	if (code)
		return run(q, code);
	section(q, NULL, "Node");
	write_options(q, NODE);
	if (!foreign || count_of(q, "--peer") || count_of(q, "--psk")) {
		section(q, "--peer", "Peer server");
		write_options(q, PEER);
		if (*key)
			line(q, "via", "PublicKey = %s", key);
	}
	if (!foreign)
		line(q, "via", "Endpoint = %s", link);
	section(q, NULL, "Forward");
	line(q, q->word[0], "From = %s", q->word[0]);
	if (q->words == 4)
		line(q, q->word[1], "To = %s", q->word[1]);
	/* not the link itself, which may have a proxy's password in it */
	line(q, "via", "Via = %s", foreign ? link : "server");
	return run(q, code);
}
