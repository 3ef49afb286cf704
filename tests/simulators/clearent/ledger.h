/* The truth of what was executed: an append-only file of JSON lines, written before any answer.
 * It must never hold a card number, a security code or an api-key in clear. */
#ifndef CLEARENT_SIM_LEDGER_H
#define CLEARENT_SIM_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "batch.h"
#include "row.h"
#include "text.h"

/* Reads the file into rows and batches and goes on behind it. A torn last line (never answered)
 * is cut off. Says what is wrong on stderr and returns false. */
bool ledger_open(const char *path, bool sync);

/* `by` says who executed: api, late, portal or gateway. Declined rows are lines as well, marked. */
void ledger_row(uint32_t place, const char *by);
void ledger_batch_close(const struct batch *batch, const char *by);
void ledger_clock(int64_t ahead_us, int64_t rate_permille);
void ledger_hide(uint32_t place);
void ledger_alter(uint32_t place, int64_t minor);

/* True while lines wait for ledger_save. */
bool ledger_unsaved(void);
/* Writes and, unless told otherwise at open, syncs; stops the program when that fails. */
void ledger_save(void);
/* Number of the last line. */
uint64_t ledger_last(void);
/* Adds to `out` the executed lines after number `since` (all kinds if `all`), of one reference if
 * `ref` isn't NULL, comma separated. */
void ledger_read(struct text *out, uint64_t since, bool all, const char *ref);

/* The confirmation code of a closed batch: eight digits. */
void batch_confirmation(const struct batch *batch, char out[12]);

#endif
