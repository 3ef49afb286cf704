/* Reads location and POS name from a client certificate's subject. Must never guess: a subject
 * with two OUs, or a name cut short by a NUL, names nobody. */
#include "daemons/terminald/pos_certificate.h"

#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/objects.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

static bool name_is_plain(const unsigned char *text, int n)
{
    for (int i = 0; i < n; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e || text[i] == '/') {
            return false;
        }
    }
    return n > 0 && text[0] != ' ' && text[n - 1] != ' ';
}

/* The only entry `nid` of the subject as text into out[max + 1]; false if it is missing, there
 * twice, too long or not plain. */
static bool subject_entry(const X509_NAME *subject, int nid, char *out, size_t max)
{
    int at = X509_NAME_get_index_by_NID(subject, nid, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, nid, at) >= 0) {
        return false;
    }
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    unsigned char *text = NULL;
    int n = ASN1_STRING_to_UTF8(&text, value);
    bool good = n > 0 && (size_t)n <= max && name_is_plain(text, n);
    if (good) {
        memcpy(out, text, (size_t)n);
        out[n] = '\0';
    }
    OPENSSL_free(text);
    return good;
}

struct error *pos_certificate_read(X509 *certificate, struct pos_identity *out)
{
    memset(out, 0, sizeof *out);
    const X509_NAME *subject = X509_get_subject_name(certificate);
    if (!subject_entry(subject, NID_organizationalUnitName, out->location,
                       POS_LOCATION_MAX_BYTES)) {
        return error_refused("certificate_location", "OU",
                             "The certificate's subject must have exactly one OU: the code of the "
                             "location.");
    }
    if (!subject_entry(subject, NID_commonName, out->pos, POS_NAME_MAX_BYTES) ||
        strcmp(out->pos, POS_OF_UNIX_SOCKET) == 0) {
        return error_refused("certificate_pos", "CN",
                             "The certificate's subject must have exactly one CN: the name of the "
                             "POS, which is not '" POS_OF_UNIX_SOCKET "'.");
    }
    return NULL;
}

int64_t pos_certificate_ends_wall_ms(const X509 *certificate)
{
    struct tm day;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &day) != 1) {
        return 0;
    }
    return ((int64_t)timegm(&day) + 1) * 1000; /* valid throughout its last second */
}
