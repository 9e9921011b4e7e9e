/* SPDX-License-Identifier: MIT */
/**
 * control.c - ask a running node about itself
 *
 * DOC: A request is one line, the answer is text up to the end of the
 * connection.  Only the node's own user and root are answered.  Names are
 * taken one node at a time: between finding a socket deserted and listening
 * there, another node could do the same.
 */
#include "loop/control.h"

#include "loop/answer.h"
#include "loop/unix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	BACKLOG = 64,
	PATH = 128, /* longer than the path of a socket may be */
};

struct cv_control {
	struct cv_answer *answer;
	cv_compose *compose;
	void *user;
	char path[PATH], name[64];
};

static const char *directory(char out[80])
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	if (!geteuid())
		snprintf(out, 80, "/run/culvert");
	else if (run && *run && strlen(run) < 60)
		snprintf(out, 80, "%s/culvert", run);
	else
		snprintf(out, 80, "/tmp/culvert-%u", (unsigned)geteuid());
	return out;
}

static bool path_of(char out[PATH], const char *dir, const char *name)
{
	int n = strchr(name, '/')
			? snprintf(out, PATH, "%s", name)
			: snprintf(out, PATH, "%s/%s.sock", dir, name);
	errno = ENAMETOOLONG;
	return n > 0 && n < PATH;
}

static void compose(void *user, char *request, FILE *f)
{
	const struct cv_control *k = user;
	k->compose(k->user, request ? request : "", f);
}

static const struct cv_answer_ops ops = {
	.end = "\n",
	.admit = cv_unix_ours,
	.compose = compose,
};

static int listen_as(struct cv_control *k, const char *dir, const char *name)
{
	snprintf(k->name, sizeof k->name, "%s", name);
	return path_of(k->path, dir, k->name) ? cv_unix_listen(k->path, BACKLOG)
					      : -1;
}

static int take_name(
	struct cv_control *k, const char *dir, const char *name, bool exact)
{
	char other[64];
	snprintf(other, sizeof other, "%.31s-%ld", name, (long)getpid());
	int lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		return -1;
	int fd = flock(lock, LOCK_EX) ? -1 : listen_as(k, dir, name);
	if (fd < 0 && errno == EADDRINUSE && !exact)
		fd = listen_as(k, dir, other);
	int e = errno;
	close(lock);
	errno = e;
	return fd;
}

/* someone else's directory could replace our socket by theirs */
static bool make_directory(const char *dir)
{
	struct stat st;
	if (mkdir(dir, 0700) && errno != EEXIST)
		return false;
	if (lstat(dir, &st))
		return false;
	errno = EPERM;
	return S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       !(st.st_mode & 022);
}

const char *cv_control_path(const struct cv_control *k)
{
	return k->path;
}

const char *cv_control_name(const struct cv_control *k)
{
	return k->name;
}

struct cv_control *cv_control_new(struct cv_loop *l, const char *name,
	bool exact, cv_compose *compose_it, void *user)
{
	char dir[80];
	directory(dir);
	if (!make_directory(dir))
		return NULL;
	struct cv_control *k = calloc(1, sizeof *k);
	if (!k)
		return NULL;
	k->compose = compose_it;
	k->user = user;
	int fd = take_name(k, dir, name, exact);
	if (fd >= 0)
		k->answer = cv_answer_new(l->ev, fd, &ops, k);
	if (k->answer)
		return k;
	int e = errno;
	if (fd >= 0)
		unlink(k->path);
	free(k);
	errno = e;
	return NULL;
}

void cv_control_free(struct cv_control *k)
{
	if (!k)
		return;
	/* while it still answers: behind that it may be another node's */
	unlink(k->path);
	cv_answer_free(k->answer);
	free(k);
}

static bool ask_one(const char *dir, const char *name, const char *request,
	void (*answer)(void *user, const char *piece, size_t len), void *user)
{
	char path[PATH], buf[4096];
	ssize_t n;
	int fd = path_of(path, dir, name) ? cv_unix_dial(path) : -1;
	if (fd >= 0 && geteuid() && !cv_unix_ours(fd)) {
		close(fd); /* what others write is not for our terminal */
		fd = -1;
	}
	if (fd < 0)
		return false;
	snprintf(buf, sizeof buf, "%s\n", request);
	bool any = false;
	if (send(fd, buf, strlen(buf), MSG_NOSIGNAL) > 0) {
		while ((n = recv(fd, buf, sizeof buf, 0)) > 0) {
			answer(user, buf, (size_t)n);
			any = true;
		}
	}
	close(fd);
	return any;
}

int cv_control_ask(const char *name, const char *request,
	void (*answer)(void *user, const char *piece, size_t len), void *user)
{
	char dir[80];
	struct dirent **list;
	bool any = false;
	directory(dir);
	if (name)
		return ask_one(dir, name, request, answer, user)
			       ? 0
			       : CULVERT_ENODAEMON;
	int n = scandir(dir, &list, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char *dot = strstr(list[i]->d_name, ".sock");
		if (dot && !dot[5]) {
			*dot = '\0';
			any |= ask_one(
				dir, list[i]->d_name, request, answer, user);
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return any ? 0 : CULVERT_ENODAEMON;
}
