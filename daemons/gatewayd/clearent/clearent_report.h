/* Clearent's batches and day lists. */
#ifndef DAEMONS_GATEWAYD_CLEARENT_CLEARENT_REPORT_H
#define DAEMONS_GATEWAYD_CLEARENT_CLEARENT_REPORT_H

#include "daemons/gatewayd/connector.h"

/* The answer of an open-batch query or of a close. Total. */
void clearent_parse_batch(const struct batch_request *request, const struct http_result *result,
                          struct batch_outcome *out);
/* One page of batches; the one whose id is request->batch. Total. */
void clearent_parse_batches(const struct batch_request *request, const struct http_result *result,
                            struct batch_outcome *out);
/* One page of transactions. Errors: list_unclear. */
struct error *clearent_parse_list(const struct list_request *request,
                                  const struct http_result *result,
                                  struct processor_list *out) MUST_CHECK;

#endif
