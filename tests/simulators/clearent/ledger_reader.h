/* Takes ledger lines back into rows, batches and clock when the simulator starts again.
 * It must never write. */
#ifndef CLEARENT_SIM_LEDGER_READER_H
#define CLEARENT_SIM_LEDGER_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One line with its newline, which must carry number `n`; false when it isn't one of ours. */
bool ledger_line_take(const char *line, size_t size, uint64_t n);

#endif
