/* SPDX-License-Identifier: MIT */
/*
 * iproxy.c - iproxy-client and iproxy-server: the command lines of 2002
 *
 * DOC: They become those of forward, serve and discover: over lan:// with keys,
 * or with -1 in the protocol of that time.  What is not theirs is passed on.
 */
#include "cli.h"
#include "known.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { URL = 600, ARGS = 4096, TAIL = 24 };

#define GROUP "239.255.67.86"

/** struct line - what was typed, and the one it becomes */
struct line {
	const char *name;
	bool server;
	bool one, list, verbose, help, mcast, udp;
	const char *id, *port, *key, *at; /* @at: of -m or -u */
	bool keyed, peered;               /* by options of serve and forward */
	char link[URL], service[URL], path[KNOWN_PATH], peers[KNOWN_PATH];
	char *argv[ARGS + TAIL];
	int n;
};

static int usage(const struct line *l)
{
	if (l->server)
		printf("usage: %s -s ID -d PORT [-v] [-k FILE] [-P KEY]... "
		       "[OPTION]...\n"
		       "       %s -1 -s ID -d PORT [-v] [-m [GROUP] | -u "
		       "[HOST[:PORT]]] [OPTION]...\n\n"
		       "  -s ID           this server's id\n"
		       "  -d [HOST:]PORT  the service to carry, of this "
		       "machine "
		       "unless HOST is given\n"
		       "  -k FILE         own private key; one that is missing "
		       "is made\n"
		       "  -P KEY          public key of a client; repeatable\n",
			l->name, l->name);
	else
		printf("usage: %s -s ID -p PORT [-v] [-k FILE] [-P KEY] "
		       "[OPTION]...\n"
		       "       %s -1 -s ID -p PORT [-v] [-m [GROUP] | -u "
		       "HOST[:PORT]] [OPTION]...\n"
		       "       %s -l [-1 [-m [GROUP] | -u HOST[:PORT]]]\n\n"
		       "  -s ID           id of the server\n"
		       "  -p [HOST:]PORT  local port; on loopback unless HOST "
		       "is given\n"
		       "  -l              list the servers of this LAN\n"
		       "  -k FILE         own private key; one that is missing "
		       "is made\n"
		       "  -P KEY          public key of the server; otherwise "
		       "it "
		       "is asked for its key\n",
			l->name, l->name, l->name);
	printf("  -1              iproxy version 1: in the clear, by broadcast,"
	       "\n  -m [GROUP]      by multicast\n"
	       "  -u HOST[:PORT]  or to one address\n"
	       "  -v              say more\n\n"
	       "\"culvert %s --help\" lists the other options.\n",
		l->server ? "serve" : "forward");
	return EXIT_OK;
}

static void add(struct line *l, const char *word)
{
	l->argv[l->n++] = (char *)(uintptr_t)word;
}

static void add_option(struct line *l, const char *name, const char *value)
{
	add(l, name);
	add(l, value);
}

/* --- what was typed --- */

/* switches may stand together, such as -1l */
static bool take_switches(struct line *l, const char *arg)
{
	const char *known = l->server ? "1vh" : "1lvh";
	if (!strcmp(arg, "--help"))
		l->help = true;
	else if (*arg != '-' || !arg[1] || arg[1 + strspn(arg + 1, known)])
		return false;
	else
		for (const char *c = arg + 1; *c; c++) {
			l->one |= *c == '1';
			l->list |= *c == 'l';
			l->verbose |= *c == 'v';
			l->help |= *c == 'h';
		}
	return true;
}

/* -m and -u, whose value may be left out */
static bool take_way(struct line *l, char ***arg)
{
	const char *a = **arg;
	if (strncmp(a, "-m", 2) && strncmp(a, "-u", 2))
		return false;
	l->mcast |= a[1] == 'm';
	l->udp |= a[1] == 'u';
	if (a[2])
		l->at = a + 2;
	else if ((*arg)[1] && *(*arg)[1] != '-')
		l->at = *++*arg;
	return true;
}

