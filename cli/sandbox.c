/* SPDX-License-Identifier: MIT */
#include "sandbox.h"

#include "culvert.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* who to become */
struct identity {
	char name[64];
	uid_t uid;
	gid_t gid;
};

__attribute__((format(printf, 3, 4))) static int fail(
	char why[SANDBOX_TEXT], int err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, SANDBOX_TEXT, fmt, ap);
	va_end(ap);
	return err;
}

__attribute__((format(printf, 2, 3))) static void say(
	char note[SANDBOX_TEXT], const char *fmt, ...)
{
	va_list ap;
	size_t n = strlen(note);
	n += (size_t)snprintf(note + n, SANDBOX_TEXT - n, "%s", n ? ", " : "");
	if (n >= SANDBOX_TEXT)
		return;
	va_start(ap, fmt);
	vsnprintf(note + n, SANDBOX_TEXT - n, fmt, ap);
	va_end(ap);
}

static bool number(const char *text, unsigned *out)
{
	char *end;
	errno = 0;
	unsigned long n = strtoul(text, &end, 10);
	/* the highest means "unchanged" to setresuid(2) */
	if (*text < '0' || *text > '9' || *end || errno || n >= UINT32_MAX)
		return false;
	*out = (unsigned)n;
	return true;
}

static const struct passwd *find_user(const char *name)
{
	unsigned n;
	const struct passwd *pw = getpwnam(name);
	return !pw && number(name, &n) ? getpwuid(n) : pw;
}

static const struct group *find_group(const char *name)
{
	unsigned n;
	const struct group *gr = getgrnam(name);
	return !gr && number(name, &n) ? getgrgid(n) : gr;
}

static int look_up(
	const char *user, struct identity *who, char why[SANDBOX_TEXT])
{
	const char *group = strchr(user, ':');
	char name[64];
	snprintf(name, sizeof name, "%.*s", (int)strcspn(user, ":"), user);
	const struct passwd *pw = find_user(name);
	if (!pw)
		return fail(
			why, CULVERT_EINVAL, "there is no user \"%s\"", name);
	snprintf(who->name, sizeof who->name, "%s", pw->pw_name);
	who->uid = pw->pw_uid;
	who->gid = pw->pw_gid;
	const struct group *gr = group ? find_group(group + 1) : NULL;
	if (group && !gr)
		return fail(why, CULVERT_EINVAL, "there is no group \"%.64s\"",
			group + 1);
	if (gr)
		who->gid = gr->gr_gid;
	return 0;
}

static int become(const struct sandbox *s, const struct identity *who,
	char why[SANDBOX_TEXT])
{
	if (geteuid())
		return fail(why, CULVERT_ESYS,
			"only root may become user \"%s\"; start it as root, "
			"or as "
			"that user",
			who->name);
	/* or a new user ID would clear what shall be kept */
	if (prctl(PR_SET_KEEPCAPS, s->keep != 0, 0, 0, 0) ||
		initgroups(who->name, who->gid) ||
		setresgid(who->gid, who->gid, who->gid) ||
		setresuid(who->uid, who->uid, who->uid))
		return fail(why, CULVERT_ESYS, "cannot become user \"%s\": %s",
			who->name, strerror(errno));
	return 0;
}

/* needs a capability itself, so it comes before the others go; without it
   no_new_privs has to do */
static void drop_bounding(uint64_t keep)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (!(keep & SANDBOX_CAP(cap)))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	}
}

static bool set_capabilities(uint64_t keep, uint64_t *left)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct set[_LINUX_CAPABILITY_U32S_3];
	*left = 0;
	if (syscall(SYS_capget, &head, set))
		return false;
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		set[i].permitted &= (uint32_t)(keep >> (32 * i));
		set[i].effective = set[i].permitted;
		set[i].inheritable = 0;
		*left |= (uint64_t)set[i].permitted << (32 * i);
	}
	/* the ambient ones go with the inheritable: capabilities(7) */
	return !syscall(SYS_capset, &head, set);
}

static void drop_capabilities(uint64_t keep, char note[SANDBOX_TEXT])
{
	static const char *const names[] = {
		[CAP_NET_ADMIN] = "net_admin",
		[CAP_NET_BIND_SERVICE] = "net_bind_service",
		[CAP_NET_RAW] = "net_raw",
	};
	enum { NAMES = sizeof names / sizeof *names };
	uint64_t left;
	if (!set_capabilities(keep, &left)) {
		say(note, "capabilities unchanged: %s", strerror(errno));
		return;
	}
	if (!left)
		say(note, "no capabilities");
	for (int cap = 0; cap < 64; cap++) {
		if (!(left & SANDBOX_CAP(cap)))
			continue;
		if (cap < NAMES && names[cap])
			say(note, "capability %s", names[cap]);
		else
			say(note, "capability %d", cap);
	}
}

static void close_files(const struct sandbox *s, char note[SANDBOX_TEXT])
{
	int abi = sandbox_files(s);
	if (abi > 0)
		say(note, "landlock ABI %d", abi);
	else if (abi == -ENOSYS || abi == -EOPNOTSUPP)
		say(note, "no landlock in this kernel");
	else
		say(note, "no landlock: %s", strerror(-abi));
}

static void close_calls(const struct sandbox *s, char note[SANDBOX_TEXT])
{
	int err = sandbox_calls(s);
	if (!err)
		say(note, "seccomp");
	else if (err == -ENOPKG)
		say(note, "no seccomp in this build");
	else
		say(note, "no seccomp: %s", strerror(-err));
}

int sandbox_enter(const struct sandbox *s, char note[SANDBOX_TEXT],
	char why[SANDBOX_TEXT])
{
	struct identity who = { 0 };
	char text[SANDBOX_TEXT] = "";
	int err = s->user ? look_up(s->user, &who, why) : 0;
	if (err)
		return err;
	if (!s->off)
		drop_bounding(s->keep);
	if (s->user && (err = become(s, &who, why)))
		return err;
	if (s->user)
		say(text, "user %s", who.name);
	if (s->user || !s->off)
		drop_capabilities(s->keep, text);
	if (s->off) {
		say(text, "no sandbox");
	} else {
		/* the last two need the first, where we are not root */
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		close_files(s, text);
		close_calls(s, text);
	}
	memcpy(note, text, sizeof text);
	return 0;
}
