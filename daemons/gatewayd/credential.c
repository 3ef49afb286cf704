/* Keys of merchant accounts in locked memory. Must never log or copy one anywhere else. */
#include "daemons/gatewayd/credential.h"

#include <assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct credential {
    char name[64];
    struct secret *key;
    struct credential *next;
};
static struct credential *credentials;
static char installed[4096]; /* {name,name}; "" = not looked yet */

/* A file's name that needs no quoting anywhere. */
static bool name_is_plain(const char *name)
{
    return name[strspn(
               name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")] == '\0';
}

/* Adds a name if there is room; an account whose name does not fit takes no payments. */
static void installed_add(const char *name)
{
    size_t used = strlen(installed) - 1; /* over the closing brace */
    if (name_is_plain(name) && used + strlen(name) + 3 <= sizeof installed) {
        snprintf(installed + used, sizeof installed - used, "%s%s}", used > 1 ? "," : "", name);
    }
}

const char *credentials_installed(void)
{
    if (installed[0] != '\0') {
        return installed;
    }
    snprintf(installed, sizeof installed, "{}");
    const char *path = secret_credential_folder();
    struct dirent **entries = NULL;
    int count = path ? scandir(path, &entries, NULL, alphasort) : 0;
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            installed_add(entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
    return installed;
}

void credentials_look_again(void)
{
    installed[0] = '\0';
}

struct error *credential_of(const char *processor, const char *account, const struct secret **out)
{
    char name[64];
    snprintf(name, sizeof name, "%s-%s", processor, account);
    if (!name_is_plain(name)) {
        return error_failed("credential_missing", "no credential can have that account's name");
    }
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
