/* SPDX-License-Identifier: MIT */
#include "known.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int known_place(char out[KNOWN_PATH], const char *name)
{
	static const struct {
		const char *variable, *below;
	} places[] = {
		{ "STATE_DIRECTORY", "" },
		{ "XDG_CONFIG_HOME", "/culvert" },
		{ "HOME", "/.config/culvert" },
	};
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		const char *dir = getenv(places[i].variable);
		if (!dir || !*dir)
			continue;
		int n = snprintf(
			out, KNOWN_PATH, "%s%s/%s", dir, places[i].below, name);
		return n < KNOWN_PATH ? 0 : -1;
	}
	return -1;
}

int known_path(char out[KNOWN_PATH])
{
	return known_place(out, "known_servers");
}

/* 1: it is of @id, 0: of another or none, -1: it makes no sense */
static int take(const char *line, uint32_t id, char key[CULVERT_KEYTEXT])
{
	char text[CULVERT_KEYTEXT], public[CULVERT_KEYTEXT], *at;
	line += strspn(line, " \t");
	if (!*line || *line == '#' || *line == '\n')
		return 0;
	unsigned long long n = *line == '-' ? 0 : strtoull(line, &at, 10);
	if (!n || n > UINT32_MAX || !strspn(at, " \t"))
		return -1;
	at += strspn(at, " \t");
	size_t len = strcspn(at, " \t\r\n");
	if (len != sizeof text - 1)
		return -1;
	memcpy(text, at, len);
	text[len] = '\0';
	if (culvert_pubkey(public, text)) /* it is 32 bytes of base64 */
		return -1;
	if (n == id)
		memcpy(key, text, sizeof text);
	return n == id;
}

static int search(FILE *f, uint32_t id, char key[CULVERT_KEYTEXT], int *line)
{
	char *text = NULL;
	size_t size = 0;
	int found = 0;
	*line = 0;
	while (!found && getline(&text, &size, f) >= 0) {
		++*line;
		found = take(text, id, key);
	}
	free(text);
	return found;
}

int known_find(const char *path, uint32_t id, char key[CULVERT_KEYTEXT],
	char why[KNOWN_WHY])
{
	FILE *f = fopen(path, "re");
	int line;
	if (!f && errno == ENOENT)
		return 0;
	if (!f) {
		snprintf(why, KNOWN_WHY, "cannot read %s: %s", path,
			strerror(errno));
		return -1;
	}
	int found = search(f, id, key, &line);
	fclose(f);
	if (found < 0)
		snprintf(why, KNOWN_WHY,
			"%s:%d: \"ID KEY NAME\" is expected, with a key as "
			"\"culvert pubkey\" prints it",
			path, line);
	return found > 0 ? line : found;
}

void known_dirs(const char *path)
{
	char copy[KNOWN_PATH];
	snprintf(copy, sizeof copy, "%s", path);
	for (char *p = copy + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		mkdir(copy, 0700);
	}
}

/* what was there may end without a line break */
static bool unfinished(int fd)
{
	char last = '\n';
	off_t end = lseek(fd, 0, SEEK_END);
	return end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n';
}

int known_add(
	const char *path, const struct culvert_server *s, char why[KNOWN_WHY])
{
	known_dirs(path);
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	bool ok = fd >= 0;
	if (ok)
		ok = dprintf(fd, "%s%lu %s%s%s\n", unfinished(fd) ? "\n" : "",
			     (unsigned long)s->id, s->key, *s->name ? " " : "",
			     s->name) > 0;
	if (!ok)
		snprintf(why, KNOWN_WHY, "cannot write %s: %s", path,
			strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok ? 0 : -1;
}
