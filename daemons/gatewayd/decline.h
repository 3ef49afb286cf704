/* Why a payment was refused, in one vocabulary for all processors: the class, what the clerk reads
 * and whether it may be tried again. Must never tell a clerk that a card is lost or stolen. */
#ifndef DAEMONS_GATEWAYD_DECLINE_H
#define DAEMONS_GATEWAYD_DECLINE_H

enum decline_retry {
    DECLINE_RETRY_OTHER_DAY,   /* soft: stored cards on another day */
    DECLINE_RETRY_ONCE,        /* soft once, other amount or day */
    DECLINE_RETRY_NEXT_DAY,    /* too many tries today */
    DECLINE_RETRY_HOUR,        /* soft, after an hour */
    DECLINE_RETRY_CORRECTED,   /* only with corrected data, at most three times */
    DECLINE_RETRY_BY_HAND,     /* never by itself; a clerk may */
    DECLINE_RETRY_NEVER,       /* hard */
    DECLINE_RETRY_BLOCK_TOKEN, /* hard, and the stored card is blocked */
    DECLINE_RETRY_STOP,        /* hard, and the agreement is removed */
    DECLINE_RETRY_LINK,        /* with a payment link only */
};

struct decline {
    const char *name;     /* stable: money_outcome.reason, payment.attempt.reason */
    const char *sentence; /* for the clerk */
    enum decline_retry retry;
};

/* The class of that name, NULL if there is none. */
const struct decline *decline_find(const char *name);
/* The sentence of that class; an unknown class reads as a plain decline. Never NULL. */
const char *decline_sentence(const char *name);
/* What automatic retries may do; an unknown class is never tried again. */
enum decline_retry decline_retry(const char *name);

#endif
