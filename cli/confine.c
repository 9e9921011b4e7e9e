/* SPDX-License-Identifier: MIT */
/*
 * confine.c - from a configuration to the sandbox that fits it
 *
 * DOC: A reload reads the configuration and the files it names again: the
 * directories they are in stay readable, or, where that would be everything,
 * the file alone.
 */
#include "confine.h"

#include <libgen.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void add_path(struct confine *c, const char *path)
{
	char copy[CONFINE_PATH];
	if (!path || !*path || c->paths == CONFINE_PATHS ||
		strlen(path) >= sizeof copy)
		return;
	strcpy(copy, path);
	const char *dir = dirname(copy);
	snprintf(c->path[c->paths++], CONFINE_PATH, "%s",
		strcmp(dir, "/") ? dir : path);
}

/* lines "...File = path" and "Metrics = unix:///path" */
static void add_line(struct confine *c, const char *line, size_t len)
{
	char copy[1024], key[64], value[CONFINE_PATH];
	if (len >= sizeof copy)
		return;
	memcpy(copy, line, len);
	copy[len] = '\0';
	if (sscanf(copy, " %63[A-Za-z] = %255[^\r\n]", key, value) != 2)
		return;
	size_t n = strlen(key);
	if (n > 4 && !strcasecmp(key + n - 4, "File"))
		add_path(c, value);
	else if (!strcasecmp(key, "Metrics") && !strncmp(value, "unix://", 7))
		snprintf(c->metrics, sizeof c->metrics, "%s",
			dirname(value + 7));
}

void confine_plan(struct confine *c, const struct source *from)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	add_path(c, from->path);
	if (credentials && c->paths < CONFINE_PATHS)
		snprintf(c->path[c->paths++], CONFINE_PATH, "%s", credentials);
	for (const char *p = from->text; *p;) {
		size_t n = strcspn(p, "\n");
		add_line(c, p, n);
		p += n + (p[n] == '\n');
	}
	/* what is done long after the start */
	if (strstr(from->text, "bind="))
		c->keep |= SANDBOX_CAP(CAP_NET_BIND_SERVICE);
	if (strstr(from->text, "mark="))
		c->keep |= SANDBOX_CAP(CAP_NET_ADMIN);
	if (strstr(from->text, "interface="))
		c->keep |= SANDBOX_CAP(CAP_NET_RAW);
}

int confine(const struct confine *c, const struct process *p,
	const char *socket, char note[SANDBOX_TEXT + 16],
	char why[SANDBOX_TEXT])
{
	char dir[CONFINE_PATH], text[SANDBOX_TEXT];
	const char *readable[CONFINE_PATHS + 1] = { NULL };
	const char *sockets[3] = { NULL }, **next = sockets;
	struct sandbox s = {
		.user = p->user,
		.off = p->no_sandbox,
		.keep = c->keep,
		.readable = readable,
		.socket_dirs = sockets,
	};
	for (int i = 0; i < c->paths; i++)
		readable[i] = c->path[i];
	snprintf(dir, sizeof dir, "%s", socket ? socket : "");
	if (socket)
		*next++ = dirname(dir);
	if (*c->metrics)
		*next = c->metrics;
#ifdef __SANITIZE_ADDRESS__
	s.off = true; /* its search for leaks is a debugger's */
#endif
	int err = sandbox_enter(&s, text, why);
	if (!err)
		snprintf(note, SANDBOX_TEXT + 16, "sandbox: %s",
			*text ? text : "none");
	return err;
}
