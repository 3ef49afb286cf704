/* Holds: typed cards and CVVs between the clerk's keyboard and the one reveal to gatewayd. Bounded
 * in number and time; nothing of a hold survives its end, a crash or a restart. */
#ifndef VAULTD_HOLD_H
#define VAULTD_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/vaultd/card.h"
#include "lib/error.h"
#include "lib/id.h"
#include "lib/loop.h"
#include "lib/secret.h"

struct holds; /* opaque */

/* What is held: a typed card, or a stored card's token with a CVV. */
struct hold {
    struct secret *pan;    /* NULL with a token */
    struct secret *cvv;    /* may be NULL */
    struct card_face face; /* empty with a token */
    char token[ID_MAX];    /* "" for a typed card */
    char save_for[41];     /* the customer for whom its reveal stores it; "" = it isn't stored */
    char holder[61], street[61], postal_code[13];
};

/* At most `count_max` holds of `life_ms` each (boot clock, so that suspended time counts), wiped by
 * a timer of `loop`; without a loop (NULL) by the next call. */
struct holds *holds_new(struct loop *loop, size_t count_max, int64_t life_ms);
void holds_free(struct holds *holds); /* wipes all; NULL is allowed */
/* Takes what `hold` owns, in any case, and wipes `hold`. Writes the reference ("hold_...") by which
 * it is asked for. Errors: busy (full). */
struct error *holds_take(struct holds *holds, struct hold *hold, char ref[ID_MAX]) MUST_CHECK;
/* Borrowed until the next call with these holds; NULL if unknown, released, revealed or expired. */
const struct hold *holds_find(struct holds *holds, const char *ref);
/* Moves a hold out for its reveal; the caller ends it with hold_wipe. False as for holds_find. */
bool holds_remove(struct holds *holds, const char *ref, struct hold *out);
/* Including what has expired and is not yet wiped. */
size_t holds_count(const struct holds *holds);
bool holds_full(struct holds *holds);
void hold_wipe(struct hold *hold);

#endif
