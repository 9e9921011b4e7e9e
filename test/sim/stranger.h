/* SPDX-License-Identifier: MIT */
/* stranger.h - connections of somebody who means no good */
#ifndef SIM_STRANGER_H
#define SIM_STRANGER_H

#include "sim/net.h"

/** stranger_comes() - connect to the server and say something odd */
void stranger_comes(struct world *);

/** stranger_has_two_ids() - two sessions on one connection, plain mode */
void stranger_has_two_ids(struct world *);

/** stranger_floods() - more handshakes in a second than the server likes */
void stranger_floods(struct world *);

/** stranger_tapes() - records that pass by, to be said again later */
void stranger_tapes(struct end *, const uint8_t *p, uint32_t len);

/** stranger_hears(), stranger_free() - the net's side of it */
void stranger_hears(struct end *, const uint8_t *p, size_t n);
void stranger_free(struct end *);

#endif
