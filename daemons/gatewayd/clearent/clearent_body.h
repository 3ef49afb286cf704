/* Writes the JSON body of a money request straight into locked memory. Must never leave a card
 * number or security code in memory that is not wiped. */
#ifndef DAEMONS_GATEWAYD_CLEARENT_CLEARENT_BODY_H
#define DAEMONS_GATEWAYD_CLEARENT_CLEARENT_BODY_H

#include "daemons/gatewayd/connector.h"

/* The caller owns *out. Errors: currency_unsupported, amount_out_of_range, field_invalid (REFUSED,
 * with the field), secret_memory_full (FAILED). */
struct error *clearent_body_new(const struct money_request *request,
                                struct secret **out) MUST_CHECK;

#endif
