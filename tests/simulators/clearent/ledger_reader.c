/* Takes ledger lines back into rows, batches and clock when the simulator starts again.
 * It must never write, and never guess: a line it can't read stops the start. */
#include "ledger_reader.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "batch.h"
#include "clock.h"
#include "row.h"
#include "transaction.h"

static const char *word(json_t *line, const char *name)
{
    return json_string_value(json_object_get(line, name));
}

static int64_t number(json_t *line, const char *name)
{
    return json_integer_value(json_object_get(line, name));
}

static uint32_t number_text(json_t *line, const char *name)
{
    const char *digits = word(line, name);

    return digits == NULL ? 0 : (uint32_t)strtoul(digits, NULL, 10);
}

static void copy_word(json_t *line, const char *name, char *out, size_t size)
{
    const char *from = word(line, name);

    if (from != NULL && strlen(from) < size) {
        memcpy(out, from, strlen(from) + 1);
    }
}

static bool take_row(json_t *line, const char *op, bool approved)
{
    const char *terminal = word(line, "terminal");
    const char *id = word(line, "id");
    const char *original = word(line, "ref_id");
    struct account *account = terminal == NULL ? NULL : account_by_terminal(terminal);
    struct row row = {.original = ROW_NONE, .shown_minor = -1, .approved = approved};
    uint32_t place;

    row.type = operation_of_name(op);
    if (account == NULL || id == NULL || row.type == OP_COUNT) {
        return false;
    }
    row.account = account->number;
    row.invoice = word(line, "ref");
    row.order_id = word(line, "order_id");
    row.description = word(line, "description");
    row.customer_id = word(line, "customer_id");
    row.amount_minor = number(line, "amount_minor");
    row.created_us = number(line, "created_us");
    row.batch = number_text(line, "batch");
    row.code = (uint16_t)number_text(line, "code");
    copy_word(line, "last_four", row.last_four, sizeof row.last_four);
    copy_word(line, "auth_code", row.auth_code, sizeof row.auth_code);
    row.avs = word(line, "avs") == NULL ? '\0' : word(line, "avs")[0];
    row.csc = word(line, "csc") == NULL ? '\0' : word(line, "csc")[0];
    if (original != NULL) {
        row.original = row_by_id(original);
        if (row.original == ROW_NONE) {
            return false;
        }
    }
    batch_restore(row.batch, row.account, row.created_us);
    place = row_add(&row);
    clock_not_before(row.created_us);
    transaction_apply(place);
    return row_by_id(id) == place;
}

static bool take_batch_close(json_t *line)
{
    struct batch *batch = batch_at(number_text(line, "id"));
    const char *status = word(line, "status");

    if (batch == NULL || status == NULL) {
        return false;
    }
    clock_not_before(number(line, "closed_us"));
    for (enum batch_status s = BATCH_PENDING; s <= BATCH_FAILED; s++) {
        if (strcmp(batch_status_name(s), status) == 0) {
            batch_leave(batch, s, number(line, "closed_us"), number(line, "settles_us"));
            return true;
        }
    }
    return false;
}

static bool take_report_change(json_t *line, bool hide)
{
    const char *id = word(line, "id");
    uint32_t place = id == NULL ? ROW_NONE : row_by_id(id);

    if (place == ROW_NONE) {
        return false;
    }
    transaction_report(place, hide, hide ? -1 : number(line, "amount_minor"));
    return true;
}

static bool take(json_t *line, uint64_t n)
{
    const char *event = word(line, "event");
    const char *op = word(line, "op");

    if (event == NULL || op == NULL || (uint64_t)number(line, "n") != n) {
        return false;
    }
    if (strcmp(event, "clock") == 0) {
        clock_restore(number(line, "ahead_us"), number(line, "rate_permille"));
        return true;
    }
    if (strcmp(event, "hidden") == 0 || strcmp(event, "altered") == 0) {
        return take_report_change(line, event[0] == 'h');
    }
    if (strcmp(op, "batch_close") == 0) {
        return take_batch_close(line);
    }
    return take_row(line, op, strcmp(event, "executed") == 0);
}

bool ledger_line_take(const char *line, size_t size, uint64_t n)
{
    json_t *read = json_loadb(line, size, JSON_REJECT_DUPLICATES, NULL);
    bool good = json_is_object(read) && take(read, n);

    json_decref(read);
    return good;
}
