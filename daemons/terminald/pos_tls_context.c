/* Certificate, key, client CAs and their revocation lists from credentials into an SSL_CTX. Must
 * never accept a client without a certificate of our CA, nor a TLS older than 1.3, nor take a
 * bundle that is damaged or too long for a shorter one. */
#include "daemons/terminald/pos_tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>

#include "lib/secret.h"

/* A chain is the server's certificate and a few intermediates, never more. */
#define CHAIN_MAX 4
/* CAs of POS clients: the present one, the next one, and those of a few sites. */
#define CLIENT_CA_MAX 16
#define CRL_CREDENTIAL "pos-client-crl"

static struct error *credential_open(const char *name, BIO **out, struct secret **bytes)
{
    struct error *e = secret_credential(name, bytes);
    if (e != NULL) {
        return e;
    }
    *out = BIO_new_mem_buf(secret_expose(*bytes), (int)secret_size(*bytes));
    return *out != NULL ? NULL : error_failed("tls_memory", "Out of memory.");
}

/* After a read that gave nothing: did the PEM text end, or is the next block broken? */
static bool pem_ended(void)
{
    const unsigned long why = ERR_peek_last_error();
    const bool ended =
        ERR_GET_LIB(why) == ERR_LIB_PEM && ERR_GET_REASON(why) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return ended;
}

/* Gives each certificate of the text to `take`, which owns it. False unless all were read and
 * taken, and they were at most `count_max`; *count is how many. */
static bool each_certificate(SSL_CTX *context, BIO *pem, int count_max,
                             bool (*take)(SSL_CTX *, X509 *), int *count)
{
    for (*count = 0;; ++*count) {
        X509 *certificate = PEM_read_bio_X509(pem, NULL, NULL, NULL);
        if (certificate == NULL) {
            return pem_ended();
        }
        if (*count == count_max) {
            X509_free(certificate);
            return false;
        }
        if (!take(context, certificate)) {
            return false;
        }
    }
}

static bool chain_add(SSL_CTX *context, X509 *intermediate)
{
    if (SSL_CTX_add0_chain_cert(context, intermediate) != 1) {
        X509_free(intermediate);
        return false;
    }
    return true;
}

static bool certificate_use(SSL_CTX *context, BIO *pem)
{
    X509 *leaf = PEM_read_bio_X509(pem, NULL, NULL, NULL);
    bool good = leaf != NULL && SSL_CTX_use_certificate(context, leaf) == 1;
    X509_free(leaf);
    int count = 0;
    return good && each_certificate(context, pem, CHAIN_MAX, chain_add, &count);
}

static bool key_use(SSL_CTX *context, BIO *pem)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(pem, NULL, NULL, NULL);
    bool good = key != NULL && SSL_CTX_use_PrivateKey(context, key) == 1 &&
                SSL_CTX_check_private_key(context) == 1;
    EVP_PKEY_free(key);
    return good;
}

static bool client_ca_add(SSL_CTX *context, X509 *ca)
{
    bool good = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca) == 1 &&
                SSL_CTX_add_client_CA(context, ca) == 1;
    X509_free(ca);
    return good;
}

static bool client_ca_use(SSL_CTX *context, BIO *pem)
{
    int count = 0;
    return each_certificate(context, pem, CLIENT_CA_MAX, client_ca_add, &count) && count > 0;
}

/* One list a CA. With any of them a client whose CA has none, or an outdated one, is refused:
 * nobody can say that its certificate was not withdrawn. */
static bool client_crl_use(SSL_CTX *context, BIO *pem)
{
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    for (int count = 0;; count++) {
        X509_CRL *crl = PEM_read_bio_X509_CRL(pem, NULL, NULL, NULL);
        if (crl == NULL) {
            return pem_ended() && count > 0 &&
                   X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) == 1;
        }
        bool good = count < CLIENT_CA_MAX && X509_STORE_add_crl(store, crl) == 1;
        X509_CRL_free(crl);
        if (!good) {
            return false;
        }
    }
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

static struct error *credentials_use(SSL_CTX *context)
{
    struct error *e = credential_use(context, "pos-tls-cert", certificate_use, "tls_certificate");
    if (e == NULL) {
        e = credential_use(context, "pos-tls-key", key_use, "tls_key");
    }
    if (e == NULL) {
        e = credential_use(context, "pos-client-ca", client_ca_use, "tls_client_ca");
    }
    if (e == NULL && secret_credential_given(CRL_CREDENTIAL)) {
        e = credential_use(context, CRL_CREDENTIAL, client_crl_use, "tls_client_crl");
    }
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
    /* No resumption: every connection shows its certificate, so that a withdrawn one counts. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_num_tickets(context, 0);
    /* A record is opened where it was read, and that buffer is kept for the next one: it would hold
     * the last card for as long as the POS stays connected. */
    SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT);

    struct error *e = credentials_use(context);
    if (e != NULL) {
        SSL_CTX_free(context);
        return e;
    }
    *out = context;
    return NULL;
}
