/* Calls to the suite's daemons, and how their answers and errors are shown. */
#ifndef KOMETPAY_SUITE_H
#define KOMETPAY_SUITE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemons/kometpay/command.h"
#include "ipc/message.h"
#include "lib/error.h"

#define SUITE_WAIT_MS 20000         /* a question */
#define SUITE_PAYMENT_WAIT_MS 60000 /* an act on money: terminald says PENDING before */
#define SUITE_CLOSE_WAIT_MS 600000  /* a day's close reads the processor's whole report */

/* One request to $KOMETPAY_RUN_DIR/DAEMON.sock. The caller owns *answer, which is of type `expect`
 * (message_free). Errors: what the daemon said; ipc_unreachable, ipc_lost, ipc_timeout. */
struct error *suite_call(const char *daemon, enum message_type type, const void *message,
                         int64_t wait_ms, enum message_type expect, void **answer) MUST_CHECK;
/* True when the request may have been executed although no answer came. */
bool suite_outcome_open(const struct error *e);
/* Says the error on stderr and what to do next (as an object on stdout with --json); returns its
 * exit code. Takes `e` (not NULL). */
enum exit_code suite_error(struct error *e, bool json);
/* The answer as one line of JSON on stdout; secrets never show. */
void suite_print_json(enum message_type type, const void *answer);
/* Lists come in pages: appends the answer's rows to `all`, and prints them as {"rows": [...]}
 * (taking `all`), with {"next": ...} if there may be more (else NULL). */
void suite_collect_rows(json_t *all, enum message_type type, const void *answer);
void suite_print_rows(json_t *all, const char *next);

#endif
