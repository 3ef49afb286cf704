/* The table of decline classes. A lost or stolen card reads as a plain decline: the sentence must
 * never put a clerk in danger. */
#include "daemons/gatewayd/decline.h"

#include <stddef.h>
#include <string.h>

#define PLAIN_DECLINE "The bank declined this card. Ask for another card."

static const struct decline declines[] = {
    /* The bank said no. */
    {"NO_FUNDS",
     "There is not enough money on this card, or it is over its limit. "
     "Ask for another card.",
     DECLINE_RETRY_OTHER_DAY},
    {"DECLINED", "The bank said no. The customer may call the bank, or use another card.",
     DECLINE_RETRY_ONCE},
    {"DECLINED_HARD", "The bank said no. The customer may call the bank, or use another card.",
     DECLINE_RETRY_NEVER},
    {"CALL", "The bank wants a call before it approves. Ask for another card.",
     DECLINE_RETRY_BY_HAND},
    {"EXPIRED", "The card has expired. Take the new date, or another card.",
     DECLINE_RETRY_CORRECTED},
    {"BAD_NUMBER", "The card number is wrong. Type it again.", DECLINE_RETRY_CORRECTED},
    {"BAD_CVV", "The security code is wrong. Type it again.", DECLINE_RETRY_CORRECTED},
    {"BAD_ADDRESS", "The address or zip code does not match the card. Correct it and try again.",
     DECLINE_RETRY_CORRECTED},
    {"PICKUP", PLAIN_DECLINE, DECLINE_RETRY_BLOCK_TOKEN},
    {"INACTIVE", "This card can't be used here. Ask for another card.", DECLINE_RETRY_NEVER},
    {"TOO_OFTEN", "This card was tried too often. Wait until tomorrow, or use another card.",
     DECLINE_RETRY_NEXT_DAY},
    {"AUTH_NEEDED", "The bank wants the customer to confirm. Send a payment link.",
     DECLINE_RETRY_LINK},
    {"ISSUER_DOWN", "The customer's bank can't be reached. Try again shortly.", DECLINE_RETRY_HOUR},
    {"STOP", "The customer withdrew the permission for this payment.", DECLINE_RETRY_STOP},
    {"PARTIAL",
     "The card covers only part of the amount, so nothing was taken. "
     "Ask for another card.",
     DECLINE_RETRY_OTHER_DAY},
    /* The processor did not execute it. */
    {"FIELD", "The processor did not accept this request. Nothing was taken.",
     DECLINE_RETRY_BY_HAND},
    {"SETUP",
     "The processor account of this location is not set up for this. "
     "Nothing was taken. Call the manager.",
     DECLINE_RETRY_BY_HAND},
    {"KEY",
     "The processor refused the key of this location. Nothing was taken. "
     "Call the manager.",
     DECLINE_RETRY_BY_HAND},
    {"ALREADY_REVERSED", "This payment has been voided already.", DECLINE_RETRY_NEVER},
    {"ABOVE_REFUNDABLE", "This is more than what can still be refunded.", DECLINE_RETRY_NEVER},
    {"ORIGINAL_UNKNOWN", "The processor doesn't find the original payment. Nothing was changed.",
     DECLINE_RETRY_BY_HAND},
    {"NO_BATCH", "The processor has no open batch for this. Nothing was changed.",
     DECLINE_RETRY_BY_HAND},
    {"BATCH_CLOSED", "The batch of this payment is closed already. Refund it instead.",
     DECLINE_RETRY_NEVER},
    /* It was not sent. */
    {"UNREACHABLE", "The processor can't be reached. The card was not charged. Try again shortly.",
     DECLINE_RETRY_HOUR},
    {"DEADLINE", "There was no time left to send it. The card was not charged. Try again.",
     DECLINE_RETRY_HOUR},
    {"CARD_GONE", "The card was not at hand any more and was not charged. Type it again.",
     DECLINE_RETRY_CORRECTED},
};

const struct decline *decline_find(const char *name)
{
    if (name == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof declines / sizeof declines[0]; i++) {
        if (strcmp(declines[i].name, name) == 0) {
            return &declines[i];
        }
    }
    return NULL;
}

const char *decline_sentence(const char *name)
{
    const struct decline *decline = decline_find(name);
    return decline != NULL ? decline->sentence : PLAIN_DECLINE;
}

enum decline_retry decline_retry(const char *name)
{
    const struct decline *decline = decline_find(name);
    return decline != NULL ? decline->retry : DECLINE_RETRY_NEVER;
}
