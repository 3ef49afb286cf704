/* The gateway terminals: one api-key is one terminal of one merchant.
 * It must never print a key. */
#include "account.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct account *accounts;
static uint32_t accounts_count;

static char *copy(const char *string)
{
    char *made = strdup(string);

    if (made == NULL) {
        abort();
    }
    return made;
}

static void account_add(const char *key, const char *terminal, const char *merchant)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    struct account *account;
    size_t used;

    accounts = realloc(accounts, (accounts_count + 1) * sizeof *accounts);
    if (accounts == NULL) {
        abort();
    }
    account = &accounts[accounts_count];
    *account = (struct account){.number = accounts_count,
                                .api_key = copy(key),
                                .terminal = copy(terminal),
                                .merchant = copy(merchant)};
    SHA256((const unsigned char *)key, strlen(key), hash);
    used = (size_t)snprintf(account->fingerprint, sizeof account->fingerprint, "sha256:");
    for (size_t i = 0; i < 8; i++) {
        snprintf(account->fingerprint + used + 2 * i, 3, "%02x", hash[i]);
    }
    accounts_count++;
}

bool account_load(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[512];
    int number = 0;
    bool good = true;

    if (file == NULL) {
        fprintf(stderr, "clearent-sim: cannot read the accounts file %s\n", path);
        return false;
    }
    while (good && fgets(line, sizeof line, file) != NULL) {
        char key[160], terminal[64], merchant[64], more[8];
        int words = sscanf(line, "%159s %63s %63s %7s", key, terminal, merchant, more);

        number++;
        if (words <= 0 || line[0] == '#') {
            continue;
        }
        good = words == 3 && account_by_key(key) == NULL && account_by_terminal(terminal) == NULL;
        if (good) {
            account_add(key, terminal, merchant);
        } else {
            fprintf(stderr,
                    "clearent-sim: %s line %d: wanted 'api-key terminal-id merchant-id', "
                    "key and terminal once only\n",
                    path, number);
        }
    }
    fclose(file);
    if (good && accounts_count == 0) {
        fprintf(stderr, "clearent-sim: %s holds no account\n", path);
        return false;
    }
    return good;
}

struct account *account_by_key(const char *api_key)
{
    for (uint32_t i = 0; i < accounts_count; i++) {
        if (strcmp(accounts[i].api_key, api_key) == 0) {
            return &accounts[i];
        }
    }
    return NULL;
}

struct account *account_by_terminal(const char *terminal)
{
    for (uint32_t i = 0; i < accounts_count; i++) {
        if (strcmp(accounts[i].terminal, terminal) == 0) {
            return &accounts[i];
        }
    }
    return NULL;
}

struct account *account_at(uint32_t number)
{
    assert(number < accounts_count);
    return &accounts[number];
}

uint32_t account_count(void)
{
    return accounts_count;
}

bool account_shares(uint32_t a, uint32_t b, bool merchant_level)
{
    if (a == b) {
        return true;
    }
    return merchant_level && strcmp(account_at(a)->merchant, account_at(b)->merchant) == 0;
}
