/* kometpay pay: takes a payment through terminald. Must never take a card number as an argument,
 * and never send before the key is known to whoever must ask later. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/kometpay/card_prompt.h"
#include "daemons/kometpay/command.h"
#include "daemons/kometpay/payment_report.h"
#include "daemons/kometpay/suite.h"
#include "lib/money.h"

static const struct option_row OPTIONS[] = {
    {"location", OPTION_REQUIRED, "CODE", "the location that takes the payment"},
    {"amount", OPTION_REQUIRED, "AMOUNT", "such as 80.00"},
    {"currency", OPTION_TEXT, "CODE", "USD unless given"},
    {"customer", OPTION_TEXT, "NUMBER", "the customer's number in the ERP"},
    {"invoice", OPTION_LIST, "NUMBER=AMOUNT", "part of it that pays this invoice; may be repeated"},
    {"oldest-first", OPTION_FLAG, NULL,
     "instead of --invoice: pay the customer's open invoices, the oldest first"},
    {"card-stdin", OPTION_FLAG, NULL,
     "the card on standard input, PAN MMYY [CVV] [postal code]; a terminal is asked without echo"},
    {"token", OPTION_TEXT, "TOKEN", "a stored card instead"},
    {"cvv-stdin", OPTION_FLAG, NULL, "with --token: the security code on standard input"},
    {"save", OPTION_FLAG, NULL, "keep the typed card in the vault for the customer"},
    {"auth", OPTION_FLAG, NULL, "only authorise; capture it later"},
    {"key", OPTION_TEXT, "KEY", "idempotency key; made and printed first unless given"},
    {"description", OPTION_TEXT, "TEXT", "for the transaction log"},
    OPTION_JSON,
    OPTION_END,
};

static struct error *parse_amount(const char *text, const char *currency, const char *field,
                                  int64_t *minor)
{
    struct money money;
    struct error *e = money_parse(text, strlen(text), currency, &money);
    if (e == NULL && money.minor <= 0) {
        e = error_refused("amount_out_of_range", field, "The amount must be more than zero.");
    }
    if (e == NULL) {
        *minor = money.minor;
    }
    return e;
}

/* "INV-7=25.00" */
static struct error *add_invoice(struct msg_pay *pay, const char *text)
{
    const char *equals = strrchr(text, '=');
    size_t n = equals != NULL ? (size_t)(equals - text) : 0;
    struct msg_invoice_part *part = message_list_add(MESSAGE_PAY, pay, "invoices");
    if (part == NULL) {
        return error_refused("too_many_invoices", "invoice", "At most 500 invoices.");
    }
    if (n == 0 || n >= sizeof part->invoice) {
        return error_refused("invoice_part", "invoice",
                             "--invoice takes NUMBER=AMOUNT, such as INV-7=25.00.");
    }
    memcpy(part->invoice, text, n);
    part->invoice[n] = '\0';
    return parse_amount(equals + 1, pay->currency, "invoice", &part->amount_minor);
}

static struct error *check_card_choice(const struct options *o)
{
    bool typed = options_given(o, "card-stdin");
    bool stored = options_given(o, "token");
    if (typed == stored) {
        return error_refused(typed ? "card_ambiguous" : "card_missing", "card-stdin",
                             "Give either --card-stdin or --token.");
    }
    if (!stored && options_given(o, "cvv-stdin")) {
        return error_refused("card_ambiguous", "cvv-stdin",
                             "--cvv-stdin goes with --token; a typed card carries its own code.");
    }
    return NULL;
}

static struct error *fill_texts(struct msg_pay *pay, const struct options *o)
{
    const char *currency = options_text(o, "currency");
    struct error *e = option_copy_text(currency != NULL ? currency : "USD", "currency",
                                       pay->currency, sizeof pay->currency);
    if (e == NULL) {
        e = options_copy(o, "location", pay->location, sizeof pay->location);
    }
    if (e == NULL) {
        e = options_copy(o, "customer", pay->customer, sizeof pay->customer);
    }
    if (e == NULL) {
        e = options_copy(o, "token", pay->token, sizeof pay->token);
    }
    if (e == NULL) {
        e = options_copy(o, "description", pay->description, sizeof pay->description);
    }
    return e;
}

static struct error *fill(struct msg_pay *pay, const struct options *o)
{
    pay->kind = options_given(o, "auth") ? PAY_KIND_AUTH : PAY_KIND_SALE;
    pay->save = options_given(o, "save");
    pay->oldest_first = options_given(o, "oldest-first");
    struct error *e = check_card_choice(o);
    if (e == NULL) {
        e = fill_texts(pay, o);
    }
    if (e == NULL) {
        e = parse_amount(options_text(o, "amount"), pay->currency, "amount", &pay->amount_minor);
    }
    for (size_t i = 0; e == NULL && i < options_list_count(o, "invoice"); i++) {
        e = add_invoice(pay, options_list_at(o, "invoice", i));
    }
    if (e == NULL && options_given(o, "card-stdin")) {
        e = card_prompt_read(&pay->card);
    } else if (e == NULL && options_given(o, "cvv-stdin")) {
        e = card_prompt_cvv(&pay->cvv);
    }
    return e != NULL ? e : payment_key(o, pay->key);
}

static enum exit_code run(const struct options *o)
{
    bool json = options_given(o, "json");
    struct msg_pay *pay = message_new(MESSAGE_PAY);
    struct msg_payment_answer *answer = NULL;
    void *got = NULL;
    struct error *e = fill(pay, o);
    if (e == NULL) {
        e = suite_call("terminald", MESSAGE_PAY, pay, SUITE_PAYMENT_WAIT_MS, MESSAGE_PAYMENT_ANSWER,
                       &got);
        answer = got;
    }
    enum exit_code exit =
        e != NULL ? suite_error(e, json) : payment_report(answer, pay->key, pay->location, json);
    message_free(MESSAGE_PAYMENT_ANSWER, answer);
    message_free(MESSAGE_PAY, pay);
    return exit;
}

const struct command COMMAND_PAY = {
    .name = "pay",
    .summary = "take a payment, typed or with a stored card",
    .words = "",
    .options = OPTIONS,
    .examples =
        "  kometpay pay --location MIA --amount 80.00 --card-stdin\n"
        "  kometpay pay --location MIA --amount 80.00 --customer 1001 \\\n"
        "      --invoice INV-7=50.00 --invoice INV-8=30.00 --card-stdin --save\n"
        "  kometpay pay --location MIA --amount 80.00 --customer 1001 --oldest-first --card-stdin\n"
        "  kometpay pay --location MIA --amount 12.50 --customer 1001 --token tok_... --auth\n",
    .cards = true,
    .run = run,
};
