/* Shows what became of a payment and what to do next. Must never let PENDING look like a failure
 * that invites a second charge. */
#include "daemons/kometpay/payment_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemons/kometpay/suite.h"
#include "daemons/kometpay/table.h"
#include "lib/id.h"
#include "lib/money.h"

#define KEY_MIN_BYTES 8u
#define KEY_MAX_BYTES 64u

char *amount_text(int64_t minor, const char *currency, char *buffer)
{
    struct money money = {.minor = minor};
    snprintf(money.currency, sizeof money.currency, "%s", currency);
    if (money_exponent(money.currency) < 0) {
        snprintf(buffer, MONEY_TEXT_MAX, "%" PRId64, minor);
        return buffer;
    }
    return money_format(money, buffer);
}

static void line(const char *name, const char *text)
{
    if (text[0] != '\0') {
        printf("  %-15s %s\n", name, text);
    }
}

static void amount_line(const char *name, int64_t minor, const char *currency)
{
    if (minor != 0) {
        char amount[MONEY_TEXT_MAX];
        printf("  %-15s %s %s\n", name, amount_text(minor, currency, amount), currency);
    }
}

static enum exit_code exit_of(enum payment_answer_outcome outcome)
{
    switch (outcome) {
    case PAYMENT_ANSWER_OUTCOME_APPROVED:
    case PAYMENT_ANSWER_OUTCOME_CANCEL_ACCEPTED:
        return EXIT_CODE_OK;
    case PAYMENT_ANSWER_OUTCOME_DECLINED:
    case PAYMENT_ANSWER_OUTCOME_NOT_CHARGED:
        return EXIT_CODE_DECLINED;
    case PAYMENT_ANSWER_OUTCOME_PENDING:
        return EXIT_CODE_PENDING;
    case PAYMENT_ANSWER_OUTCOME_REVIEW:
        return EXIT_CODE_REVIEW;
    }
    return EXIT_CODE_REVIEW; /* an outcome that this version doesn't know */
}

/* A sale is asked for by the payment's id; what was done to it later only by its own key. */
static void print_how_to_ask(const struct msg_payment_answer *answer, const char *key,
                             const char *location)
{
    bool sale =
        answer->kind == PAYMENT_ANSWER_KIND_SALE || answer->kind == PAYMENT_ANSWER_KIND_AUTH;
    const char *word = sale && answer->payment[0] != '\0' ? answer->payment : key;
    printf("Ask again in a moment: kometpay payment %s%s%s\n", word,
           location != NULL ? " --location " : "", location != NULL ? location : "");
}

/* What a clerk must know before doing it again; by kind. */
struct advice {
    const char *pending, *declined, *not_charged;
};

static const struct advice *advice_of(enum payment_answer_kind kind)
{
    static const struct advice sale = {
        "The card may be charged: paying again with a new key could charge it twice.",
        "Another card may be tried, with a new key.",
        "The card is not charged. It may be tried again, with a new key."};
    static const struct advice capture = {
        "It may be captured. Don't use a new key before you know.",
        "It is not captured. If the authorisation has expired, take a new payment.",
        "It is not captured. It may be tried again, with a new key."};
    static const struct advice undo = {
        "It may be voided. Don't use a new key before you know.",
        "It is not voided. Once its batch is closed, refund it instead.",
        "It is not voided. It may be tried again, with a new key."};
    static const struct advice refund = {
        "The money may be on its way back: a new key could refund it twice.",
        "Nothing was refunded. While its batch is open, void it instead.",
        "Nothing was refunded. It may be tried again, with a new key."};
    switch (kind) {
    case PAYMENT_ANSWER_KIND_SALE:
    case PAYMENT_ANSWER_KIND_AUTH:
        return &sale;
    case PAYMENT_ANSWER_KIND_CAPTURE:
        return &capture;
    case PAYMENT_ANSWER_KIND_VOID:
        return &undo;
    case PAYMENT_ANSWER_KIND_REFUND:
        return &refund;
    }
    return &sale;
}

static void advise(const struct msg_payment_answer *answer, const char *key, const char *location)
{
    const struct advice *advice = advice_of(answer->kind);
    switch (answer->outcome) {
    case PAYMENT_ANSWER_OUTCOME_PENDING:
        puts(advice->pending);
        print_how_to_ask(answer, key, location);
        break;
    case PAYMENT_ANSWER_OUTCOME_CANCEL_ACCEPTED:
        puts("It will end reversed or not charged, never approved.");
        print_how_to_ask(answer, key, location);
        break;
    case PAYMENT_ANSWER_OUTCOME_REVIEW:
        printf("A person must look at it: kometpay story %s\n", answer->payment);
        break;
    case PAYMENT_ANSWER_OUTCOME_DECLINED:
        puts(advice->declined);
        break;
    case PAYMENT_ANSWER_OUTCOME_NOT_CHARGED:
        puts(advice->not_charged);
        break;
    case PAYMENT_ANSWER_OUTCOME_APPROVED:
        break;
    }
}

static void print_answer(const struct msg_payment_answer *answer)
{
    const char *outcome = payment_answer_outcome_text(answer->outcome);
    bool colour = table_colour_wanted(stdout);
    const char *escape = colour ? table_state_colour(outcome) : "";
    printf("%s %s%s%s\n", payment_answer_kind_text(answer->kind), escape, outcome,
           escape[0] != '\0' ? TABLE_COLOUR_END : "");
    if (answer->sentence[0] != '\0') {
        printf("  %s\n", answer->sentence);
    }
    line("payment", answer->payment);
    amount_line("amount", answer->amount_minor, answer->currency);
    if (answer->last_four[0] != '\0') {
        printf("  %-15s %s%s...%s\n", "card", answer->brand, answer->brand[0] != '\0' ? " " : "",
               answer->last_four);
    }
    line("authorisation", answer->authorisation_code);
    line("reason", answer->reason);
    line("token", answer->token);
    line("state", answer->state);
    line("attempt", answer->attempt);
    line("voided", answer->voided ? "yes" : "");
    amount_line("captured", answer->captured_minor, answer->currency);
    amount_line("refunded", answer->refunded_minor, answer->currency);
}

enum exit_code payment_report(const struct msg_payment_answer *answer, const char *key,
                              const char *location, bool json)
{
    if (json) {
        suite_print_json(MESSAGE_PAYMENT_ANSWER, answer);
    } else {
        print_answer(answer);
        advise(answer, key, location);
    }
    return exit_of(answer->outcome);
}

struct error *payment_key(const struct options *options, char *out)
{
    const char *given = options_text(options, "key");
    if (given == NULL) {
        char made[ID_MAX];
        id_new("", made);
        snprintf(out, KEY_MAX_BYTES + 1, "%s", made);
        fprintf(stderr, "key %s\n", out);
        return NULL;
    }
    if (strlen(given) < KEY_MIN_BYTES) {
        return error_refused("key_too_short", "key", "A key has at least %u characters.",
                             KEY_MIN_BYTES);
    }
    return option_copy_text(given, "key", out, KEY_MAX_BYTES + 1);
}
