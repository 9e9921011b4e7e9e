/* SPDX-License-Identifier: MIT */
/**
 * culvert.h - the public interface of libculvert
 *
 * culvert carries any transport over any other.  A node is described by the
 * text of a configuration file, culvert.conf(5), and runs in one of three
 * ways:
 *
 *	own loop	culvert_new(), culvert_run()
 *	your loop	options.loop is your libev loop: culvert_new(),
 *			culvert_start(), ev_run()
 *	no loop		CULVERT_NO_LOOP: you move bytes with culvert_link_*(),
 *			and time with culvert_tick(); no socket is opened
 *
 * A process may have many nodes.  The library has no thread, no global state
 * and no signal handler, and never writes to a standard stream, changes its
 * process or ends it.
 *
 * A node and what belongs to it is used by one thread at a time;
 * culvert_stop() and culvert_wake() may be called from any thread and from
 * signal handlers, as long as the node exists.  Callbacks are made on the
 * thread that runs the node, from within culvert_run(), ev_run(),
 * culvert_link_input() or culvert_tick(), and never from within another one.
 * From within a callback everything may be called but culvert_run(),
 * culvert_link_input() and culvert_tick() of the same node, which return
 * CULVERT_ESTATE; culvert_free() then takes effect when the callback has
 * returned, and the node must not be used any more.  @log is the exception: it
 * is made from within any function, and must not call the library.
 *
 * Handles are NULL-safe: a function that is given NULL returns
 * CULVERT_EINVAL, or does nothing if it returns nothing.
 */
#ifndef CULVERT_H
#define CULVERT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CULVERT_API __attribute__((visibility("default")))

/** Length of a key in base64, with the terminating NUL. */
#define CULVERT_KEYTEXT 45

/** Largest datagram, bytes. */
#define CULVERT_DGRAM_MAX 65507

/** No deadline. */
#define CULVERT_NEVER UINT64_MAX

/** Every function that can fail returns 0 or one of these. */
enum culvert_err {
	CULVERT_OK = 0,
	CULVERT_ENOMEM = -1,    /* out of memory, or a limit was reached */
	CULVERT_EINVAL = -2,    /* an argument or a setting makes no sense */
	CULVERT_ESYNTAX = -3,   /* text could not be parsed */
	CULVERT_ESYS = -4,      /* the operating system said no */
	CULVERT_ECRYPTO = -5,   /* libcrypto failed, or a tag did not verify */
	CULVERT_EPROTO = -6,    /* the peer broke the protocol */
	CULVERT_EREFUSED = -7,  /* refused by policy */
	CULVERT_ENODAEMON = -8, /* nothing answers on the control socket */
	CULVERT_EFULL = -9,     /* a queue or table is full */
	CULVERT_ESTATE = -10,   /* not now: see the function */
};

enum culvert_log_level {
	CULVERT_ERROR,
	CULVERT_WARN,
	CULVERT_INFO,
	CULVERT_DEBUG,
};

enum culvert_peer_state {
	CULVERT_PEER_DOWN,
	CULVERT_PEER_UP, /* its identity is proven, keys are agreed */
};

/** Where and why something was refused. */
struct culvert_diag {
	unsigned line;  /* line of the configuration text, 0: none */
	char text[320]; /* one line: what is wrong and the remedy */
};

typedef struct culvert culvert;           /* a node */
typedef struct culvert_flow culvert_flow; /* a conversation of the program's */
typedef struct culvert_link culvert_link; /* a byte stream the program moves */

/** Flags of struct culvert_options. */
enum {
	CULVERT_NO_LOOP = 1, /* the caller moves bytes and time */
	CULVERT_CONTROL = 2, /* answer culvert_ask() on a unix socket */
};

