/* POS clients from other hosts: TLS 1.3 over TCP, both sides with certificates. */
#ifndef TERMINALD_POS_TLS_H
#define TERMINALD_POS_TLS_H

#include "ipc/server.h"
#include "lib/error.h"
#include "lib/loop.h"

struct pos_tls; /* lives to the exit */

/* Accepts on `listen_fd` (taken) and hands each client whose certificate our client CA signed to
 * `server` (borrowed), all within `handshake_ms`; ends the connection when its certificate ends.
 * Certificate, key and CA are the credentials pos-tls-cert, pos-tls-key and pos-client-ca;
 * pos-client-crl, if it is there, lists the certificates that were withdrawn. Errors:
 * credential_missing, credential_unsafe_mode, tls_certificate, tls_key, tls_client_ca,
 * tls_client_crl. */
struct error *pos_tls_new(struct loop *loop, struct ipc_server *server, int listen_fd,
                          int64_t handshake_ms, struct pos_tls **out) MUST_CHECK;
void pos_tls_stop(struct pos_tls *tls); /* accepts no more; NULL is allowed */

#endif
