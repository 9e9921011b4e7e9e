/* SPDX-License-Identifier: MIT */
/* conf_keys.h - between conf.c and conf_keys.c: what a file may say */
#ifndef CV_CONF_KEYS_H
#define CV_CONF_KEYS_H

#include "core/conf.h"

enum cv_conf_section {
	CV_CONF_NODE,
	CV_CONF_SERVE,
	CV_CONF_PEER,
	CV_CONF_FORWARD,
	CV_CONF_SECTIONS,
	CV_CONF_NONE = CV_CONF_SECTIONS, /* before the first one */
};

/**
 * struct cv_conf_key - one key of one section
 * @set:	take a value; 0 or a negative enum culvert_err with *@why set
 * @repeats:	may be given more than once
 * @secret:	its value is printed nowhere
 */
struct cv_conf_key {
	enum cv_conf_section section;
	const char *name;
	int (*set)(struct cv_conf *, const char *value, const char **why);
	bool repeats;
	bool secret;
};

/** cv_conf_section_name() - as it stands in the brackets */
const char *cv_conf_section_name(enum cv_conf_section);

/** cv_conf_key_at() - key @i of all sections, or NULL behind the last */
const struct cv_conf_key *cv_conf_key_at(size_t i);

/** cv_conf_fail() - write @diag, which may be NULL; returns @err */
int cv_conf_fail(struct culvert_diag *diag, int err, unsigned line,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/** cv_conf_grow() - room for one more item behind @used; NULL: no memory */
void *cv_conf_grow(struct cv_conf *, void *items, unsigned used, size_t size);

/* conf_url.c: whether a URL is one that can stand in that place, with options
   that are known there */
int cv_conf_url_listen(const struct cv_conf_text *, struct culvert_diag *);
int cv_conf_url_endpoint(const struct cv_conf_text *, struct culvert_diag *);
int cv_conf_url_via(const struct cv_conf_text *, struct culvert_diag *);
int cv_conf_url_from(const struct cv_conf_text *, struct culvert_diag *);
int cv_conf_url_to(const struct cv_conf_text *, struct culvert_diag *);
int cv_conf_url_metrics(const struct cv_conf_text *, struct culvert_diag *);

/** cv_conf_check() - everything that takes more than one line to see */
int cv_conf_check(struct cv_conf *, struct culvert_diag *);

/** cv_conf_check_peers() - names and keys of peers from @from on */
int cv_conf_check_peers(struct cv_conf *, unsigned from, struct culvert_diag *);

#endif