/**
 * struct culvert_options - how a node lives in its program; all may be 0
 * @size:	sizeof(struct culvert_options), so that later versions may add;
 *		what an older library does not know must be 0
 * @flags:	CULVERT_NO_LOOP, CULVERT_CONTROL; not both
 * @loop:	your libev loop; NULL: the node has its own
 * @fds:	@nfds sockets that are bound already, such as systemd's: a
 *		"Listen" or "From" of the same address uses a duplicate of one
 *		instead of binding.  They stay the caller's, and may be closed
 *		once culvert_new() has returned
 * @user:	handed to every callback
 * @log:	one line in logfmt, without time, level and newline; those that
 *		come too fast are left out and counted.  NULL: silence
 * @state:	a peer came up or went down; it also goes down if a reload
 *		takes it out or calls it by another name.  "" is one that a
 *		Plain node let in
 * @accept:	a peer opens a flow to "app://..." here (without a loop: to
 *		anything).  0 accepts, and @flow may be used from now on; a
 *		negative enum culvert_err refuses.  NULL: refused
 * @opened:	the peer accepted a flow of culvert_open(); again, if it was
 *		restarted since
 * @dgram:	a datagram; @data is valid during the call only
 * @closed:	the flow ended, for IdleTimeout too, or was refused: @why is 0,
 *		or what refused it.  @flow is invalid when this returns.  Not
 *		called for flows that culvert_close() or culvert_free() ended,
 *		nor for those that @accept refused
 * @stopped:	an orderly stop is complete; the node can be freed
 * @woken:	after culvert_wake(), on the node's thread; several may be one
 * @request:	culvert_ask() sent what the node does not know by itself; write
 *		the answer, a text of less than @size bytes, and return 0, or
 *		an error, which makes the text an error message
 * @trace:	what the transport of sessions over datagrams does, event by
 *		event: a JSON object each; doc/congestion.md lists them
 */
struct culvert_options {
	size_t size;
	unsigned flags;
	struct ev_loop *loop;
	const int *fds;
	size_t nfds;
	void *user;
	void (*log)(void *user, enum culvert_log_level level, const char *line);
	void (*state)(void *user, const char *peer, enum culvert_peer_state);
	int (*accept)(void *user, culvert_flow *flow, const char *peer,
		const char *target);
	void (*opened)(void *user, culvert_flow *flow);
	void (*dgram)(
		void *user, culvert_flow *flow, const void *data, size_t len);
	void (*closed)(void *user, culvert_flow *flow, int why);
	void (*stopped)(void *user);
	void (*woken)(void *user);
	int (*request)(
		void *user, const char *request, char *answer, size_t size);
	void (*trace)(void *user, const char *line);
};

/* --- a node's life --- */

/**
 * culvert_new() - Make a node from the text of a configuration file
 * @out:	the node, to be given back to culvert_free()
 * @conf:	configuration text, culvert.conf(5), @len bytes
 * @options:	copied; may be NULL
 * @diag:	filled in on failure; may be NULL
 *
 * Its ports are bound when this returns; nothing else happens before
 * culvert_start() or culvert_run().
 *
 * Return: 0, CULVERT_ESYNTAX, CULVERT_EINVAL, CULVERT_ESYS, CULVERT_ECRYPTO or
 * CULVERT_ENOMEM
 */
CULVERT_API int culvert_new(culvert **out, const char *conf, size_t len,
	const struct culvert_options *options, struct culvert_diag *diag);

/**
 * culvert_check() - Everything culvert_new() would say about a text, but for
 * what only its options and binding its ports can tell
 *
 * Return: as culvert_new()
 */
CULVERT_API int culvert_check(
	const char *conf, size_t len, struct culvert_diag *diag);

/**
 * culvert_reload() - Make a living node what another text says
 *
 * Only what differs is touched: flows, peers and ports that stand in both
 * texts go on.  On failure nothing has changed.  Name, keys of its own, Plain
 * and ServerNumber cannot change while it lives (CULVERT_EINVAL).
 *
 * Return: as culvert_new(); CULVERT_ESTATE while it is stopping
 */
CULVERT_API int culvert_reload(
	culvert *c, const char *conf, size_t len, struct culvert_diag *diag);

/**
 * culvert_start() - Begin to dial and to answer, as soon as the loop runs
 * Return: 0, or CULVERT_ESTATE if it was started before or has no loop
 */
CULVERT_API int culvert_start(culvert *c);

/**
 * culvert_run() - Start, if need be, and run its own loop until it stopped
 *
 * Return: 0 after an orderly stop, or after a callback freed it; CULVERT_ESTATE
 * if the loop is yours, if there is none, after a stop, or from within a
 * callback
 */
CULVERT_API int culvert_run(culvert *c);

/**
 * culvert_stop() - Stop in good order; from any thread or signal handler
 *
 * The node takes nothing new, lets out what is queued and not too old for up to
 * a second, tells its peers, and calls @stopped.  A second call stops it at
 * once.  A node that was not started yet stops when it is.
 */
CULVERT_API void culvert_stop(culvert *c);

/** culvert_wake() - Have @woken called; from any thread or signal handler */
CULVERT_API void culvert_wake(culvert *c);

