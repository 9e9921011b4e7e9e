/* SPDX-License-Identifier: MIT */
/*
 * top_screen.c - a terminal, taken and given back
 *
 * DOC: Signals are read like keys, so that whatever ends the program finds
 * the terminal as it was.
 */
#include "top.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* another page, nothing wraps, no cursor; and back */
#define TAKE "\033[?1049h\033[?7l\033[?25l"
#define GIVE "\033[?25h\033[?7h\033[?1049l"

static bool say(const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, text, len);
		if (n < 0 && errno != EINTR)
			return false;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return true;
}

static void measure(struct screen *s)
{
	struct winsize w = { .ws_col = 0 };
	bool known = !ioctl(STDOUT_FILENO, TIOCGWINSZ, &w);
	s->columns = known && w.ws_col ? w.ws_col : 80;
	s->lines = known && w.ws_row ? w.ws_row : 24;
}

static void take(struct screen *s)
{
	struct termios raw = s->before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (s->keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	say(TAKE, strlen(TAKE));
	measure(s);
}

static void give(struct screen *s)
{
	say(GIVE, strlen(GIVE));
	if (s->keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &s->before);
}

int screen_open(struct screen *s)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT,
		SIGTSTP, SIGWINCH };
	const char *no_color = getenv("NO_COLOR");
	sigset_t set;
	*s = (struct screen){ .colour = !no_color || !*no_color };
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (s->signals < 0)
		return -1;
	s->keys = !tcgetattr(STDIN_FILENO, &s->before);
	take(s);
	return 0;
}

void screen_close(struct screen *s)
{
	give(s);
	close(s->signals);
}

bool screen_begin(struct screen *s)
{
	s->used = 0;
	s->out = open_memstream(&s->text, &s->len);
	if (s->out)
		fputs("\033[H", s->out);
	return s->out != NULL;
}

int screen_room(const struct screen *s)
{
	return s->lines - s->used;
}

void screen_line(struct screen *s, const char *style, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	if (screen_room(s) < 1)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	for (char *p = line; *p; p++)
		*p = (unsigned char)*p < ' ' || *p == 0x7f ? '?' : *p;
	bool styled = s->colour && *style;
	fprintf(s->out, "%s%s%s%.*s%s\033[K", s->used++ ? "\r\n" : "",
		styled ? "\033[" : "", styled ? style : "", s->columns, line,
		styled ? "\033[m" : "");
}

bool screen_end(struct screen *s)
{
	fputs("\033[J", s->out);
	bool ok = !fclose(s->out) && say(s->text, s->len);
	free(s->text);
	s->text = NULL;
	return ok;
}

/* as if Ctrl-Z had done it, but for the terminal */
static void sleep_and_wake(struct screen *s)
{
	give(s);
	raise(SIGSTOP);
	take(s);
}

static enum event on_signal(struct screen *s)
{
	struct signalfd_siginfo info;
	if (read(s->signals, &info, sizeof info) != sizeof info)
		return EVENT_QUIT;
	if (info.ssi_signo == SIGTSTP)
		sleep_and_wake(s);
	else if (info.ssi_signo == SIGWINCH)
		measure(s);
	else
		return EVENT_QUIT;
	return EVENT_SIZE;
}

static bool quits(void)
{
	char key[64];
	ssize_t n = read(STDIN_FILENO, key, sizeof key);
	return n <= 0 || memchr(key, 'q', (size_t)n) ||
	       memchr(key, 'Q', (size_t)n);
}

enum event screen_wait(struct screen *s, double seconds)
{
	struct pollfd p[] = {
		{ .fd = s->signals, .events = POLLIN },
		{ .fd = s->keys ? STDIN_FILENO : -1, .events = POLLIN },
	};
	if (poll(p, 2, (int)ceil(fmax(seconds, 0) * 1e3)) < 0)
		return errno == EINTR ? EVENT_SIZE : EVENT_QUIT;
	if (p[0].revents)
		return on_signal(s);
	if (p[1].revents)
		return quits() ? EVENT_QUIT : EVENT_SIZE;
	return EVENT_TIME;
}
