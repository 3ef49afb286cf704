/* The processors' keys, from systemd credentials named PROCESSOR-ACCOUNT. */
#ifndef GATEWAYD_CREDENTIAL_H
#define GATEWAYD_CREDENTIAL_H

#include "lib/error.h"
#include "lib/secret.h"

/* The key of a merchant account, read once and kept in locked memory; borrowed, never freed by the
 * caller. Errors: credential_missing, credential_unsafe_mode. */
struct error *credential_of(const char *processor, const char *account,
                            const struct secret **out) MUST_CHECK;
void credentials_forget(void); /* wipes all */

#endif
