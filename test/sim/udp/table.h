/* SPDX-License-Identifier: MIT */
/* table.h - times of transfers that are not to change by chance */
#ifndef SIM_UDP_TABLE_H
#define SIM_UDP_TABLE_H

#include <stdbool.h>

/** table_check() - every case takes as long as is written down, about */
bool table_check(void);

#endif
