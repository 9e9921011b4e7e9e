/* SPDX-License-Identifier: MIT */
/* cli.h - what the parts of the command share; they know only culvert.h */
#ifndef CLI_H
#define CLI_H

#include "culvert.h"

#include <stdbool.h>

/** Exit codes, culvert(1). */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,   /* the operation failed */
	EXIT_USAGE = 2,    /* command line or configuration */
	EXIT_NODAEMON = 3, /* nothing runs that could be asked */
};

/**
 * struct command - one of the commands
 * @usage:	its arguments, which are also what a shell completes: [..] may
 *		be left out, an option is followed by its VALUE, FILE and NAME
 *		(of a running node) are known, a|b is one of these, other small
 *		letters stand for themselves, [OPTION]... for option_at()
 * @run:	returns an exit code
 */
struct command {
	const char *name, *usage, *what;
	int (*run)(int argc, char **argv);
};

/** command_at() - the @i-th command, or NULL behind the last */
const struct command *command_at(int i);

/** enum section - of a configuration; PROCESS: of us; CLIENT: of us, and of
 * forward only */
enum section { NODE, SERVE, PEER, PROCESS, CLIENT };

/** struct option - of a command that becomes a configuration */
struct option {
	const char *name, *key, *value, *what; /* value NULL: a switch */
	enum section section;
	bool server; /* makes sense for serve only */
};

/** option_at() - the @i-th of a command's options, or NULL behind the last */
const struct option *option_at(const char *command, int i);

/** complain() - one line on standard error, with the program's name */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** exit_code() - of a negative enum culvert_err from culvert_new() */
int exit_code(int err);

/**
 * gather() - What running nodes answer, one after the other
 * @name:	of a node, or NULL for all of this user
 * @request:	culvert_ask()
 * @text:	to be freed
 *
 * Return: 0, CULVERT_ENODAEMON or CULVERT_ENOMEM
 */
int gather(const char *name, const char *request, char **text);

/**
 * gather_named() - The same for the command line "COMMAND [NAME]", whose
 * request is the command
 *
 * Return: an exit code; it was said what is wrong
 */
int gather_named(int argc, char **argv, char **text);

/**
 * errors_in() - Say, as @command, what nodes answered as an error
 * @text:	of gather(); these lines are taken out of it
 *
 * Return: how many there were
 */
int errors_in(const char *command, char *text);

/** not_found() - say that gather() failed, as @command; an exit code */
int not_found(const char *command, const char *name, int err);

/** log_line() - an event on standard error, as culvert_options.log */
void log_line(void *user, enum culvert_log_level, const char *line);

/**
 * trace_open() - Write events to a file, made anew; 0 or -1 and errno
 */
int trace_open(const char *path);

/** trace_line() - one of them, as culvert_options.trace */
void trace_line(void *user, const char *line);

/** trace_close() - what is buffered is written */
void trace_close(void);

/** struct process - what is to become of ours once the node runs */
struct process {
	const char *user;  /* NAME[:GROUP] to become, or NULL */
	const char *trace; /* file for what the transport does, or NULL */
	bool no_sandbox;
};

/**
 * struct source - where a configuration comes from
 * @text:	@len bytes from malloc(); wiped and freed by run_node()
 * @path:	the file it was read from, to be read again on reload; or NULL
 * @place:	what to name in front of an error in @line; may return NULL
 * @user:	handed to @place
 */
struct source {
	char *text;
	size_t len;
	const char *path;
	struct process process;
	const char *(*place)(void *user, unsigned line, char out[300]);
	void *user;
};

/** run_node() - Make a node of a configuration and run it; an exit code */
int run_node(struct source *);

int cmd_serve(int argc, char **argv);
int cmd_forward(int argc, char **argv);
int cmd_run(int argc, char **argv);
/** read_conf() - A configuration file, to be wiped and freed; NULL and @why */
char *read_conf(const char *path, size_t *len, char why[700]);

/** make_key() - a private key into a new file, its public key into @pub; an
 * exit code, and it was said what is wrong */
int make_key(const char *path, char pub[CULVERT_KEYTEXT]);

/** front_iproxy_client(), front_iproxy_server() - iproxy's own command lines */
int front_iproxy_client(char **argv);
int front_iproxy_server(char **argv);

/** front_udp_local(), front_udp_server() - The command under these names */
int front_udp_local(char **argv);
int front_udp_server(char **argv);

int cmd_check(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_metrics(int argc, char **argv);
int cmd_discover(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_completion(int argc, char **argv);
int cmd_genkey(int argc, char **argv);
int cmd_genpsk(int argc, char **argv);
int cmd_pubkey(int argc, char **argv);

#endif
