/* SPDX-License-Identifier: MIT */
/* test_sandbox.c - what is given up is gone, what is needed still works */
#include "cli/child.h"

#include "culvert.h"
#include "sandbox.h"
#include "systemd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <netdb.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>

static char dir[] = "/tmp/cv-sandbox-XXXXXX";

static const char *at(const char *name)
{
	static char path[4][128];
	static unsigned next;
	char *out = path[next++ % 4];
	snprintf(out, sizeof path[0], "%s/%s", dir, name);
	return out;
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(mkdir(at("conf"), 0755), 0);
	assert_int_equal(mkdir(at("run"), 0777), 0);
	assert_int_equal(chmod(at("run"), 0777), 0);
	put(at("conf/a.conf"), "one");
	put(at("alone"), "two");
	put(at("secret"), "three");
	return 0;
}

static int tear_down(void **state)
{
	char command[64];
	(void)state;
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command);
}

/* in a child; with the note that it left */
static const char *enter(struct sandbox s)
{
	static char note[SANDBOX_TEXT];
	char why[SANDBOX_TEXT];
	const char *const readable[] = { at("conf"), at("alone"),
		at("not there"), NULL };
	s.readable = readable;
	const char *const sockets[] = { at("run"), NULL };
	s.socket_dirs = sockets;
	must(!sandbox_enter(&s, note, why));
	return note;
}

static void become_nobody(void)
{
	const struct passwd *pw = getpwnam("nobody");
	must(pw && !setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) &&
		!setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid));
}

/* every layer in it, whether it began as root or not */
static void note_of_root(void)
{
	const char *note = enter((struct sandbox){ 0 });
	int version;
	must(sscanf(note, "no capabilities, landlock ABI %d, sec", &version) ==
		1);
	must(version >= 1 && strstr(note, ", seccomp"));
}

static void note_of_nobody(void)
{
	become_nobody();
	note_of_root();
}

static void note_with_user(void)
{
	const char *note = enter((struct sandbox){ .user = "nobody",
		.keep = SANDBOX_CAP(CAP_NET_ADMIN) |
			SANDBOX_CAP(CAP_SYS_TIME) });
	must(strstr(note, "user nobody, capability net_admin, "
			  "capability 25, landlock") == note);
}

static void test_note(void **state)
{
	(void)state;
	in_child(note_of_root);
	in_child(note_of_nobody);
	in_child(note_with_user);
}

/* calls that are not for permission to say no to, as they are made here */
static const struct call {
	long number, arg[5];
} calls[] = {
	{ SYS_execve, { (long)"/nonexistent" } },
	{ SYS_execveat, { -1, (long)"", 0, 0, AT_EMPTY_PATH } },
	{ SYS_clone, { CLONE_SIGHAND } },
	{ SYS_clone3, { 0 } },
	{ SYS_ptrace, { PTRACE_DETACH, -2 } },
	{ SYS_process_vm_readv, { 0 } },
	{ SYS_process_vm_writev, { 0 } },
	{ SYS_mount, { 0 } },
	{ SYS_umount2, { 0 } },
	{ SYS_pivot_root, { 0 } },
	{ SYS_chroot, { 0 } },
	{ SYS_chmod, { 0 } },
	{ SYS_bpf, { -1 } },
	{ SYS_perf_event_open, { 0 } },
	{ SYS_init_module, { 0 } },
	{ SYS_finit_module, { -1 } },
	{ SYS_delete_module, { 0 } },
	{ SYS_kexec_load, { 0, 99999 } },
	{ SYS_keyctl, { 9999 } },
	{ SYS_add_key, { 0 } },
	{ SYS_request_key, { 0 } },
	{ SYS_unshare, { 0 } },
	{ SYS_setns, { -1 } },
	{ SYS_io_uring_setup, { 0 } },
	{ SYS_userfaultfd, { -1 } },
	{ SYS_memfd_create, { 0 } },
	{ SYS_kill, { 0, 9999 } },
	{ SYS_setresuid, { -1, -1, -1 } },
	{ SYS_capset, { 0 } },
	{ SYS_prctl, { PR_GET_DUMPABLE } },
	{ SYS_personality, { 0xffffffff } },
	{ SYS_settimeofday, { 0 } },
	{ SYS_socket, { AF_ALG, -1 } },
	{ SYS_socket, { AF_PACKET, -1 } },
	{ SYS_socket, { AF_NETLINK, SOCK_RAW, 9 } }, /* audit */
	{ SYS_ioctl, { -1, 0x5412 } },               /* TIOCSTI */
	{ SYS_prlimit64, { 0x7ffffff0, RLIMIT_NOFILE } },
};

