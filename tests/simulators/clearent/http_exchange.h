/* One connection: TLS, HTTP/1.1 requests in order, answers delivered well or, by a fault, badly.
 * An answer whose execution isn't in the ledger yet is held until exchange_release. */
#ifndef CLEARENT_SIM_HTTP_EXCHANGE_H
#define CLEARENT_SIM_HTTP_EXCHANGE_H

#include <event2/event.h>
#include <event2/util.h>
#include <openssl/ssl.h>

/* Takes an accepted, non-blocking socket. */
void exchange_accept(struct event_base *base, SSL_CTX *tls, evutil_socket_t socket);
/* Delivers what was held; to be called after ledger_save. */
void exchange_release(void);

#endif