/**
 * culvert_free() - Close everything a node holds
 *
 * Its flows and links are invalid at once.  Your loop goes on without it.
 */
CULVERT_API void culvert_free(culvert *c);

/* --- flows of the program's own --- */

/**
 * culvert_open() - A flow of datagrams to a target behind a peer
 * @peer:	its name in the configuration
 * @target:	URL of at most 400 bytes: "udp://host:port", "app://anything"
 *		for the @accept of a program at the other end, or "" for what
 *		the peer's "To" says
 * @out:	to be given back to culvert_close(), unless @closed came
 *
 * The peer hears of it with the first datagram.  Datagrams may be sent at once:
 * a few wait for the peer, for up to a second.
 *
 * Return: 0, CULVERT_EINVAL for an unknown peer or a bad target,
 * CULVERT_ENOMEM, CULVERT_EFULL at a limit, CULVERT_ESTATE while stopping or,
 * without a loop, before the node was told the time
 */
CULVERT_API int culvert_open(
	culvert *c, const char *peer, const char *target, culvert_flow **out);

/**
 * culvert_send() - Send one datagram; it is copied
 *
 * Datagrams are never late: what waits longer than MaxAge is dropped, counted
 * under its reason in culvert_show().
 *
 * Return: 0, CULVERT_EFULL if the peer is not up or the link is behind (it was
 * queued all the same, and older ones may be dropped), CULVERT_EINVAL above
 * CULVERT_DGRAM_MAX, or CULVERT_ESTATE once the flow has ended or the node is
 * stopping
 */
CULVERT_API int culvert_send(culvert_flow *flow, const void *data, size_t len);

/** culvert_close() - End a flow; its peer is told */
CULVERT_API void culvert_close(culvert_flow *flow);

/** culvert_flow_set(), culvert_flow_get() - A pointer of yours with a flow */
CULVERT_API void culvert_flow_set(culvert_flow *flow, void *yours);
CULVERT_API void *culvert_flow_get(const culvert_flow *flow);

/*
 * --- without a loop: bytes and time are yours ---
 *
 * @now is monotonic time in µs, whatever it counts from.  What is told no time,
 * culvert_send() for one, happens at the time that was told last: begin each
 * turn of your loop with culvert_tick().
 */

/**
 * culvert_link_open() - A reliable, ordered byte stream to a peer exists
 * @peer:	the name of who is at its other end, and this end begins;
 *		NULL: whoever began it says so by itself
 *
 * A newer stream of a peer takes over from the one before.  One that was not
 * begun here and does not bring a peer up is yours to end.
 *
 * Return: 0, CULVERT_EINVAL for an unknown peer, CULVERT_ENOMEM, or
 * CULVERT_ESTATE if the node has a loop
 */
CULVERT_API int culvert_link_open(
	culvert *c, const char *peer, uint64_t now, culvert_link **out);

/**
 * culvert_link_input() - Bytes that came out of the stream, in any pieces
 *
 * With @len 0 it only says whether the stream is of use still: ask when @state
 * tells that the peer is down, for it may have fallen silent.
 *
 * Return: 0, or CULVERT_EPROTO or CULVERT_ENOMEM: the stream is of no use any
 * more (this cannot be our peer, it said goodbye, or bytes were lost); close it
 * and call culvert_link_close().  CULVERT_ESTATE from within a callback, or if
 * one has freed the node
 */
CULVERT_API int culvert_link_input(
	culvert_link *link, const void *data, size_t len, uint64_t now);

/**
 * culvert_link_output() - Bytes to write into the stream
 *
 * Ask before you wait, as long as the stream takes bytes: what is not asked for
 * can still be dropped for its age.
 *
 * Return: how many of @size bytes were filled in, 0: nothing to say
 */
CULVERT_API size_t culvert_link_output(
	culvert_link *link, void *data, size_t size, uint64_t now);

/** culvert_link_close() - The stream is gone, and @link invalid */
CULVERT_API void culvert_link_close(culvert_link *link);

/** culvert_deadline() - When culvert_tick() has something to do, µs */
CULVERT_API uint64_t culvert_deadline(const culvert *c);

/**
 * culvert_tick() - It is @now
 * Return: 0; CULVERT_ESTATE if the node has a loop, or from within a callback
 */
CULVERT_API int culvert_tick(culvert *c, uint64_t now);

/* --- asking --- */

/**
 * culvert_show() - What a node in this process is doing
 * @request:	"show", "show flows", both also with " -j", or "metrics"
 * @answer:	called with each piece of the answer
 *
 * Return: 0, CULVERT_EINVAL for an unknown request, or CULVERT_ENOMEM
 */
