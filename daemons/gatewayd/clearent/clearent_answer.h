/* Clearent's answer to a money request -> exactly one outcome. */
#ifndef DAEMONS_GATEWAYD_CLEARENT_CLEARENT_ANSWER_H
#define DAEMONS_GATEWAYD_CLEARENT_CLEARENT_ANSWER_H

#include "daemons/gatewayd/connector.h"

/* Total: any bytes give one outcome; APPROVED only for a complete, exact echo of our request. */
void clearent_parse_money(const struct money_request *request, const struct http_result *result,
                          struct money_outcome *out);

#endif
