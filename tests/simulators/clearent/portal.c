/* What somebody does by hand in the processor's portal, past our own suite.
 * It must never execute what the processor itself would refuse. */
#include "portal.h"

#include <stdio.h>
#include <string.h>

#include "account.h"
#include "batch_call.h"
#include "settings.h"
#include "transaction.h"

static const char *word(json_t *act, const char *name)
{
    return json_string_value(json_object_get(act, name));
}

static const char *portal_read(json_t *act, struct transaction *asked)
{
    const char *terminal = word(act, "terminal");
    const char *id = word(act, "id");
    const char *amount = word(act, "amount");
    const char *last_four = word(act, "last_four");
    struct account *account = terminal == NULL ? NULL : account_by_terminal(terminal);

    *asked = (struct transaction){.original = ROW_NONE, .invoice = word(act, "ref")};
    asked->type = operation_of_name(word(act, "op"));
    asked->has_amount = amount != NULL;
    asked->amount_minor = amount == NULL ? 0 : money_parse(amount);
    if (asked->type == OP_SALE) {
        snprintf(asked->last_four, sizeof asked->last_four, "%s",
                 last_four == NULL ? "1111" : last_four);
        if (account == NULL || asked->amount_minor <= 0 ||
            strspn(asked->last_four, "0123456789") != 4) {
            return "a sale needs terminal and amount, a last_four is four digits";
        }
        asked->account = account->number;
        return NULL;
    }
    asked->original = id == NULL ? ROW_NONE : row_by_id(id);
    if (asked->original == ROW_NONE || asked->amount_minor < 0 || asked->type == OP_AUTH) {
        return "give op capture, void or refund, id and perhaps amount";
    }
    asked->account = row_at(asked->original)->account;
    if (!asked->has_amount) {
        asked->amount_minor =
            row_at(asked->original)->amount_minor - row_at(asked->original)->refunded_minor;
    }
    return NULL;
}

const char *portal_act(json_t *act, struct text *out)
{
    const char *op = word(act, "op");
    const char *terminal = word(act, "terminal");
    struct account *account = terminal == NULL ? NULL : account_by_terminal(terminal);
    bool shield = settings.duplicates_enabled;
    struct transaction asked;
    struct outcome outcome;
    const char *wrong;

    if (op != NULL && strcmp(op, "batch_close") == 0) {
        if (account == NULL || !batch_close(account->number, NULL, "portal")) {
            return "there is no batch to close at that terminal";
        }
        text_puts(out, "{}");
        return NULL;
    }
    if (op == NULL || operation_of_name(op) == OP_COUNT) {
        return "op must be sale, capture, void, refund or batch_close";
    }
    wrong = portal_read(act, &asked);
    if (wrong != NULL) {
        return wrong;
    }
    settings.duplicates_enabled = false;
    transaction_execute(&asked, "portal", &outcome);
    settings.duplicates_enabled = shield;
    if (outcome.code != 0) {
        return outcome.words;
    }
    text_printf(out, "{\"id\":\"%llu\"}", (unsigned long long)outcome.view.id);
    return NULL;
}
