/* How a payment_answer is shown, and what the caller's exit code says of it. */
#ifndef KOMETPAY_PAYMENT_REPORT_H
#define KOMETPAY_PAYMENT_REPORT_H

#include <stdbool.h>

#include "daemons/kometpay/command.h"
#include "ipc/message.h"

/* `key` and `location` (may be NULL) are for the advice what to type next. */
enum exit_code payment_report(const struct msg_payment_answer *answer, const char *key,
                              const char *location, bool json);
/* "80.00" of minor units, or the bare number for a currency unknown here; buffer of MONEY_TEXT_MAX
 * bytes; returns the buffer. */
char *amount_text(int64_t minor, const char *currency, char *buffer);

/* A key as given, or a new one, which is printed on stderr before anything is sent. `out` has 65
 * bytes. Errors refused: option_too_long, key_too_short. */
struct error *payment_key(const struct options *options, char *out) MUST_CHECK;

#endif
