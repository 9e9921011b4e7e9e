/* SPDX-License-Identifier: MIT */
/* sandbox_calls.c - seccomp: which system calls this process may make */
#include "sandbox.h"

#include <errno.h>

#ifndef HAVE_SECCOMP

int sandbox_calls(const struct sandbox *s)
{
	(void)s;
	return -ENOPKG;
}

#else

#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* io_uring is not among them: what goes through a ring passes no filter.
   Nor is anything that begins a process or a thread. */
static const int calls[] = {
	/* packets; a socket begins in open_sockets() */
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(bind),
	SCMP_SYS(connect),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(listen),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown),

	/* waiting; the backends of libev */
	SCMP_SYS(epoll_create),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(eventfd),
	SCMP_SYS(eventfd2),
	SCMP_SYS(pipe),
	SCMP_SYS(pipe2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(pselect6),
	SCMP_SYS(select),
	SCMP_SYS(signalfd4),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_gettime),
	SCMP_SYS(timerfd_settime),

	/* time */
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(nanosleep),
	SCMP_SYS(time),
	SCMP_SYS(times),

	/* memory; what is mapped comes in open_memory() */
	SCMP_SYS(brk),
	SCMP_SYS(futex),
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),

	/* files; which ones is for Landlock to say */
	SCMP_SYS(access),
	SCMP_SYS(close),
	SCMP_SYS(close_range),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(fcntl),
	SCMP_SYS(fstat),
	SCMP_SYS(fstatfs),
	SCMP_SYS(getcwd),
	SCMP_SYS(getdents64),
	SCMP_SYS(lseek),
	SCMP_SYS(lstat),
	SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(pread64),
	SCMP_SYS(read),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(readv),
	SCMP_SYS(stat),
	SCMP_SYS(statx),
	SCMP_SYS(umask),
	SCMP_SYS(fchmod), /* of a socket with a path, made at a reload */
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(write),
	SCMP_SYS(writev),

	/* the process itself */
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(getegid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(getrandom),
	SCMP_SYS(getresgid),
	SCMP_SYS(getresuid),
	SCMP_SYS(getrlimit),
	SCMP_SYS(getrusage),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield),
	SCMP_SYS(setrlimit),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
};

/* stdio asks whether it writes to a terminal */
static const unsigned ioctls[] = { FIONREAD, FIONBIO, TCGETS, TIOCGWINSZ,
	SIOCOUTQ, SIOCGIFNAME, SIOCGIFINDEX, SIOCGIFFLAGS, SIOCGIFADDR,
	SIOCGIFMTU, SIOCGIFHWADDR };

static const int families[] = { AF_INET, AF_INET6, AF_UNIX };

static int allow(scmp_filter_ctx f, int call, struct scmp_arg_cmp arg)
{
	return seccomp_rule_add(f, SCMP_ACT_ALLOW, call, 1, arg);
}

static int open_sockets(scmp_filter_ctx f, uint64_t keep)
{
	int err = 0;
	for (size_t i = 0; i < sizeof families / sizeof *families && !err; i++)
		err = allow(f, SCMP_SYS(socket),
			SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)families[i]));
	/* to be told which addresses and interfaces there are */
	if (!err)
		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
			SCMP_A0_32(SCMP_CMP_EQ, AF_NETLINK),
			SCMP_A2_32(SCMP_CMP_EQ, NETLINK_ROUTE));
	if (!err && keep & SANDBOX_CAP(CAP_NET_RAW))
		err = allow(f, SCMP_SYS(socket),
			SCMP_A0_32(SCMP_CMP_EQ, AF_PACKET));
	return err ? err
		   : allow(f, SCMP_SYS(socketpair),
			     SCMP_A0_32(SCMP_CMP_EQ, AF_UNIX));
}

/* none that could become code */
static int open_memory(scmp_filter_ctx f)
{
	struct scmp_arg_cmp data = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	int err = allow(f, SCMP_SYS(mmap), data);
	return err ? err : allow(f, SCMP_SYS(mprotect), data);
}

/* calls that are harmless if they are about ourselves */
static int open_process(scmp_filter_ctx f)
{
	int err = allow(f, SCMP_SYS(prlimit64), SCMP_A0_32(SCMP_CMP_EQ, 0));
	if (err)
		return err;
	/* abort(3) */
	return allow(f, SCMP_SYS(tgkill),
		SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)getpid()));
}

static int fill(scmp_filter_ctx f, uint64_t keep)
{
	int err = 0;
	for (size_t i = 0; i < sizeof calls / sizeof *calls && !err; i++)
		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; i < sizeof ioctls / sizeof *ioctls && !err; i++)
		err = allow(
			f, SCMP_SYS(ioctl), SCMP_A1_32(SCMP_CMP_EQ, ioctls[i]));
	if (!err)
		err = open_sockets(f, keep);
	if (!err)
		err = open_memory(f);
	return err ? err : open_process(f);
}

int sandbox_calls(const struct sandbox *s)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!f)
		return -ENOMEM;
	int err = fill(f, s->keep);
	/* a tree instead of a list: a call costs a few comparisons */
	if (!err)
		err = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!err)
		err = seccomp_load(f);
	seccomp_release(f);
	return err;
}

#endif
