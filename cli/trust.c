/* SPDX-License-Identifier: MIT */
/*
 * trust.c - the key of a server of the LAN that is named by its id alone
 *
 * DOC: As ssh does it: a key that is known is required, one that is new is
 * asked about, and one that has changed is refused.
 */
#include "trust.h"

#include "cli.h"
#include "known.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWERED = 8, NAME = 64 };

/* what answered: one for each key */
struct answered {
	struct {
		char key[CULVERT_KEYTEXT], name[NAME], from[NAME + 16];
	} server[ANSWERED];
	int n;
};

bool is_lan(const char *link)
{
	size_t n = strcspn(link, ":");
	return (n == 3 && !strncmp(link, "lan", n)) ||
	       (n == 5 && !strncmp(link, "bcast", n)) ||
	       (n == 5 && !strncmp(link, "mcast", n));
}

/* between "://" and "@"; 0: none is given */
static uint32_t id_of(const char *link)
{
	const char *p = strstr(link, "://");
	char *end;
	if (!p || p[3] < '0' || p[3] > '9')
		return 0;
	unsigned long n = strtoul(p + 3, &end, 10);
	return *end == '@' && n <= UINT32_MAX ? (uint32_t)n : 0;
}

static int found(void *user, const struct culvert_server *s)
{
	struct answered *a = user;
	if (a->n == ANSWERED)
		return 0;
	const struct culvert_way *w = s->ways ? s->way : NULL;
	snprintf(a->server[a->n].key, CULVERT_KEYTEXT, "%s", s->key);
	snprintf(a->server[a->n].name, NAME, "%s", s->name);
	snprintf(a->server[a->n].from, sizeof a->server[0].from, "%s at %s",
		w ? w->interface : "?", w ? w->from : "?");
	a->n++;
	return 0;
}

static int several(const struct answered *a, uint32_t id)
{
	char text[ANSWERED * 180] = "";
	size_t n = 0;
	for (int i = 0; i < a->n; i++)
		n += (size_t)snprintf(text + n, sizeof text - n,
			"%s%s (%s, %s)", i ? ", " : "",
			*a->server[i].key ? a->server[i].key : "no key",
			a->server[i].name, a->server[i].from);
	complain("forward: %d servers say they are %lu: choose one by --peer "
		 "KEY: %s",
		a->n, (unsigned long)id, text);
	return EXIT_FAILED;
}

static int silence(uint32_t id)
{
	complain("forward: no server %lu answered on this LAN: is it running "
		 "with --discoverable? \"culvert discover\" lists those that "
		 "are; without it, give its key: --peer KEY",
		(unsigned long)id);
	return EXIT_FAILED;
}

/* on the terminal, whatever standard output is */
static bool agreed(const struct answered *a, uint32_t id)
{
	char line[16];
	fprintf(stderr,
		"Server %lu of this LAN is not known yet.\n"
		"  name  %s\n"
		"  key   %s\n"
		"  seen  %s\n"
		"Compare the key with what \"culvert pubkey\" prints there.\n",
		(unsigned long)id, a->server[0].name, a->server[0].key,
		a->server[0].from);
	do {
		fputs("Trust this key from now on? Type yes or no: ", stderr);
		if (!fgets(line, sizeof line, stdin))
			return false;
	} while (strcmp(line, "yes\n") && strcmp(line, "no\n"));
	return *line == 'y';
}

static int take_new(const struct trust *t, const char *path,
	const struct answered *a, uint32_t id)
{
	char why[KNOWN_WHY];
	const char *key = a->server[0].key;
	bool terminal = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
	if (!t->first && !terminal) {
		complain("forward: the key of server %lu is not known yet: if "
			 "it is %s, add --peer %s, or --trust-first-use to "
			 "take whatever answers",
			(unsigned long)id, key, key);
		return EXIT_FAILED;
	}
	if (!t->first && !agreed(a, id)) {
		complain("forward: the key of server %lu was not trusted",
			(unsigned long)id);
		return EXIT_FAILED;
	}
	struct culvert_server s = {
		.id = id, .key = key, .name = a->server[0].name
	};
	if (known_add(path, &s, why)) {
		complain("forward: %s", why);
		return EXIT_FAILED;
	}
	fprintf(stderr, "culvert: server %lu is %s from now on, as %s says\n",
		(unsigned long)id, key, path);
	return EXIT_OK;
}

static int changed(const char *path, int line, const char *key,
	const struct answered *a, uint32_t id)
{
	complain("forward: THE KEY OF SERVER %lu HAS CHANGED: it was %s, and "
		 "%s (%s) says it is %s; either it was set up anew, or "
		 "somebody wants to be taken for it; if you know why, remove "
		 "line %d of %s",
		(unsigned long)id, key, a->server[0].name, a->server[0].from,
		a->server[0].key, line, path);
	return EXIT_FAILED;
}

static int judge(const struct trust *t, const char *path, uint32_t id,
	struct answered *a, char key[CULVERT_KEYTEXT])
{
	char why[KNOWN_WHY];
	int line = known_find(path, id, key, why);
	if (line < 0) {
		complain("forward: %s", why);
		return EXIT_FAILED;
	}
	for (int i = 0; line && i < a->n; i++)
		if (!strcmp(a->server[i].key, key))
			return EXIT_OK;
	/* who was met before may come later, or not want to be found any more
	 */
	if (!a->n)
		return line ? EXIT_OK : silence(id);
	if (line)
		return changed(path, line, key, a, id);
	if (a->n > 1)
		return several(a, id);
	if (!*a->server[0].key) {
		complain("forward: server %lu has no key: it is --plain, as "
			 "this end would have to be",
			(unsigned long)id);
		return EXIT_FAILED;
	}
	snprintf(key, CULVERT_KEYTEXT, "%s", a->server[0].key);
	return take_new(t, path, a, id);
}

int trust_key(
	const struct trust *t, const char *link, char key[CULVERT_KEYTEXT])
{
	struct answered a = { .n = 0 };
	struct culvert_search search = {
		.size = sizeof search, .user = &a, .found = found
	};
	struct culvert_diag diag;
	char path[KNOWN_PATH];
	uint32_t id = id_of(link);
	if (!id) {
		complain("forward: which server? Give its id, such as "
			 "lan://67@, or its key: --peer KEY");
		return EXIT_USAGE;
	}
	if (!t->known && known_path(path)) {
		complain("forward: no HOME to keep known servers in: name a "
			 "file by --known-servers");
		return EXIT_USAGE;
	}
	int err = culvert_discover(link, &search, &diag);
	if (err) {
		complain("forward: %s: %s", link, diag.text);
		return exit_code(err);
	}
	return judge(t, t->known ? t->known : path, id, &a, key);
}
