/* SPDX-License-Identifier: MIT */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* a key redirected into a file of ours is nobody else's to read */
static void keep_private(int fd)
{
	struct stat st;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == geteuid())
		(void)!fchmod(fd, 0600);
}

static int write_key(const char *key, const char *path)
{
	int fd = STDOUT_FILENO;
	if (path)
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		complain("%s: %s%s", path, strerror(errno),
			errno == EEXIST ? "; a key is never overwritten" : "");
		return EXIT_FAILED;
	}
	keep_private(fd);
	bool ok = dprintf(fd, "%s\n", key) == CULVERT_KEYTEXT;
	if (path && close(fd))
		ok = false;
	if (ok)
		return EXIT_OK;
	complain("%s: %s", path ? path : "standard output", strerror(errno));
	return EXIT_FAILED;
}

int make_key(const char *path, char pub[CULVERT_KEYTEXT])
{
	char key[CULVERT_KEYTEXT];
	int code = EXIT_FAILED;
	if (culvert_genkey(key, 0) || culvert_pubkey(pub, key))
		complain("%s: cannot make a key", path);
	else
		code = write_key(key, path);
	explicit_bzero(key, sizeof key);
	return code;
}

static int generate(int argc, char **argv, int preshared)
{
	char key[CULVERT_KEYTEXT], pub[CULVERT_KEYTEXT];
	const char *path = argc > 1 ? argv[1] : NULL;
	if (argc > 2 || (path && *path == '-')) {
		complain("%s: type \"culvert %s [FILE]\"", argv[0], argv[0]);
		return EXIT_USAGE;
	}
	int err = culvert_genkey(key, preshared);
	if (!err && !preshared)
		err = culvert_pubkey(pub, key);
	int code = err ? EXIT_FAILED : write_key(key, path);
	if (err)
		complain("%s: %s", argv[0], culvert_strerror(err));
	else if (!code && path && !preshared)
		puts(pub);
	explicit_bzero(key, sizeof key);
	return code;
}

int cmd_genkey(int argc, char **argv)
{
	return generate(argc, argv, 0);
}

int cmd_genpsk(int argc, char **argv)
{
	return generate(argc, argv, 1);
}

int cmd_pubkey(int argc, char **argv)
{
	char line[128], pub[CULVERT_KEYTEXT];
	if (argc > 1) {
		complain("pubkey: type \"culvert pubkey <%s\"", argv[1]);
		return EXIT_USAGE;
	}
	if (!fgets(line, sizeof line, stdin))
		line[0] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	int err = culvert_pubkey(pub, line);
	explicit_bzero(line, sizeof line);
	if (err) {
		complain("pubkey: standard input holds no private key: 44 "
			 "characters of base64, as \"culvert genkey\" prints "
			 "them");
		return EXIT_USAGE;
	}
	puts(pub);
	return EXIT_OK;
}
