/* kometpay payment: what became of a payment, by its key or its own id. */
#include "daemons/kometpay/payment.h"

#include "daemons/kometpay/payment_report.h"
#include "daemons/kometpay/suite.h"
#include "lib/id.h"

static const struct option_row OPTIONS[] = {
    {"location", OPTION_TEXT, "CODE", "with a key: the location it was used at"},
    OPTION_JSON,
    OPTION_END,
};

enum exit_code payment_ask(const struct options *o)
{
    bool json = options_given(o, "json");
    const char *word = options_word(o, 0);
    struct msg_payment_status m = {0};
    struct error *e = id_valid("pay_", word)
                          ? option_copy_text(word, "PAYMENT", m.payment, sizeof m.payment)
                          : option_copy_text(word, "KEY", m.key, sizeof m.key);
    e = e != NULL ? e : options_copy(o, "location", m.location, sizeof m.location);
    void *got = NULL;
    if (e == NULL) {
        e = suite_call("terminald", MESSAGE_PAYMENT_STATUS, &m, SUITE_WAIT_MS,
                       MESSAGE_PAYMENT_ANSWER, &got);
    }
    if (e != NULL) {
        return suite_error(e, json);
    }
    enum exit_code exit = payment_report(got, word, options_text(o, "location"), json);
    message_free(MESSAGE_PAYMENT_ANSWER, got);
    return exit;
}

const struct command COMMAND_PAYMENT = {
    .name = "payment",
    .summary = "what became of a payment, by its key or its id",
    .words = "KEY|PAYMENT",
    .words_min = 1,
    .words_max = 1,
    .options = OPTIONS,
    .examples = "  kometpay payment 0FZ4K2M8... --location MIA\n"
                "  kometpay payment pay_...\n",
    .run = payment_ask,
};
