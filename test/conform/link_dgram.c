/* SPDX-License-Identifier: MIT */
/* link_dgram.c - the link suite over UDP */
#include "conform/link_suite.h"

int main(int argc, char **argv)
{
	(void)argc;
	rig_start(argv);
	return link_suite(&link_udp_fixture);
}