static bool permitted(const struct call *c)
{
	const long *a = c->arg;
	return syscall(c->number, a[0], a[1], a[2], a[3], a[4]) != -1 ||
	       errno != EPERM;
}

static void make_calls(bool expected)
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		if (permitted(&calls[i]) == expected)
			continue;
		dprintf(STDERR_FILENO, "# call %zu\n", i);
		must(permitted(&calls[i]) == expected);
	}
}

static void make_calls_twice(void)
{
	make_calls(true);
	enter((struct sandbox){ 0 });
	make_calls(false);
}

static void test_calls(void **state)
{
	(void)state;
	in_child(make_calls_twice);
}

static void be_traced(void)
{
	pid_t parent = getppid();
	enter((struct sandbox){ 0 });
	must(ptrace(PTRACE_TRACEME, 0, 0, 0) == -1 && errno == EPERM);
	must(ptrace(PTRACE_ATTACH, parent, 0, 0) == -1 && errno == EPERM);
	must(kill(parent, 0) == -1 && errno == EPERM);
}

static void map_code(void)
{
	enum { DATA = PROT_READ | PROT_WRITE, CODE = PROT_READ | PROT_EXEC };
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	enter((struct sandbox){ 0 });
	must(mmap(NULL, 4096, CODE, flags, -1, 0) == MAP_FAILED);
	must(errno == EPERM);
	void *p = mmap(NULL, 4096, DATA, flags, -1, 0);
	must(p != MAP_FAILED);
	must(mprotect(p, 4096, CODE) == -1 && errno == EPERM);
	must(!mprotect(p, 4096, PROT_READ) && !munmap(p, 4096));
}

/* a child of the child, which stops itself once it is inside */
static pid_t stopped(void (*inside)(void))
{
	int status;
	pid_t pid = fork();
	if (!pid) {
		inside();
		_exit(0);
	}
	must(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	return pid;
}

static bool goes_on(pid_t pid)
{
	int status;
	must(!kill(pid, SIGCONT));
	return waitpid(pid, &status, 0) == pid && !status;
}

static uid_t owner_of(pid_t pid)
{
	struct stat st;
	char path[64];
	snprintf(path, sizeof path, "/proc/%ld/environ", (long)pid);
	must(!stat(path, &st));
	return st.st_uid;
}

static void be_nobody(void)
{
	become_nobody();
	must(!prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) && !raise(SIGSTOP));
	enter((struct sandbox){ 0 });
	must(!raise(SIGSTOP));
}

