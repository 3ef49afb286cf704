/* kometpay capture, void, refund, cancel: acts on a payment, through terminald. Must never send
 * without a key that the user has seen. */
#include <stdio.h>
#include <string.h>

#include "daemons/kometpay/command.h"
#include "daemons/kometpay/payment_report.h"
#include "daemons/kometpay/suite.h"
#include "lib/money.h"

#define LOCATION_ROW                                                                               \
    {                                                                                              \
        "location", OPTION_TEXT, "CODE", "the location whose key this is; the same to ask for it"  \
    }
#define KEY_ROW                                                                                    \
    {                                                                                              \
        "key", OPTION_TEXT, "KEY", "idempotency key; made and printed first unless given"          \
    }

static const struct option_row AMOUNT_OPTIONS[] = {
    {"amount", OPTION_TEXT, "AMOUNT", "less than all of it"},
    {"currency", OPTION_TEXT, "CODE", "of the amount; USD unless given"},
    LOCATION_ROW,
    KEY_ROW,
    OPTION_JSON,
    OPTION_END,
};

static const struct option_row VOID_OPTIONS[] = {LOCATION_ROW, KEY_ROW, OPTION_JSON, OPTION_END};

static const struct option_row CANCEL_OPTIONS[] = {
    {"location", OPTION_REQUIRED, "CODE", "the location that began the payment"},
    OPTION_JSON,
    OPTION_END,
};

/* Amount 0 = all. */
static struct error *parse_amount(const struct options *o, int64_t *minor)
{
    const char *text = options_text(o, "amount");
    const char *currency = options_text(o, "currency");
    *minor = 0;
    if (text == NULL) {
        return NULL;
    }
    struct money money;
    struct error *e = money_parse(text, strlen(text), currency != NULL ? currency : "USD", &money);
    if (e != NULL) {
        return e;
    }
    if (money.minor <= 0) {
        return error_refused("amount_out_of_range", "amount", "The amount must be more than zero.");
    }
    *minor = money.minor;
    return NULL;
}

/* Sends and reports; takes `e`, which says that the message could not be made. */
static enum exit_code act(struct error *e, enum message_type type, const void *message,
                          const char *key, const struct options *o)
{
    bool json = options_given(o, "json");
    void *got = NULL;
    if (e == NULL) {
        e = suite_call("terminald", type, message, SUITE_PAYMENT_WAIT_MS, MESSAGE_PAYMENT_ANSWER,
                       &got);
    }
    if (e != NULL) {
        return suite_error(e, json);
    }
    enum exit_code exit = payment_report(got, key, options_text(o, "location"), json);
    message_free(MESSAGE_PAYMENT_ANSWER, got);
    return exit;
}

static enum exit_code run_capture(const struct options *o)
{
    struct msg_capture m = {0};
    struct error *e = option_copy_text(options_word(o, 0), "PAYMENT", m.payment, sizeof m.payment);
    e = e != NULL ? e : options_copy(o, "location", m.location, sizeof m.location);
    e = e != NULL ? e : parse_amount(o, &m.amount_minor);
    e = e != NULL ? e : payment_key(o, m.key);
    return act(e, MESSAGE_CAPTURE, &m, m.key, o);
}

static enum exit_code run_refund(const struct options *o)
{
    struct msg_refund m = {0};
    struct error *e = option_copy_text(options_word(o, 0), "PAYMENT", m.payment, sizeof m.payment);
    e = e != NULL ? e : options_copy(o, "location", m.location, sizeof m.location);
    e = e != NULL ? e : parse_amount(o, &m.amount_minor);
    e = e != NULL ? e : payment_key(o, m.key);
    return act(e, MESSAGE_REFUND, &m, m.key, o);
}

static enum exit_code run_void(const struct options *o)
{
    struct msg_void m = {0};
    struct error *e = option_copy_text(options_word(o, 0), "PAYMENT", m.payment, sizeof m.payment);
    e = e != NULL ? e : options_copy(o, "location", m.location, sizeof m.location);
    e = e != NULL ? e : payment_key(o, m.key);
    return act(e, MESSAGE_VOID, &m, m.key, o);
}

/* A cancel is good when the payment ends, or has ended, without a charge. */
static enum exit_code exit_of_cancel(const struct msg_payment_answer *answer, enum exit_code exit,
                                     bool json)
{
    switch (answer->outcome) {
    case PAYMENT_ANSWER_OUTCOME_APPROVED:
        if (!json) {
            printf("Too late to cancel. To undo it: kometpay void %s, or refund once its batch is "
                   "closed.\n",
                   answer->payment);
        }
        return EXIT_CODE_REFUSED;
    case PAYMENT_ANSWER_OUTCOME_DECLINED:
    case PAYMENT_ANSWER_OUTCOME_NOT_CHARGED:
        return EXIT_CODE_OK;
    case PAYMENT_ANSWER_OUTCOME_PENDING:
    case PAYMENT_ANSWER_OUTCOME_CANCEL_ACCEPTED:
    case PAYMENT_ANSWER_OUTCOME_REVIEW:
        return exit;
    }
    return exit;
}

static enum exit_code run_cancel(const struct options *o)
{
    bool json = options_given(o, "json");
    struct msg_cancel m = {0};
    void *got = NULL;
    struct error *e = option_copy_text(options_word(o, 0), "KEY", m.key, sizeof m.key);
    e = e != NULL ? e : options_copy(o, "location", m.location, sizeof m.location);
    if (e == NULL) {
        e = suite_call("terminald", MESSAGE_CANCEL, &m, SUITE_PAYMENT_WAIT_MS,
                       MESSAGE_PAYMENT_ANSWER, &got);
    }
    if (e != NULL) {
        return suite_error(e, json);
    }
    enum exit_code exit = payment_report(got, m.key, m.location, json);
    exit = exit_of_cancel(got, exit, json);
    message_free(MESSAGE_PAYMENT_ANSWER, got);
    return exit;
}

const struct command COMMAND_CAPTURE = {
    .name = "capture",
    .summary = "capture an authorised payment, all of it or less",
    .words = "PAYMENT",
    .words_min = 1,
    .words_max = 1,
    .options = AMOUNT_OPTIONS,
    .examples = "  kometpay capture pay_...\n"
                "  kometpay capture pay_... --amount 60.00\n",
    .run = run_capture,
};

const struct command COMMAND_VOID = {
    .name = "void",
    .summary = "void an approved payment while its batch is open",
    .words = "PAYMENT",
    .words_min = 1,
    .words_max = 1,
    .options = VOID_OPTIONS,
    .examples = "  kometpay void pay_...\n",
    .run = run_void,
};

const struct command COMMAND_REFUND = {
    .name = "refund",
    .summary = "refund an approved payment, all of it or a part",
    .words = "PAYMENT",
    .words_min = 1,
    .words_max = 1,
    .options = AMOUNT_OPTIONS,
    .examples = "  kometpay refund pay_...\n"
                "  kometpay refund pay_... --amount 12.50\n",
    .run = run_refund,
};

const struct command COMMAND_CANCEL = {
    .name = "cancel",
    .summary = "cancel a payment whose outcome isn't known yet, by its key",
    .words = "KEY",
    .words_min = 1,
    .words_max = 1,
    .options = CANCEL_OPTIONS,
    .examples = "  kometpay cancel 0FZ4K2M8... --location MIA\n",
    .run = run_cancel,
};
