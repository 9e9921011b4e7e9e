/* SPDX-License-Identifier: MIT */
/* link_tcp.c - the link suite over TCP */
#include "conform/link_suite.h"

int main(int argc, char **argv)
{
	(void)argc;
	rig_start(argv);
	return link_suite(&link_tcp_fixture);
}
