/* Who a TLS client is, by the subject of its certificate: OU is the location's code, CN the POS's
 * name. Decides nothing about trust: the chain was verified before. */
#ifndef TERMINALD_POS_CERTIFICATE_H
#define TERMINALD_POS_CERTIFICATE_H

#include <openssl/x509.h>

#include <stdint.h>

#include "lib/error.h"

#define POS_LOCATION_MAX_BYTES 20u
#define POS_NAME_MAX_BYTES 40u
/* A client of the UNIX socket that doesn't name itself; no certificate may claim it, or the two
 * would share the scope of their keys. */
#define POS_OF_UNIX_SOCKET "local"

struct pos_identity {
    char location[POS_LOCATION_MAX_BYTES + 1];
    char pos[POS_NAME_MAX_BYTES + 1];
};

/* Exactly one OU and one CN, of printable ASCII without '/', which separates them in the scope of
 * a key. Errors refused: certificate_location, certificate_pos. */
struct error *pos_certificate_read(X509 *certificate, struct pos_identity *out) MUST_CHECK;
/* When it is no longer valid, in milliseconds since 1970 UTC; 0 if that can't be read. */
int64_t pos_certificate_ends_wall_ms(const X509 *certificate);

#endif