CULVERT_API int culvert_show(culvert *c, const char *request,
	void (*answer)(void *user, const char *piece, size_t len), void *user);

/**
 * culvert_note() - A line that "show" adds about the process: "key: value"
 * Return: 0, CULVERT_EINVAL, or CULVERT_EFULL after 1 KiB of them
 */
CULVERT_API int culvert_note(culvert *c, const char *text);

/**
 * culvert_ask() - Send one request to a running node's control socket
 * @name:	the node's name, or NULL for every node of this user
 * @request:	one line, for example "show" or "show -j"
 * @answer:	called with each piece of the answer
 * @user:	handed to @answer
 *
 * Return: 0, CULVERT_ENODAEMON, or CULVERT_EINVAL for NULL
 */
CULVERT_API int culvert_ask(const char *name, const char *request,
	void (*answer)(void *user, const char *piece, size_t len), void *user);

/** culvert_socket() - Path of a node's control socket; NULL: it has none */
CULVERT_API const char *culvert_socket(const culvert *c);

/* --- servers of the LAN --- */

/**
 * struct culvert_way - one way by which a server answered
 * @interface:	ours
 * @from:	where the answer came from, "[fe80::1]:17238"
 * @heard:	how our question reached it: "unicast", "multicast6",
 *		"broadcast" or "frame"
 * @rtt:	round trip, µs
 */
struct culvert_way {
	const char *interface, *from, *heard;
	uint64_t rtt;
};

/**
 * struct culvert_server - what answered a search; all of it is the server's own
 * word, and its texts are printable ASCII
 * @size:	sizeof(struct culvert_server), so that later versions may add
 * @id:		not unique: several servers may say the same
 * @gone:	of CULVERT_WATCH: it does not answer any more
 * @key:	its public key, or "" in plain mode
 * @services:	what its peers may reach, by its Allow
 * @interface, @addresses: its own, of the last way: "10.1.1.7/24 fe80::1/64"
 * @uptime:	seconds
 * @boot:	another one after every start
 */
struct culvert_server {
	size_t size;
	uint32_t id;
	int gone;
	const char *name, *key, *version, *services, *interface, *addresses;
	uint64_t uptime, boot;
	const struct culvert_way *way;
	size_t ways;
};

/** Flags of struct culvert_search. */
enum {
	CULVERT_WATCH = 1, /* tell of servers as they come and go */
};

/**
 * struct culvert_search - how to look for servers
 * @size:	sizeof(struct culvert_search)
 * @timeout:	ms; 0: until nobody new answers, 3 s at most; a watch: no end
 * @user:	handed to @found
 * @found:	one server; anything but 0 ends the search.  Without
 *		CULVERT_WATCH all are told of at its end, by rising id
 */
struct culvert_search {
	size_t size;
	unsigned flags, timeout;
	void *user;
	int (*found)(void *user, const struct culvert_server *);
};

/**
 * culvert_discover() - Who serves on this LAN, whatever its addresses are
 * @url:	"lan://[ID@][IFACE][:PORT]", bcast:// or mcast://; with an ID
 *		only servers that have it are asked.  Or iproxy+lan://,
 *		iproxy+bcast://, iproxy+mcast:// or iproxy+udp://HOST: servers
 *		of iproxy version 1, whose @name is the text they answer with;
 *		they cannot be watched
 * @diag:	filled in on failure; may be NULL
 *
 * Returns when the search is over.
 *
 * Return: 0, CULVERT_EINVAL, CULVERT_ESYNTAX, CULVERT_ESYS if the port that
 * asks cannot be had, or CULVERT_ENOMEM
 */
CULVERT_API int culvert_discover(const char *url,
	const struct culvert_search *search, struct culvert_diag *diag);

/* --- keys and words --- */

/** culvert_genkey() - A new private key (or pre-shared key), in base64 */
CULVERT_API int culvert_genkey(char out[CULVERT_KEYTEXT], int preshared);

/** culvert_pubkey() - The public key of a private key, both in base64 */
CULVERT_API int culvert_pubkey(char out[CULVERT_KEYTEXT], const char *priv);

/** culvert_strerror() - What an error code means, in words */
CULVERT_API const char *culvert_strerror(int err);

/** culvert_version() - "major.minor.patch" */
CULVERT_API const char *culvert_version(void);

#ifdef __cplusplus
}
#endif
#endif
