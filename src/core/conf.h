/* SPDX-License-Identifier: MIT */
/**
 * conf.h - the configuration file, parsed; culvert.conf(5)
 *
 * Sections in brackets, "Key = value" lines, # and ; begin comments.  The
 * parser opens no file: what names a file is kept as its path.
 */
#ifndef CV_CONF_H
#define CV_CONF_H

#include "core/crypto.h"
#include "core/limits.h"
#include "core/url.h"

enum {
	CV_NAME = 32,  /* of a node, peer or forward, with the NUL */
	CV_PATH = 256, /* of a file, with the NUL */
	CV_CONF_LISTENS = 64,
	CV_CONF_FORWARDS = 1024,
};

/** struct cv_conf_text - a repeatable value and where it stands */
struct cv_conf_text {
	char text[CV_URL_TEXT];
	unsigned line;
};

/** cv_conf_is() - whether it is a URL of that scheme */
bool cv_conf_is(const struct cv_conf_text *, const char *scheme);

/** struct cv_conf_peer - [Peer NAME] */
struct cv_conf_peer {
	char name[CV_NAME];           /* "": its key's first characters */
	uint8_t pub[CV_KEY];          /* PublicKey */
	uint8_t psk[CV_KEY];          /* PresharedKey; zeroes: none */
	char psk_file[CV_PATH];       /* PresharedKeyFile */
	unsigned psk_line;            /* where it stands */
	struct cv_conf_text endpoint; /* Endpoint; "": it dials us */
	bool keyed;                   /* PublicKey was given */
	unsigned line;                /* of the section */
};

/** struct cv_conf_forward - [Forward NAME] */
struct cv_conf_forward {
	char name[CV_NAME];
	struct cv_conf_text from, to; /* To may be "": the peer's choice */
	char via[CV_URL_TEXT];        /* name of a peer, or a foreign URL */
	unsigned line, via_line;
};

/** struct cv_conf - a whole file; every array grows in env's memory */
struct cv_conf {
	const struct cv_env *env;

	/* [Node] */
	char name[CV_NAME];             /* Name; "": the shell's choice */
	uint8_t priv[CV_KEY];           /* PrivateKey */
	struct cv_conf_text priv_file;  /* PrivateKeyFile */
	struct cv_conf_text peers_file; /* PeersFile: KEY [NAME] per line */
	bool keyed;                     /* PrivateKey was given */
	bool plain;                     /* Plain = yes */
	enum culvert_log_level log;     /* LogLevel = error|warn|info|debug */
	uint32_t max_age;               /* MaxAge, µs; written in ms */
	uint32_t idle;                  /* IdleTimeout, seconds; 0: never */
	uint32_t max_flows;             /* MaxFlows */
	uint32_t max_source;            /* MaxFlowsPerSource */
	uint32_t memory;                /* Memory, bytes; written in MiB */
	uint16_t server;                /* ServerNumber */
	struct cv_conf_text metrics;    /* Metrics; "": nowhere */

	/* [Serve] */
	struct cv_conf_text *listen; /* Listen */
	unsigned listens;
	struct cv_conf_text *allow; /* Allow */
	unsigned allows;
	struct cv_conf_text to; /* To */
	bool discoverable;      /* Discoverable = yes */
	unsigned discoverable_line;
	uint32_t server_id; /* ServerId; 0: not given */

	struct cv_conf_peer *peer;
	unsigned peers;
	struct cv_conf_forward *forward;
	unsigned forwards;
	unsigned line; /* while parsing */
};

/**
 * cv_conf_parse() - Parse the text of a configuration file
 * @c:		initialised here, on failure cleared again
 * @diag:	filled in on failure
 *
 * Checks everything that needs no system: syntax, ranges, URLs, that names
 * are unique, that Via names a peer with an Endpoint, that keys or Plain are
 * there.
 *
 * Return: 0, CULVERT_ESYNTAX, CULVERT_EINVAL or CULVERT_ENOMEM
 */
int cv_conf_parse(struct cv_conf *c, const struct cv_env *env, const char *text,
	size_t len, struct culvert_diag *diag);

/** cv_conf_peers() - Add the peers of a PeersFile's text, as above */
int cv_conf_peers(struct cv_conf *c, const char *text, size_t len,
	struct culvert_diag *diag);

/** cv_conf_clear() - wipe keys, free everything */
void cv_conf_clear(struct cv_conf *c);

#endif
