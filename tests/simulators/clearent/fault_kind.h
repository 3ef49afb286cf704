/* The table of faults by name: effect, phase, operations, whether the truth happens. */
#ifndef CLEARENT_SIM_FAULT_KIND_H
#define CLEARENT_SIM_FAULT_KIND_H

#include "fault.h"

enum fault_truth { EXECUTED, NOT_EXECUTED, ALWAYS_EXECUTED, NEVER_EXECUTED };

struct fault_kind {
    const char *name;
    enum fault_effect effect;
    enum fault_phase phase;
    unsigned operations; /* bit mask */
    enum fault_truth truth;
    unsigned code;
    int http;
    int64_t delay_ms; /* when the rule names no seconds */
};

/* NULL when unknown. 'code:NNN' is found under 'code:'. */
const struct fault_kind *fault_kind_by_name(const char *name);

#endif
