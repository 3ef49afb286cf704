/* The resolver's rules (reliability: states and recovery). Must never conclude 'not charged' from
 * anything but a well-formed 'not found' after the horizon. */
#include "daemons/gatewayd/resolution.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LOOKUPS (LOOKUP_UNCLEAR + 1)

#define TO(state)                                                                                  \
    {                                                                                              \
        RESOLVE_TO, state                                                                          \
    }
#define LATER                                                                                      \
    {                                                                                              \
        RESOLVE_LATER, NULL                                                                        \
    }
#define ABSENT                                                                                     \
    {                                                                                              \
        RESOLVE_ABSENT, NULL                                                                       \
    }
#define REVERSE                                                                                    \
    {                                                                                              \
        RESOLVE_REVERSE, NULL                                                                      \
    }
#define SURPLUS                                                                                    \
    {                                                                                              \
        RESOLVE_SURPLUS, NULL                                                                      \
    }
#define ORIGINAL                                                                                   \
    {                                                                                              \
        RESOLVE_ORIGINAL, NULL                                                                     \
    }
#define WATCH                                                                                      \
    {                                                                                              \
        RESOLVE_WATCH, NULL                                                                        \
    }

struct rules {
    const char *state;
    bool known; /* of REVERSING: the transaction's id; of REVIEW: that it must not stand */
    struct resolution_rule found[LOOKUPS];
};

/* clang-format off */
static const struct rules SALE_RULES[] = {
    {"UNKNOWN", false, {
        [LOOKUP_APPROVED] = TO("APPROVED"), [LOOKUP_DECLINED] = TO("DECLINED"),
        [LOOKUP_REVERSED] = TO("REVERSED"), [LOOKUP_ABSENT] = ABSENT,
        [LOOKUP_PENDING] = LATER,           [LOOKUP_PARTIAL] = TO("REVERSING"),
        [LOOKUP_MISMATCH] = TO("REVIEW"),   [LOOKUP_SEVERAL] = SURPLUS,
        [LOOKUP_UNCLEAR] = LATER}},
    {"REVIEW", false, {
        [LOOKUP_APPROVED] = TO("APPROVED"), [LOOKUP_DECLINED] = TO("DECLINED"),
        [LOOKUP_REVERSED] = TO("REVERSED"), [LOOKUP_ABSENT] = ABSENT,
        [LOOKUP_PENDING] = LATER,           [LOOKUP_PARTIAL] = TO("REVERSING"),
        [LOOKUP_MISMATCH] = LATER,          [LOOKUP_SEVERAL] = SURPLUS,
        [LOOKUP_UNCLEAR] = LATER}},
    {"REVIEW", true, {
        [LOOKUP_APPROVED] = TO("REVERSING"), [LOOKUP_DECLINED] = TO("REVERSED"),
        [LOOKUP_REVERSED] = TO("REVERSED"),  [LOOKUP_ABSENT] = ABSENT,
        [LOOKUP_PENDING] = LATER,            [LOOKUP_PARTIAL] = TO("REVERSING"),
        [LOOKUP_MISMATCH] = TO("REVERSING"), [LOOKUP_SEVERAL] = TO("REVERSING"),
        [LOOKUP_UNCLEAR] = LATER}},
    {"REVERSING", false, {
        [LOOKUP_APPROVED] = REVERSE,        [LOOKUP_DECLINED] = TO("REVERSED"),
        [LOOKUP_REVERSED] = TO("REVERSED"), [LOOKUP_ABSENT] = ABSENT,
        [LOOKUP_PENDING] = LATER,           [LOOKUP_PARTIAL] = REVERSE,
        [LOOKUP_MISMATCH] = REVERSE,        [LOOKUP_SEVERAL] = REVERSE,
        [LOOKUP_UNCLEAR] = LATER}},
    /* known to be approved: no silence of the search takes that back */
    {"REVERSING", true, {
        [LOOKUP_APPROVED] = REVERSE,        [LOOKUP_DECLINED] = TO("REVERSED"),
        [LOOKUP_REVERSED] = TO("REVERSED"), [LOOKUP_ABSENT] = REVERSE,
        [LOOKUP_PENDING] = REVERSE,         [LOOKUP_PARTIAL] = REVERSE,
        [LOOKUP_MISMATCH] = REVERSE,        [LOOKUP_SEVERAL] = REVERSE,
        [LOOKUP_UNCLEAR] = REVERSE}},
    {"NOT_CHARGED", false, {
        [LOOKUP_APPROVED] = TO("REVERSING"), [LOOKUP_DECLINED] = WATCH,
        [LOOKUP_REVERSED] = WATCH,           [LOOKUP_ABSENT] = WATCH,
        [LOOKUP_PENDING] = WATCH,            [LOOKUP_PARTIAL] = TO("REVERSING"),
        [LOOKUP_MISMATCH] = TO("REVERSING"), [LOOKUP_SEVERAL] = TO("REVERSING"),
        [LOOKUP_UNCLEAR] = WATCH}},
};