static const char **place_of(struct line *l, char letter)
{
	switch (letter) {
	case 's':
		return &l->id;
	case 'k':
		return &l->key;
	case 'd':
		return l->server ? &l->port : NULL;
	case 'p':
		return l->server ? NULL : &l->port;
	default:
		return NULL;
	}
}

/* an option with a value; its place, or NULL: it is none of ours */
static bool take_value(struct line *l, char ***arg)
{
	const char *a = **arg, *value;
	const char **place = *a == '-' && a[1] ? place_of(l, a[1]) : NULL;
	bool peer = *a == '-' && a[1] == 'P';
	if (!place && !peer)
		return false;
	value = a[2] ? a + 2 : (*arg)[1] ? *++*arg : "";
	if (place) {
		*place = value;
	} else {
		add_option(l, "--peer", value);
		l->peered = true;
	}
	return true;
}

static bool is(const char *arg, const char *option)
{
	size_t n = strlen(option);
	return !strncmp(arg, option, n) && (!arg[n] || arg[n] == '=');
}

static int parse(struct line *l, char **arg)
{
	for (; *arg; arg++) {
		if (l->n >= ARGS) {
			complain("%s: too many arguments", l->name);
			return EXIT_USAGE;
		}
		if (take_switches(l, *arg) || take_way(l, &arg) ||
			take_value(l, &arg))
			continue;
		l->keyed |= is(*arg, "--key");
		l->peered |= is(*arg, "--peer") || is(*arg, "--peers");
		add(l, *arg);
	}
	return EXIT_OK;
}

static bool is_id(const char *text)
{
	char *end;
	if (!text || *text < '1' || *text > '9')
		return false;
	unsigned long long n = strtoull(text, &end, 10);
	return !*end && n < UINT32_MAX;
}

static int check(const struct line *l)
{
	const char *what = NULL;
	if ((l->mcast || l->udp) && !l->one)
		what = "-m and -u are ways of version 1: add -1";
	else if (l->mcast && l->udp)
		what = "-m or -u, not both";
	else if (l->udp && !l->at && !l->server)
		what = "-u needs the server's HOST[:PORT]";
	else if (l->one && (l->key || l->keyed || l->peered))
		what = "iproxy version 1 has no keys: leave -1 away, or them";
	else if (!l->list && !is_id(l->id))
		what = "-s needs the server's id, from 1 to 4294967294";
	else if (!l->list && (!l->port || !*l->port))
		what = l->server ? "-d needs the port of the service, such as "
				   "-d 80"
				 : "-p needs a local port, such as -p 7777";
	if (!what)
		return EXIT_OK;
	complain("%s: %s; \"%s -h\" tells more", l->name, what, l->name);
	return EXIT_USAGE;
}

/* --- what it becomes --- */

/* "PORT", "HOST:PORT" or a whole URL */
static void service(char out[URL], const char *text)
{
	const char *host = strchr(text, ':') ? "" : "127.0.0.1:";
	if (strstr(text, "://"))
		snprintf(out, URL, "%s", text);
	else
		snprintf(out, URL, "tcp://%s%s%s", *text == ':' ? "*" : "",
			host, text);
}

static void link_of(struct line *l)
{
	const char *id = l->id ? l->id : "", *at = l->id ? "@" : "";
	if (l->udp)
		snprintf(l->link, URL, "iproxy+udp://%s%s%s", id, at,
			l->at ? l->at : "*");
	else if (l->mcast)
		snprintf(l->link, URL, "iproxy+mcast://%s%s%s", id, at,
			l->at ? l->at : GROUP);
	else
		snprintf(l->link, URL, "%s://%s%s",
			!l->one   ? "lan"
			: l->list ? "iproxy+lan"
				  : "iproxy+bcast",
			id, at);
}

static int no_place(const struct line *l)
{
	complain("%s: no HOME to keep a key in: name a file by -k", l->name);
	return EXIT_USAGE;
}

