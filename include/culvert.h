/* SPDX-License-Identifier: MIT */
/**
 * culvert.h - the public interface of libculvert
 *
 * culvert carries any transport over any other.  A node is described by the
 * text of a configuration file, runs its own event loop, and is asked about
 * itself through a control socket.
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
};

enum culvert_log_level {
	CULVERT_ERROR,
	CULVERT_WARN,
	CULVERT_INFO,
	CULVERT_DEBUG,
};

/** Where and why something was refused. */
struct culvert_diag {
	unsigned line;  /* line of the configuration text, 0: none */
	char text[320]; /* one line: what is wrong and the remedy */
};

typedef struct culvert culvert;

/**
 * culvert_new() - Make a node from the text of a configuration file
 * @out:	the node, to be given back to culvert_free()
 * @conf:	configuration text, culvert.conf(5)
 * @len:	its length in bytes
 * @diag:	filled in on failure; may be NULL
 *
 * Return: 0, CULVERT_ESYNTAX, CULVERT_EINVAL, CULVERT_ESYS or CULVERT_ENOMEM
 */
CULVERT_API int culvert_new(
	culvert **out, const char *conf, size_t len, struct culvert_diag *diag);

/**
 * culvert_run() - Run a node until SIGTERM, SIGINT or culvert_stop()
 * @c:		the node
 *
 * It then takes nothing new, lets out what is queued for up to a second and
 * tells its peers.  A second signal stops it at once.
 *
 * Return: 0 after an orderly stop, or a negative enum culvert_err
 */
CULVERT_API int culvert_run(culvert *c);

/** culvert_stop() - End culvert_run(); from any thread or signal handler */
CULVERT_API void culvert_stop(culvert *c);

/** culvert_free() - Close everything a node holds; @c may be NULL */
CULVERT_API void culvert_free(culvert *c);

/**
 * culvert_ask() - Send one request to a running node's control socket
 * @name:	the node's name, or NULL for every node of this user
 * @request:	one line, for example "show" or "show -j"
 * @answer:	called with each piece of the answer
 * @user:	handed to @answer
 *
 * Return: 0 or CULVERT_ENODAEMON
 */
CULVERT_API int culvert_ask(const char *name, const char *request,
	void (*answer)(void *user, const char *piece, size_t len), void *user);

/**
 * culvert_on_request() - Answer requests that the library knows nothing of
 * @answer:	called from culvert_run() with a request of culvert_ask();
 *writes text of at most @size bytes, with its NUL, to @out; returns 0, or
 *		anything else if it does not know the request either
 * @user:	handed to @answer
 */
CULVERT_API void culvert_on_request(culvert *c,
	int (*answer)(void *user, const char *request, char *out, size_t size),
	void *user);

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
