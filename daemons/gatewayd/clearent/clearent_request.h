/* Builds Clearent's requests. Card numbers and keys go into struct secret only; every buffer that
 * held one is wiped. Must never put a secret into a URL. */
#ifndef DAEMONS_GATEWAYD_CLEARENT_CLEARENT_REQUEST_H
#define DAEMONS_GATEWAYD_CLEARENT_CLEARENT_REQUEST_H

#include "daemons/gatewayd/connector.h"

#define CLEARENT_PAGE_SIZE 100

/* See struct connector. Errors of all: credential_invalid, base_url_invalid, url_too_long,
 * secret_memory_full; of build_money also currency_unsupported, amount_out_of_range,
 * field_invalid. */
struct error *clearent_build_money(const struct money_request *request,
                                   struct http_request **out) MUST_CHECK;
struct error *clearent_build_lookup(const struct lookup_request *request,
                                    struct http_request **out) MUST_CHECK;
struct error *clearent_build_original(const struct original_request *request,
                                      struct http_request **out) MUST_CHECK;
struct error *clearent_build_open_batch(const struct batch_request *request,
                                        struct http_request **out) MUST_CHECK;
struct error *clearent_build_close_batch(const struct batch_request *request,
                                         struct http_request **out) MUST_CHECK;
struct error *clearent_build_batches(const struct batch_request *request,
                                     struct http_request **out) MUST_CHECK;
struct error *clearent_build_list(const struct list_request *request,
                                  struct http_request **out) MUST_CHECK;

/* Clearent's word for an operation: "SALE". */
const char *clearent_type(enum connector_operation operation);

#endif
