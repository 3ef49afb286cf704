/* Clearent's search answers: what became of our ref, and of a transaction that one of ours
 * follows. */
#ifndef DAEMONS_GATEWAYD_CLEARENT_CLEARENT_LOOKUP_H
#define DAEMONS_GATEWAYD_CLEARENT_CLEARENT_LOOKUP_H

#include "daemons/gatewayd/connector.h"

/* Total. ABSENT only for a well-formed 'not found' of a search by ref (steps 0 and 1): the search
 * by card (step 2) can find, but its silence proves nothing. */
void clearent_parse_lookup(const struct lookup_request *request, const struct http_result *result,
                           struct lookup_outcome *out);
void clearent_parse_original(const struct original_request *request,
                             const struct http_result *result, struct original_outcome *out);

#endif
