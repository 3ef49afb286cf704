/* The processors' keys, from systemd credentials named PROCESSOR-ACCOUNT. */
#ifndef GATEWAYD_CREDENTIAL_H
#define GATEWAYD_CREDENTIAL_H

#include "lib/error.h"
#include "lib/secret.h"

/* The key of a merchant account, read once and kept in locked memory; borrowed, never freed by the
 * caller. Errors: credential_missing, credential_unsafe_mode. */
struct error *credential_of(const char *processor, const char *account,
                            const struct secret **out) MUST_CHECK;
/* The names of the installed keys as an array of PostgreSQL's, such as {clearent-main}. The folder
 * is read at the first call and after credentials_look_again. */
const char *credentials_installed(void);
void credentials_look_again(void);
void credentials_forget(void); /* wipes all */

#endif
