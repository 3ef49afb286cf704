/* The TLS parameters of the POS listener, made from credentials. */
#ifndef TERMINALD_POS_TLS_CONTEXT_H
#define TERMINALD_POS_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "lib/error.h"

/* TLS 1.3 only, client certificate required, and not withdrawn if the credential pos-client-crl is
 * there. The caller owns *out (SSL_CTX_free). Errors: those of
 * secret_credential, tls_certificate, tls_key, tls_client_ca, tls_client_crl. */
struct error *pos_tls_context_new(SSL_CTX **out) MUST_CHECK;

#endif