/* A capture or a refund. */
static const struct rules MOVE_RULES[] = {
    {"UNKNOWN", false, {
        [LOOKUP_APPROVED] = TO("APPROVED"), [LOOKUP_DECLINED] = TO("DECLINED"),
        [LOOKUP_REVERSED] = TO("REVIEW"),   [LOOKUP_ABSENT] = ABSENT,
        [LOOKUP_PENDING] = LATER,           [LOOKUP_PARTIAL] = TO("REVIEW"),
        [LOOKUP_MISMATCH] = TO("REVIEW"),   [LOOKUP_SEVERAL] = TO("REVIEW"),
        [LOOKUP_UNCLEAR] = LATER}},
    {"REVIEW", false, {
        [LOOKUP_APPROVED] = TO("APPROVED"), [LOOKUP_DECLINED] = TO("DECLINED"),
        [LOOKUP_REVERSED] = LATER,          [LOOKUP_ABSENT] = ABSENT,
        [LOOKUP_PENDING] = LATER,           [LOOKUP_PARTIAL] = LATER,
        [LOOKUP_MISMATCH] = LATER,          [LOOKUP_SEVERAL] = LATER,
        [LOOKUP_UNCLEAR] = LATER}},
    {"NOT_CHARGED", false, {
        [LOOKUP_APPROVED] = TO("APPROVED"), [LOOKUP_DECLINED] = WATCH,
        [LOOKUP_REVERSED] = WATCH,          [LOOKUP_ABSENT] = WATCH,
        [LOOKUP_PENDING] = WATCH,           [LOOKUP_PARTIAL] = WATCH,
        [LOOKUP_MISMATCH] = WATCH,          [LOOKUP_SEVERAL] = WATCH,
        [LOOKUP_UNCLEAR] = WATCH}},
};

/* A void may be repeated without harm, so what counts is what became of its original. */
static const struct rules VOID_RULES[] = {
    {"UNKNOWN", false, {
        [LOOKUP_APPROVED] = TO("APPROVED"), [LOOKUP_DECLINED] = ORIGINAL,
        [LOOKUP_REVERSED] = ORIGINAL,       [LOOKUP_ABSENT] = ORIGINAL,
        [LOOKUP_PENDING] = LATER,           [LOOKUP_PARTIAL] = ORIGINAL,
        [LOOKUP_MISMATCH] = ORIGINAL,       [LOOKUP_SEVERAL] = TO("APPROVED"),
        [LOOKUP_UNCLEAR] = LATER}},
    {"REVIEW", false, {
        [LOOKUP_APPROVED] = TO("APPROVED"), [LOOKUP_DECLINED] = ORIGINAL,
        [LOOKUP_REVERSED] = ORIGINAL,       [LOOKUP_ABSENT] = ORIGINAL,
        [LOOKUP_PENDING] = LATER,           [LOOKUP_PARTIAL] = ORIGINAL,
        [LOOKUP_MISMATCH] = ORIGINAL,       [LOOKUP_SEVERAL] = TO("APPROVED"),
        [LOOKUP_UNCLEAR] = LATER}},
};

static const struct {
    const char *kind;
    const struct rules *rules;
    size_t count;
} KINDS[] = {
    {"SALE",    SALE_RULES, sizeof SALE_RULES / sizeof *SALE_RULES},
    {"AUTH",    SALE_RULES, sizeof SALE_RULES / sizeof *SALE_RULES},
    {"CAPTURE", MOVE_RULES, sizeof MOVE_RULES / sizeof *MOVE_RULES},
    {"REFUND",  MOVE_RULES, sizeof MOVE_RULES / sizeof *MOVE_RULES},
    {"VOID",    VOID_RULES, sizeof VOID_RULES / sizeof *VOID_RULES},
};
/* clang-format on */

struct resolution_rule resolution_of(const char *kind, const char *state,
                                     struct resolution_known known, enum lookup found)
{
    bool special = (known.id && strcmp(state, "REVERSING") == 0) ||
                   (known.must_not_stand && strcmp(state, "REVIEW") == 0);
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        for (size_t j = 0; strcmp(KINDS[i].kind, kind) == 0 && j < KINDS[i].count; j++) {
            const struct rules *rules = &KINDS[i].rules[j];
            if (strcmp(rules->state, state) == 0 && rules->known == special) {
                return rules->found[found];
            }
        }
    }
    assert(!"an attempt that is never looked up");
    abort();
}

int64_t resolution_delay_ms(int64_t asked)
{
    static const int64_t FIRST_MS[] = {2000, 5000, 15000, 60000};
    const int64_t first = (int64_t)(sizeof FIRST_MS / sizeof *FIRST_MS);
    const int64_t five_minutes_until = first + 12;
    assert(asked >= 0);
    if (asked < first) {
        return FIRST_MS[asked];
    }
    return asked < five_minutes_until ? 300000 : 3600000;
}

int64_t resolution_watch_ms(int64_t age_ms)
{
    static const struct {
        int64_t until_ms, after_ms;
    } WATCH_MS[] = {
        {3600000LL, 3600000LL},
        {6 * 3600000LL, 5 * 3600000LL},
        {24 * 3600000LL, 18 * 3600000LL},
        {90 * 24 * 3600000LL, 24 * 3600000LL},
    };
    for (size_t i = 0; i < sizeof WATCH_MS / sizeof *WATCH_MS; i++) {
        if (age_ms < WATCH_MS[i].until_ms) {
            return WATCH_MS[i].after_ms;
        }
    }
    return -1;
}
