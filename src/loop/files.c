/* SPDX-License-Identifier: MIT */
#include "loop/files.h"

#include "core/keytext.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEPT_BACK = 64 }; /* descriptors that flows leave alone */

enum {
	KEY_FILE = 256,
	PEERS_FILE = 1 << 20,
};

static int fail(struct culvert_diag *d, const char *path, const char *why)
{
	snprintf(d->text, sizeof d->text, "%s: %s", path, why);
	return CULVERT_ESYS;
}

/* the whole file, at most @max bytes; -1 and errno */
static ssize_t slurp(int fd, char *out, size_t max)
{
	size_t got = 0;
	while (got < max) {
		ssize_t n = read(fd, out + got, max - got);
		if (n < 0)
			return -1;
		if (!n)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

int cv_file_key(
	const char *path, uint8_t key[CV_KEY], struct culvert_diag *diag)
{
	char text[KEY_FILE + 1];
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		int e = errno;
		if (fd >= 0)
			close(fd);
		return fail(diag, path, strerror(e));
	}
	if (S_ISREG(st.st_mode) && st.st_mode & 077) {
		close(fd);
		snprintf(diag->text, sizeof diag->text,
			"%s: others may read this key (mode %04o); type: "
			"chmod 600 %s",
			path, st.st_mode & 07777, path);
		return CULVERT_ESYS;
	}
	ssize_t n = slurp(fd, text, KEY_FILE);
	int e = errno;
	close(fd);
	if (n < 0)
		return fail(diag, path, strerror(e));
	text[n] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	int err = cv_keytext_parse(key, text);
	cv_crypto_wipe(text, sizeof text);
	if (err)
		return fail(diag, path,
			"not a key: 44 characters of base64, as \"culvert "
			"genkey\" writes them");
	return 0;
}

int cv_file_peers(
	const char *path, struct cv_conf *conf, struct culvert_diag *diag)
{
	char *text = malloc(PEERS_FILE);
	struct culvert_diag d = { 0 };
	if (!text)
		return fail(diag, path, "out of memory");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : slurp(fd, text, PEERS_FILE);
	int e = errno, err = 0;
	if (fd >= 0)
		close(fd);
	if (n < 0)
		err = fail(diag, path, strerror(e));
	else if (n == PEERS_FILE)
		err = fail(diag, path, "larger than 1 MiB");
	else
		err = cv_conf_peers(conf, text, (size_t)n, &d);
	if (err && d.line)
		snprintf(diag->text, sizeof diag->text, "%s:%u: %.200s", path,
			d.line, d.text);
	free(text);
	return err;
}

unsigned cv_files_limit(void)
{
	struct rlimit now;
	if (getrlimit(RLIMIT_NOFILE, &now) || now.rlim_cur > UINT_MAX)
		return UINT_MAX;
	return (unsigned)now.rlim_cur;
}

int cv_files_flows(void)
{
	unsigned limit = cv_files_limit();
	return limit < INT_MAX ? (int)limit - KEPT_BACK : INT_MAX;
}
