/* What the portal of the real processor would set, plus which of its undocumented faces we show.
 * Set by the control API; not kept over a restart. */
#ifndef CLEARENT_SIM_SETTINGS_H
#define CLEARENT_SIM_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum duplicate_criterion {
    DUPLICATE_LAST_FOUR,
    DUPLICATE_INCLUDE_INVOICE,
    DUPLICATE_INVOICE_INSTEAD_OF_CARD
};

enum not_found_shape { NOT_FOUND_EMPTY_LIST, NOT_FOUND_204, NOT_FOUND_404 };

struct settings {
    bool duplicates_enabled;
    int duplicates_criterion; /* enum duplicate_criterion */
    int duplicates_minutes;   /* 1-60 */
    bool duplicates_merchant_level;
    bool duplicates_respond_with_error;
    int duplicates_code; /* 32 or 45 */
    bool duplicates_declined_block;
    bool duplicates_follow_ups_collide; /* capture, refund: their invoice counts too */

    bool sandbox_amounts;
    bool unmatched_refund;
    bool void_amount_required;
    int void_closed_code; /* answered when a batch no longer holds the transaction open */
    int auth_life_days;
    bool count_auths; /* in sales-count of a batch, never in its total */

    bool numbers_variant; /* code and links[].id as numbers, 'Approved', '0000' */
    bool decline_as_transaction;
    bool card_as_mask;
    int not_found; /* enum not_found_shape */
    bool no_batch_204;
    int created_offset_minutes;

    int search_lag_ms; /* simulated */
    int page_base;     /* 0 or 1 */
    int page_size;
    int close_pending_seconds; /* simulated time a closed batch stays PENDING */
    int auto_close_minute;     /* of the UTC day, -1 off */
};

extern struct settings settings;

/* Takes any subset of the names; NULL when good, else a sentence (static) and nothing is changed.
 */
const char *settings_change(json_t *object);
/* Owned by the caller. */
json_t *settings_show(void);

#endif
