/* A card typed by a person: on the terminal without echo, or as one line on standard input. */
#ifndef KOMETPAY_CARD_PROMPT_H
#define KOMETPAY_CARD_PROMPT_H

#include "ipc/message.h"
#include "lib/error.h"
#include "lib/secret.h"

/* From a terminal: asks field by field. Else one line "PAN MMYY [CVV] [postal code]"; a PAN may
 * hold spaces or dashes only on the terminal. *out is malloc'd and belongs into a message, which
 * frees it. Errors refused: card_line, card_number, card_expiry, card_cvv, card_postal_code. */
struct error *card_prompt_read(struct msg_typed_card **out) MUST_CHECK;
/* The same from a line already read (the text is wiped). For the one above and for tests. */
struct error *card_prompt_parse(char *line, struct msg_typed_card **out) MUST_CHECK;
/* Only a security code, for a stored card. Errors refused: card_cvv. */
struct error *card_prompt_cvv(struct secret **out) MUST_CHECK;

#endif
