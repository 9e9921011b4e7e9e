/* SPDX-License-Identifier: MIT */
/* fault.h - what goes wrong, and when */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "sim/world.h"

/** fault_draw() - a seed's configuration, and which faults it has */
void fault_draw(struct world *);

/** fault_begin(), fault_end() - the phase with faults */
void fault_begin(struct world *);
void fault_end(struct world *);

/** fault_off - faults that are never drawn, by --without */
extern bool fault_off[FAULT_N];

#endif
