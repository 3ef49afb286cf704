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
    case PAYMENT_ANSWER_OUTCOME_REFUSED:
        return EXIT_CODE_REFUSED;
    }
    return EXIT_CODE_REVIEW; /* an outcome that this version doesn't know */
}

static void print_how_to_ask(const char *key, const char *location)
{
    printf("Ask again in a moment: kometpay payment %s%s%s\n", key,
           location != NULL ? " --location " : "", location != NULL ? location : "");
}

static void advise(const struct msg_payment_answer *answer, const char *key, const char *location)
{
    switch (answer->outcome) {
    case PAYMENT_ANSWER_OUTCOME_PENDING:
        puts("The card may be charged: paying again with a new key could charge it twice.");
        print_how_to_ask(answer->payment[0] != '\0' ? answer->payment : key, location);
        break;
    case PAYMENT_ANSWER_OUTCOME_CANCEL_ACCEPTED:
        puts("It will end reversed or not charged, never approved.");
        print_how_to_ask(answer->payment[0] != '\0' ? answer->payment : key, location);
        break;
    case PAYMENT_ANSWER_OUTCOME_REVIEW:
        printf("A person must look at it: kometpay story %s\n", answer->payment);
        break;
    case PAYMENT_ANSWER_OUTCOME_DECLINED:
        puts("Another card may be tried, with a new key.");
        break;
    case PAYMENT_ANSWER_OUTCOME_NOT_CHARGED:
        puts("The card is not charged. It may be tried again, with a new key.");
        break;
    case PAYMENT_ANSWER_OUTCOME_APPROVED:
    case PAYMENT_ANSWER_OUTCOME_REFUSED:
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