/* our own key, which is made if it is the first time */
static int own_key(struct line *l)
{
	char pub[CULVERT_KEYTEXT];
	if (l->keyed)
		return EXIT_OK;
	if (!l->key && known_place(l->path, "iproxy.key"))
		return no_place(l);
	if (!l->key)
		known_dirs(l->path);
	const char *path = l->key ? l->key : l->path;
	if (access(path, F_OK) && errno == ENOENT) {
		int code = make_key(path, pub);
		if (code)
			return code;
		fprintf(stderr, "%s: made %s; its public key is %s\n", l->name,
			path, pub);
	}
	add_option(l, "--key", path);
	return EXIT_OK;
}

/* who may come: -P, or a file of such */
static int clients(struct line *l)
{
	if (l->peered)
		return EXIT_OK;
	if (known_place(l->peers, "iproxy.peers"))
		return no_place(l);
	if (!access(l->peers, F_OK)) {
		add_option(l, "--peers", l->peers);
		return EXIT_OK;
	}
	complain("%s: who may come in? Add -P KEY, the public key that "
		 "\"iproxy-client -s %s -p PORT\" printed on its machine, or "
		 "keep it: echo KEY >>%s",
		l->name, l->id, l->peers);
	return EXIT_USAGE;
}

static int security(struct line *l)
{
	if (l->one) {
		add(l, "--plain");
		return EXIT_OK;
	}
	int code = own_key(l);
	return code || !l->server ? code : clients(l);
}

static int serve(struct line *l)
{
	service(l->service, l->port);
	add(l, l->link);
	add_option(l, "--to", l->service);
	if (!l->one) {
		add_option(l, "--allow", l->service);
		add(l, "--discoverable");
	}
	return cmd_serve(l->n, l->argv);
}

static int forward(struct line *l)
{
	service(l->service, l->port);
	add(l, l->service);
	add_option(l, "via", l->link);
	return cmd_forward(l->n, l->argv);
}

static int hello(void *user, const struct culvert_server *s)
{
	const struct culvert_way *w = s->way;
	++*(unsigned *)user;
	printf("%s  %s%s%s\n", s->name, w->from, *w->interface ? " at " : "",
		w->interface);
	return 0;
}

/* of version 1: the texts, each once */
static int list_hellos(const struct line *l)
{
	unsigned n = 0;
	struct culvert_search search = {
		.size = sizeof search, .user = &n, .found = hello
	};
	struct culvert_diag diag;
	int err = culvert_discover(l->link, &search, &diag);
	if (err)
		complain("%s: %s: %s", l->name, l->link, diag.text);
	else if (!n)
		complain("%s: no server of version 1 answered: does a firewall "
			 "let UDP port 17239 in, and 17238 there? Without -1 "
			 "others are listed",
			l->name);
	return err ? exit_code(err) : n ? EXIT_OK : EXIT_FAILED;
}

static int run(struct line *l)
{
	int code = check(l);
	if (code)
		return code;
	link_of(l);
	if (l->list && l->one)
		return list_hellos(l);
	if (l->list) {
		add(l, l->link);
		l->argv[0] = (char *)(uintptr_t) "discover";
		return cmd_discover(l->n, l->argv);
	}
	code = security(l);
	if (code)
		return code;
	if (l->verbose)
		add_option(l, "--log", "debug");
	return l->server ? serve(l) : forward(l);
}

static int front(const char *name, bool server, char **argv)
{
	struct line *l = calloc(1, sizeof *l);
	if (!l) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	l->name = name;
	l->server = server;
	add(l, server ? "serve" : "forward");
	int code = parse(l, argv + 1);
	if (!code)
		code = l->help ? usage(l) : run(l);
	free(l);
	return code;
}

int front_iproxy_client(char **argv)
{
	return front("iproxy-client", false, argv);
}

int front_iproxy_server(char **argv)
{
	return front("iproxy-server", true, argv);
}