/* what a process that is not dumpable has in /proc is root's */
static void be_looked_at(void)
{
	int status;
	pid_t pid = stopped(be_nobody);
	must(owner_of(pid) == 65534 && !kill(pid, SIGCONT));
	must(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	must(owner_of(pid) == 0 && goes_on(pid));
}

static void test_code(void **state)
{
	(void)state;
	in_child(be_looked_at);
	in_child(be_traced);
	in_child(map_code);
}

static bool reads(const char *path)
{
	char c;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool ok = fd >= 0 && read(fd, &c, 1) >= 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool closed(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC) == -1 && errno == EACCES;
}

static void read_files(void)
{
	must(reads("/etc/shadow") && reads("/proc/self/maps"));
	enter((struct sandbox){ 0 });
	must(closed("/etc/shadow") && closed("/etc/passwd"));
	must(closed("/proc/self/maps") && closed("/proc/1/environ"));
	must(closed("/root") && closed("/bin/true") && closed(at("secret")));
	must(reads(at("conf/a.conf")) && reads(at("alone")));
	must(reads("/etc/hosts") && reads("/etc/resolv.conf"));
	must(reads("/dev/urandom") && reads("/dev/null"));
}

static void read_as_nobody(void)
{
	become_nobody();
	enter((struct sandbox){ 0 });
	must(closed("/etc/shadow") && reads("/etc/passwd"));
	must(closed("/proc/self/maps") && closed(at("secret")));
	must(reads(at("conf/a.conf")) && reads(at("alone")));
}

static void read_again(void)
{
	enter((struct sandbox){ 0 });
	must(!raise(SIGSTOP));
	must(reads(at("conf/a.conf")) && closed(at("alone")));
}

/* a directory holds for what comes into it later, a file for itself */
static void read_replaced(void)
{
	pid_t pid = stopped(read_again);
	must(!rename(at("conf/a.conf"), at("conf/b.conf")));
	put(at("conf/a.conf"), "new");
	must(!rename(at("alone"), at("old")));
	put(at("alone"), "new");
	must(goes_on(pid));
}

static bool refused(int result)
{
	return result == -1 && errno == EACCES;
}

static void write_files(void)
{
	enum { NEW = O_WRONLY | O_CREAT | O_CLOEXEC };
	enter((struct sandbox){ 0 });
	must(refused(open(at("new"), NEW, 0600)));
	must(refused(open("/tmp/cv-sandbox-new", NEW, 0600)));
	must(refused(open(at("run/new"), NEW, 0600)));
	must(refused(open(at("alone"), O_WRONLY | O_CLOEXEC)));
	must(refused(open(at("alone"), O_RDONLY | O_TRUNC | O_CLOEXEC)));
	must(refused(open("/dev/null", O_WRONLY | O_CLOEXEC)));
	must(refused(mkdir(at("run/new"), 0700)));
	must(refused(mkdir(at("new"), 0700)));
	must(mkdir(at("run"), 0700) == -1 && errno == EEXIST);
	must(refused(unlink(at("secret"))));
	must(refused(unlink(at("conf/a.conf"))));
}

static void test_files(void **state)
{
	(void)state;
	in_child(read_files);
	in_child(read_as_nobody);
	in_child(write_files);
	in_child(read_replaced);
}

/* a socket that listens at a path; -1 and errno */
static int listen_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(fd >= 0);
	if (!bind(fd, (struct sockaddr *)&a, sizeof a) && !listen(fd, 1))
		return fd;
	return -1;
}

static void make_sockets(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	snprintf(a.sun_path, sizeof a.sun_path, "%s", at("run/x.sock"));
	must(listen_at(at("run/stale.sock")) >= 0);
	enter((struct sandbox){ 0 });
	mode_t old = umask(0177);
	int fd = listen_at(at("run/x.sock"));
	umask(old);
	int c = socket(AF_UNIX, SOCK_STREAM, 0);
	must(fd >= 0 && c >= 0);
	must(!connect(c, (struct sockaddr *)&a, sizeof a));
	must(accept4(fd, NULL, NULL, SOCK_CLOEXEC) >= 0);
	must(!unlink(at("run/x.sock")) && !unlink(at("run/stale.sock")));
	must(listen_at(at("x.sock")) == -1 && errno == EACCES);
	must(listen_at("/tmp/cv-sandbox.sock") == -1 && errno == EACCES);
}

