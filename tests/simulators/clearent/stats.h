/* Counters for GET /_sim/stats. They are of this run only; the ledger is what lasts. */
#ifndef CLEARENT_SIM_STATS_H
#define CLEARENT_SIM_STATS_H

#include <stdint.h>

#include "operation.h"

struct stats {
    uint64_t requests[OP_COUNT];
    uint64_t connections; /* accepted */
    uint64_t handshakes;  /* finished */
    uint64_t resumed;     /* of these, by session ticket */
    uint64_t faults;      /* requests and connections that met one */
};

extern struct stats stats;

#endif
