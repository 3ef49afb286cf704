/* The gateway terminals: one api-key is one terminal of one merchant.
 * A key is never printed; ledger and control API name an account by terminal and fingerprint. */
#ifndef CLEARENT_SIM_ACCOUNT_H
#define CLEARENT_SIM_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

struct account {
    char *api_key;
    char *terminal;
    char *merchant;
    char fingerprint[24]; /* sha256:<first 16 hex digits of the key's hash> */
    uint32_t open_batch;  /* batch number, 0 when none is open */
    uint32_t number;      /* its place in the file, from 0 */
};

/* Reads lines 'api-key terminal-id merchant-id'; says on stderr what is wrong and returns false. */
bool account_load(const char *path);
/* NULL when unknown. Borrowed for the life of the program. */
struct account *account_by_key(const char *api_key);
struct account *account_by_terminal(const char *terminal);
struct account *account_at(uint32_t number);
uint32_t account_count(void);
/* The same terminal, or the same merchant when `merchant_level` is set. */
bool account_shares(uint32_t a, uint32_t b, bool merchant_level);

#endif