/* a datagram to an abstract socket of somebody outside */
static void tell_outside(bool manager)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char name[32], text[16];
	int n = snprintf(name, sizeof name, "@cv-out-%ld", (long)getpid());
	memcpy(a.sun_path, name, sizeof name);
	*a.sun_path = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	must(!bind(fd, (struct sockaddr *)&a,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) +
			    (size_t)n)));
	must(!setenv("NOTIFY_SOCKET", manager ? name : "/nowhere", 1));
	enter((struct sandbox){ 0 });
	must(!setenv("NOTIFY_SOCKET", name, 1));
	systemd_notify("READY=1");
	must((recv(fd, text, sizeof text, 0) == 7) == manager);
}

static void tell_manager(void)
{
	tell_outside(true);
}

static void tell_stranger(void)
{
	tell_outside(false);
}

static void test_control_socket(void **state)
{
	(void)state;
	in_child(make_sockets);
	in_child(tell_manager);
	in_child(tell_stranger);
}

static void wait_for(int ep, int fd)
{
	struct epoll_event e = { .events = EPOLLIN };
	must(!epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
	must(epoll_wait(ep, &e, 1, 5000) == 1 && e.events & EPOLLIN);
	must(!epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL));
}

/* what is sent to a socket on loopback comes out of it */
static void loop_back(int ep, int family, int type)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof ss;
	char c = 'x';
	int in = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int out = socket(family, type | SOCK_CLOEXEC, 0);
	ss.ss_family = (sa_family_t)family;
	if (family == AF_INET6)
		((struct sockaddr_in6 *)&ss)->sin6_addr = in6addr_loopback;
	else
		((struct sockaddr_in *)&ss)->sin_addr.s_addr =
			htonl(INADDR_LOOPBACK);
	must(in >= 0 && out >= 0 && !bind(in, (struct sockaddr *)&ss, len));
	must(!getsockname(in, (struct sockaddr *)&ss, &len));
	must(type == SOCK_DGRAM || !listen(in, 1));
	must(!connect(out, (struct sockaddr *)&ss, len));
	if (type == SOCK_STREAM) {
		wait_for(ep, in);
		must((in = accept4(in, NULL, NULL, SOCK_NONBLOCK)) >= 0);
	}
	struct iovec v = { &c, 1 };
	struct mmsghdr m = { .msg_hdr = { .msg_iov = &v, .msg_iovlen = 1 } };
	must(sendmmsg(out, &m, 1, MSG_NOSIGNAL) == 1);
	wait_for(ep, in);
	must(recvmmsg(in, &m, 1, 0, NULL) == 1 && c == 'x');
}

static void use_network(void)
{
	enter((struct sandbox){ 0 });
	int ep = epoll_create1(EPOLL_CLOEXEC);
	must(ep >= 0);
	loop_back(ep, AF_INET, SOCK_DGRAM);
	loop_back(ep, AF_INET, SOCK_STREAM);
	loop_back(ep, AF_INET6, SOCK_DGRAM);
	loop_back(ep, AF_INET6, SOCK_STREAM);
}

static void use_kernel(void)
{
	const struct itimerspec soon = { .it_value = { .tv_nsec = 1000 } };
	uint64_t n;
	struct rlimit r;
	enter((struct sandbox){ 0 });
	int ep = epoll_create1(EPOLL_CLOEXEC);
	int event = eventfd(1, EFD_CLOEXEC);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	must(event >= 0 && timer >= 0);
	wait_for(ep, event);
	must(!timerfd_settime(timer, 0, &soon, NULL));
	wait_for(ep, timer);
	must(getrandom(&n, sizeof n, 0) == sizeof n);
	must(!getrlimit(RLIMIT_NOFILE, &r) && !setrlimit(RLIMIT_NOFILE, &r));
	FILE *f = open_memstream(&(char *){ NULL }, &(size_t){ 0 });
	must(f && fprintf(f, "%1000d", 1) == 1000 && !fclose(f));
	char *big = malloc(1 << 20);
	must(big && (big = realloc(big, 1 << 24)));
	free(big);
}

