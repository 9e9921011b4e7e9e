/* SPDX-License-Identifier: MIT */
/* edge_udp.c - the edge suite for UDP ports and UDP targets */
#include "conform/edge_suite.h"

int main(int argc, char **argv)
{
	(void)argc;
	rig_start(argv);
	return edge_suite(&edge_udp_fixture);
}
