/* A pay: the card to vaultd, the rest with the card's handle to gatewayd. */
#ifndef TERMINALD_POS_PAY_H
#define TERMINALD_POS_PAY_H

#include "ipc/server.h"

/* Handler of ipc_service; `context` is the struct terminald. */
ipc_handler pos_pay;

/* The request's own sense, before anybody is asked: one of card and token, the card's number in no
 * text that is kept in clear, the split adds up.
 * Errors refused: card_missing, card_ambiguous, card_number_in_text, split_mismatch. */
struct error *pos_pay_check(const struct msg_pay *pay) MUST_CHECK;

#endif
