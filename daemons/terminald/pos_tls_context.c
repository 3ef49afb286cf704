/* Certificate, key and client CA from credentials into an SSL_CTX. Must never accept a client
 * without a certificate of our CA, nor a TLS older than 1.3. */
#include "daemons/terminald/pos_tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>

#include "lib/secret.h"

/* A chain is the server's certificate and a few intermediates, never more. */
#define CHAIN_MAX 4

static struct error *credential_open(const char *name, BIO **out, struct secret **bytes)
{
    struct error *e = secret_credential(name, bytes);
    if (e != NULL) {
        return e;
    }
    *out = BIO_new_mem_buf(secret_expose(*bytes), (int)secret_size(*bytes));
    return *out != NULL ? NULL : error_failed("tls_memory", "Out of memory.");
}

static bool certificate_use(SSL_CTX *context, BIO *pem)
{
    X509 *leaf = PEM_read_bio_X509(pem, NULL, NULL, NULL);
    bool good = leaf != NULL && SSL_CTX_use_certificate(context, leaf) == 1;
    X509_free(leaf);
    for (int i = 0; good && i < CHAIN_MAX; i++) {
        X509 *next = PEM_read_bio_X509(pem, NULL, NULL, NULL);
        if (next == NULL) {
            break;
        }
        good = SSL_CTX_add0_chain_cert(context, next) == 1;
    }
    ERR_clear_error(); /* the end of the PEM text */
    return good;
}

static bool key_use(SSL_CTX *context, BIO *pem)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(pem, NULL, NULL, NULL);
    bool good = key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1 &&
                SSL_CTX_check_private_key(context) == 1;
    EVP_PKEY_free(key);
    return good;
}

static bool client_ca_use(SSL_CTX *context, BIO *pem)
{
    int count = 0;
    for (; count < CHAIN_MAX; count++) {
        X509 *ca = PEM_read_bio_X509(pem, NULL, NULL, NULL);
        if (ca == NULL) {
            break;
        }
        bool good = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca) == 1 &&
                    SSL_CTX_add_client_CA(context, ca) == 1;
        X509_free(ca);
        if (!good) {
            return false;
        }
    }
    ERR_clear_error();
    return count > 0;
}

static struct error *credential_use(SSL_CTX *context, const char *name,
                                    bool (*use)(SSL_CTX *, BIO *), const char *code)
{
    BIO *pem = NULL;
    struct secret *bytes = NULL;
    struct error *e = credential_open(name, &pem, &bytes);
    if (e == NULL && !use(context, pem)) {
        e = error_failed(code, "The credential %s can't be used.", name);
    }
    ERR_clear_error();
    BIO_free(pem);
    secret_free(bytes);
    return e;
}

struct error *pos_tls_context_new(SSL_CTX **out)
{
    *out = NULL;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1) {
        SSL_CTX_free(context);
        return error_failed("tls_memory", "TLS can't be set up.");
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    /* No resumption: every connection shows its certificate, so that a withdrawn CA counts. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_num_tickets(context, 0);
    /* A record is opened where it was read, and that buffer is kept for the next one: it would hold
     * the last card for as long as the POS stays connected. */
    SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT);

    struct error *e = credential_use(context, "pos-tls-cert", certificate_use, "tls_certificate");
    if (e == NULL) {
        e = credential_use(context, "pos-tls-key", key_use, "tls_key");
    }
    if (e == NULL) {
        e = credential_use(context, "pos-client-ca", client_ca_use, "tls_client_ca");
    }
    if (e != NULL) {
        SSL_CTX_free(context);
        return e;
    }
    *out = context;
    return NULL;
}