static void resolve(void)
{
	struct addrinfo *list;
	enter((struct sandbox){ 0 });
	must(!getaddrinfo("localhost", "domain", NULL, &list));
	freeaddrinfo(list);
}

static void on_signal(int number)
{
	if (number != SIGUSR1)
		_exit(1);
}

/* an abort is still one, not a hang */
static void end_by_abort(void)
{
	int status;
	pid_t pid = fork();
	if (!pid) {
		enter((struct sandbox){ 0 });
		must(signal(SIGUSR1, on_signal) == SIG_DFL && !raise(SIGUSR1));
		abort();
	}
	must(waitpid(pid, &status, 0) == pid);
	must(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void test_needed(void **state)
{
	(void)state;
	in_child(end_by_abort);
	in_child(use_network);
	in_child(use_kernel);
	in_child(resolve);
}

/* a line of /proc/self/status, opened before it was closed to us */
static const char *status(int fd, const char *key)
{
	static char text[8192];
	ssize_t n = pread(fd, text, sizeof text - 1, 0);
	must(n > 0);
	text[n] = '\0';
	char *line = strstr(text, key);
	must(line);
	line[strcspn(line, "\n")] = '\0';
	return line + strlen(key) + strspn(line + strlen(key), ":\t ");
}

static uint64_t set_of(int fd, const char *key)
{
	return strtoull(status(fd, key), NULL, 16);
}

static const char *const sets[] = { "CapPrm", "CapEff", "CapBnd", "CapInh",
	"CapAmb" };

static bool sets_are(int fd, uint64_t three, uint64_t rest)
{
	for (int i = 0; i < 5; i++) {
		if (set_of(fd, sets[i]) != (i < 3 ? three : rest))
			return false;
	}
	return true;
}

static int open_status(void)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	must(fd >= 0);
	return fd;
}

/* sets that were empty before would prove nothing */
static void fill_sets(int fd)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct set[2];
	must(!syscall(SYS_capget, &head, set));
	set[0].inheritable |= 1u << CAP_NET_RAW;
	must(!syscall(SYS_capset, &head, set));
	must(!prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0));
	for (int i = 0; i < 5; i++)
		must(set_of(fd, sets[i]));
}

static int bind_low(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons(1),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(fd >= 0);
	int r = bind(fd, (struct sockaddr *)&a, sizeof a);
	close(fd);
	return r;
}

static void keep_none(void)
{
	int fd = open_status();
	fill_sets(fd);
	must(!bind_low());
	enter((struct sandbox){ 0 });
	must(sets_are(fd, 0, 0));
	must(*status(fd, "NoNewPrivs") == '1' && *status(fd, "Seccomp") == '2');
	must(refused(bind_low()));
}

static void keep_one(void)
{
	int fd = open_status();
	fill_sets(fd);
	enter((struct sandbox){ .keep = SANDBOX_CAP(CAP_NET_BIND_SERVICE) });
	must(sets_are(fd, SANDBOX_CAP(CAP_NET_BIND_SERVICE), 0));
	must(!bind_low());
}

static void keep_raw(void)
{
	enter((struct sandbox){ .keep = SANDBOX_CAP(CAP_NET_RAW) });
	must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0);
	must(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP) >= 0);
}

static void keep_what_is_not_there(void)
{
	int fd = open_status();
	become_nobody();
	enter((struct sandbox){ .keep = SANDBOX_CAP(CAP_NET_ADMIN) });
	must(!set_of(fd, "CapPrm") && !set_of(fd, "CapEff"));
}

static void test_capabilities(void **state)
{
	(void)state;
	in_child(keep_none);
	in_child(keep_one);
	in_child(keep_raw);
	in_child(keep_what_is_not_there);
}

/* real, effective, saved and file system's */
static bool ids_are(int fd, const char *key, unsigned id)
{
	char want[64];
	snprintf(want, sizeof want, "%u\t%u\t%u\t%u", id, id, id, id);
	return !strcmp(status(fd, key), want);
}

