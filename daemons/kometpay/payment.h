/* The question what became of a payment, for two commands that ask it. */
#ifndef KOMETPAY_PAYMENT_H
#define KOMETPAY_PAYMENT_H

#include "daemons/kometpay/command.h"

/* By the first word: a key (with --location), or a payment. */
enum exit_code payment_ask(const struct options *options);

#endif
