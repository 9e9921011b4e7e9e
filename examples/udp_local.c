/* SPDX-License-Identifier: MIT */
/**
 * udp_local.c - the near end of UDP over TCP, as a program of its own
 *
 *	udp_local PORT SERVER:PORT TARGET:PORT
 *
 * Datagrams that programs send to the local UDP port come out at the target,
 * behind the server (udp_server.c), and answers come back.  Either end may go
 * down and come back at any time: the node dials until the other is there, and
 * a new session is made.
 *
 * Plain for brevity: with keys add PrivateKeyFile, and PublicKey to the peer.
 */
#include <culvert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static culvert *node;

/* both may be called from signal handlers, and from other threads */
static void on_signal(int number)
{
	(void)number;
	culvert_stop(node);
}

static void say(void *user, enum culvert_log_level level, const char *line)
{
	(void)user;
	(void)level;
	fprintf(stderr, "%s\n", line);
}

int main(int argc, char **argv)
{
	struct culvert_options options = { .size = sizeof options, .log = say };
	struct culvert_diag diag;
	char conf[1000];
	if (argc != 4) {
		fputs("udp_local PORT SERVER:PORT TARGET:PORT\n", stderr);
		return 2;
	}
	snprintf(conf, sizeof conf,
		"[Node]\nPlain = yes\n"
		"[Peer server]\nEndpoint = tcp://%s\n"
		"[Forward local]\nFrom = udp://127.0.0.1:%s\nTo = udp://%s\n"
		"Via = server\n",
		argv[2], argv[1], argv[3]);
	if (culvert_new(&node, conf, strlen(conf), &options, &diag)) {
		fprintf(stderr, "udp_local: %s\n", diag.text);
		return 1;
	}
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	int err = culvert_run(node);
	culvert_free(node);
	return err != 0;
}
