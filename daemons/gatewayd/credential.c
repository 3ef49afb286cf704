/* Keys of merchant accounts in locked memory. Must never log or copy one anywhere else. */
#include "daemons/gatewayd/credential.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct credential {
    char name[64];
    struct secret *key;
    struct credential *next;
};
static struct credential *credentials;

struct error *credential_of(const char *processor, const char *account, const struct secret **out)
{
    char name[64];
    snprintf(name, sizeof name, "%s-%s", processor, account);
    for (struct credential *c = credentials; c; c = c->next) {
        if (strcmp(c->name, name) == 0) {
            *out = c->key;
            return NULL;
        }
    }
    struct secret *key = NULL;
    struct error *e = secret_credential(name, &key);
    if (e) {
        return e;
    }
    struct credential *c = calloc(1, sizeof *c);
    assert(c);
    memcpy(c->name, name, sizeof name);
    c->key = key;
    c->next = credentials;
    credentials = c;
    *out = key;
    return NULL;
}

void credentials_forget(void)
{
    while (credentials) {
        struct credential *c = credentials;
        credentials = c->next;
        secret_free(c->key);
        free(c);
    }
}