static void change_user(void)
{
	const struct passwd *pw = getpwnam("nobody");
	const gid_t more[] = { 0, 6 };
	int fd = open_status();
	must(pw && !setgroups(2, more));
	enter((struct sandbox){ .user = "nobody" });
	must(ids_are(fd, "Uid", pw->pw_uid) && ids_are(fd, "Gid", pw->pw_gid));
	must((unsigned)atoi(status(fd, "Groups")) == pw->pw_gid);
	must(!strchr(status(fd, "Groups"), '0'));
	must(sets_are(fd, 0, 0) && setuid(0) == -1);
	must(closed("/etc/shadow"));
}

static void change_group(void)
{
	const struct group *gr = getgrnam("daemon");
	int fd = open_status();
	must(gr);
	enter((struct sandbox){ .user = "65534:daemon",
		.keep = SANDBOX_CAP(CAP_NET_BIND_SERVICE) });
	must(ids_are(fd, "Uid", 65534) && ids_are(fd, "Gid", gr->gr_gid));
	must(sets_are(fd, SANDBOX_CAP(CAP_NET_BIND_SERVICE), 0));
	must(!bind_low());
}

/* no sandbox, but the user that was asked for */
static void change_user_only(void)
{
	char note[SANDBOX_TEXT], why[SANDBOX_TEXT];
	const struct sandbox s = { .user = "nobody", .off = true };
	must(!sandbox_enter(&s, note, why));
	must(!strcmp(note, "user nobody, no capabilities, no sandbox"));
	int fd = open_status();
	must(ids_are(fd, "Uid", 65534) && !set_of(fd, "CapEff"));
	must(*status(fd, "NoNewPrivs") == '0' && *status(fd, "Seccomp") == '0');
	must(reads("/etc/passwd") && refused(bind_low()));
}

static void change_nothing(void)
{
	char note[SANDBOX_TEXT], why[SANDBOX_TEXT];
	const struct sandbox s = { .off = true };
	int fd = open_status();
	uint64_t before = set_of(fd, "CapEff");
	must(!sandbox_enter(&s, note, why) && !strcmp(note, "no sandbox"));
	must(set_of(fd, "CapEff") == before && reads("/etc/shadow"));
}

static void test_user(void **state)
{
	(void)state;
	in_child(change_user);
	in_child(change_group);
	in_child(change_user_only);
	in_child(change_nothing);
}

/* @user is refused, with @words in the line, and nothing was changed */
static void refuse(const char *user, int err, const char *words)
{
	char note[SANDBOX_TEXT] = "-", why[SANDBOX_TEXT] = "";
	const struct sandbox s = { .user = user };
	must(sandbox_enter(&s, note, why) == err && strstr(why, words));
	must(!strcmp(note, "-") && !strchr(why, '\n'));
	must(reads("/proc/self/maps"));
}

static void ask_for_strangers(void)
{
	int fd = open_status();
	uint64_t before = set_of(fd, "CapBnd");
	refuse("no-such-user", CULVERT_EINVAL, "no user \"no-such-user\"");
	refuse("", CULVERT_EINVAL, "no user \"\"");
	refuse("4294967295", CULVERT_EINVAL, "no user");
	refuse("4295032830", CULVERT_EINVAL, "no user"); /* 2^32 + 65534 */
	refuse("-1", CULVERT_EINVAL, "no user");
	refuse("nobody:no-such-group", CULVERT_EINVAL, "\"no-such-group\"");
	refuse("nobody:", CULVERT_EINVAL, "no group \"\"");
	must(ids_are(fd, "Uid", 0) && set_of(fd, "CapBnd") == before);
}

static void ask_as_nobody(void)
{
	become_nobody();
	refuse("daemon", CULVERT_ESYS, "only root");
}

static void test_refused(void **state)
{
	(void)state;
	in_child(ask_for_strangers);
	in_child(ask_as_nobody);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_note),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_code),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_control_socket),
		cmocka_unit_test(test_needed),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
