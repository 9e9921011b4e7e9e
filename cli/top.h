/* SPDX-License-Identifier: MIT */
/* top.h - the parts of "culvert top": numbers, and a screen to put them on */
#ifndef TOP_H
#define TOP_H

#include "cli.h"

#include <stdio.h>
#include <termios.h>

enum { DROPS = 48, WORD = 64 };

enum field {
	UPTIME,
	FLOWS,
	UP,
	LINKS,
	RTT,
	SENT,
	SENT_BYTES,
	RECEIVED,
	RECEIVED_BYTES,
	FIELDS,
};

/** struct row - a node, or a peer of one */
struct row {
	char node[WORD], peer[WORD]; /* peer "": the node itself */
	double value[FIELDS];        /* NAN: it has none */
	struct {
		char reason[WORD];
		double count;
	} drop[DROPS];
	int drops;
};

/** struct rows - what was true at a time: nodes, each before its peers */
struct rows {
	struct row *row;
	size_t count;
	double at; /* seconds */
};

/** rows_read() - From the text of metrics; 0 or CULVERT_ENOMEM */
int rows_read(struct rows *, const char *text, double at);
void rows_free(struct rows *);

/** rows_find() - the row of the same node and peer, or NULL */
const struct row *rows_find(const struct rows *, const struct row *like);

/**
 * rate() - How fast a counter grows
 * @now:	what it is, @seconds after it was @then; less: it began anew
 */
double rate(double now, double then, double seconds);

enum event {
	EVENT_TIME, /* it is over */
	EVENT_SIZE, /* the window has another */
	EVENT_QUIT,
};

/** struct screen - a terminal that is given back as it was */
struct screen {
	struct termios before;
	int signals;
	bool keys; /* standard input is the terminal too */
	bool colour;
	int columns, lines; /* of the window */
	int used;           /* lines, of this picture */
	FILE *out;          /* ... as it is being composed */
	char *text;
	size_t len;
};

/** screen_open() - 0, or -1 and errno; screen_close() gives it back */
int screen_open(struct screen *);
void screen_close(struct screen *);

/** screen_begin() - a new picture; false: no memory */
bool screen_begin(struct screen *);

/** screen_line() - a line of it, cut at the window's edge
 * @style:	of ANSI X3.64, "" for none */
void screen_line(struct screen *, const char *style, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** screen_room() - how many more lines the window has */
int screen_room(const struct screen *);

/** screen_end() - show it; false: nobody is there any more */
bool screen_end(struct screen *);

/** screen_wait() - for @seconds, a key, a signal */
enum event screen_wait(struct screen *, double seconds);

#endif
