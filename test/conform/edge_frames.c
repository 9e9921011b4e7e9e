/* SPDX-License-Identifier: MIT */
/* edge_frames.c - the edge suite for UDP ports behind a foreign framing */
#include "conform/edge_suite.h"

int main(int argc, char **argv)
{
	(void)argc;
	rig_start(argv);
	return edge_suite(&edge_frames_fixture);
}
