/* SPDX-License-Identifier: MIT */
/* sandbox_files.c - Landlock: which files this process may touch at all */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* what came after the headers of Debian 12: version 3, 5 and 6 */
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define FS_IOCTL_DEV (UINT64_C(1) << 15)
#define SCOPE_ABSTRACT_UNIX (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

enum {
	READ = LANDLOCK_ACCESS_FS_READ_FILE,
	READ_BELOW = READ | LANDLOCK_ACCESS_FS_READ_DIR,
	SOCKETS = LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE,
};

/* older kernels take the longer one, as long as what they do not know is 0 */
struct ruleset {
	uint64_t fs, net, scoped;
};

/* names and services (c-ares, libc), libcrypto's settings, random numbers,
   and the spare descriptor of the control socket */
static const char *const always[] = {
	"/etc/resolv.conf",
	"/etc/hosts",
	"/etc/nsswitch.conf",
	"/etc/host.conf",
	"/etc/gai.conf",
	"/etc/services",
	"/etc/localtime",
	"/etc/ssl/openssl.cnf",
	"/run/systemd/resolve",
	"/dev/urandom",
	"/dev/null",
	/* what cc= can be is said when it cannot */
	"/proc/sys/net/ipv4/tcp_available_congestion_control",
	NULL,
};

static struct ruleset handled(int abi)
{
	const char *notify = getenv("NOTIFY_SOCKET");
	struct ruleset r = { .fs = LANDLOCK_ACCESS_FS_REFER - 1 };
	if (abi >= 2)
		r.fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		r.fs |= FS_TRUNCATE;
	if (abi >= 5)
		r.fs |= FS_IOCTL_DEV;
	if (abi >= 6)
		r.scoped = SCOPE_SIGNAL;
	/* a service manager in a container listens there */
	if (abi >= 6 && !(notify && *notify == '@'))
		r.scoped |= SCOPE_ABSTRACT_UNIX;
	return r;
}

/* 0 or a negative errno; what is not there needs no rule */
static int allow(int rules, const char *path, uint64_t access)
{
	struct stat st;
	struct landlock_path_beneath_attr rule = {
		.allowed_access = access,
		.parent_fd = open(path, O_PATH | O_CLOEXEC),
	};
	if (rule.parent_fd < 0)
		return 0;
	if (!fstat(rule.parent_fd, &st) && !S_ISDIR(st.st_mode))
		rule.allowed_access &= READ;
	int r = (int)syscall(SYS_landlock_add_rule, rules,
		LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	int e = errno;
	close(rule.parent_fd);
	return r ? -e : 0;
}

static int allow_all(int rules, const char *const *paths, uint64_t access)
{
	int err = 0;
	for (; paths && *paths && !err; paths++)
		err = allow(rules, *paths, access);
	return err;
}

static int fill(int rules, const struct sandbox *s)
{
	int err = allow_all(rules, always, READ_BELOW);
	if (!err)
		err = allow_all(rules, s->readable, READ_BELOW);
	/* where ownership guards its secrets, all of it: files there are
	   replaced, and only a directory's rule still holds for the new ones */
	if (!err && geteuid())
		err = allow(rules, "/etc", READ_BELOW);
	return err ? err : allow_all(rules, s->socket_dirs, SOCKETS);
}

int sandbox_files(const struct sandbox *s)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
		LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 0)
		return -errno;
	struct ruleset r = handled(abi);
	int rules = (int)syscall(SYS_landlock_create_ruleset, &r, sizeof r, 0);
	if (rules < 0)
		return -errno;
	int err = fill(rules, s);
	if (!err && syscall(SYS_landlock_restrict_self, rules, 0))
		err = -errno;
	close(rules);
	return err ? err : abi;
}
