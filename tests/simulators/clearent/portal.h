/* What somebody does by hand in the processor's portal, past our own suite.
 * It executes like a request would, but no duplicate shield applies to a hand. */
#ifndef CLEARENT_SIM_PORTAL_H
#define CLEARENT_SIM_PORTAL_H

#include <jansson.h>

#include "text.h"

/* {op: sale, terminal, amount, ref?, last_four?} | {op: capture|void|refund, id, amount?} |
 * {op: batch_close, terminal}. NULL when done, else a sentence (static). */
const char *portal_act(json_t *act, struct text *out);

#endif
