/* links: gatewayd */
/* Fuzzes what Clearent may answer. First line: WHAT STATUS [CURL], then the body. Whatever comes,
 * APPROVED only for a transaction whose reference, type, amount and last four are ours, judged here
 * by a reading of its own; and no text that is kept may hold a card number. */
#include <jansson.h>
#include <strings.h>

#include "daemons/gatewayd/clearent/clearent.h"
#include "ipc/message.h"
#include "tests/fuzz/fuzz.h"

#define REF "7ZZZZZZZZZZZZZZZZZZZZZZZZ1"
#define PAN "4111111111111111"
#define LAST_FOUR "1111"
#define CVV "999"
#define FOLLOWS "117834254"
#define AMOUNT_MINOR 8000
#define AMOUNT_DIGITS "8000"

static const struct {
    const char *name;
    enum connector_operation operation;
    const char *types[2];
} OPERATIONS[] = {
    {"sale", OPERATION_SALE, {"SALE"}},
    {"auth", OPERATION_AUTH, {"AUTH", "AUTHORIZATION"}},
    {"capture", OPERATION_CAPTURE, {"CAPTURE"}},
    {"void", OPERATION_VOID, {"VOID"}},
    {"refund", OPERATION_REFUND, {"REFUND"}},
};
#define OPERATION_COUNT (sizeof OPERATIONS / sizeof *OPERATIONS)

static struct secret *pan;
static struct secret *cvv;
static struct secret *credential;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_secret_memory();
    pan = secret_new(PAN, strlen(PAN));
    cvv = secret_new(CVV, strlen(CVV));
    credential = secret_new("key", 3);
    MUST(pan != NULL && cvv != NULL && credential != NULL);
    return 0;
}

/* -- A second opinion on one row ----------------------------------------------------------------
 */

static const char *text_of(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text != NULL ? text : "";
}

/* "80", "80.0", "80.00", "080.00": eight thousand cents, compared as digits. */
static bool amount_is_ours(const json_t *row)
{
    char digits[64] = "";
    size_t n = 0;
    const char *text = text_of(row, "amount");
    size_t whole = strspn(text, "0123456789");
    size_t fraction = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;
    if (whole == 0 || whole > 40 || fraction > 2 ||
        text[whole + (text[whole] == '.' ? 1 + fraction : 0)] != '\0') {
        return false;
    }
    memcpy(digits, text, whole);
    n = whole;
    for (size_t i = 0; i < 2; i++) {
        digits[n++] = i < fraction ? text[whole + 1 + i] : '0';
    }
    digits[n] = '\0';
    return strcmp(digits + strspn(digits, "0"), AMOUNT_DIGITS) == 0;
}

static bool card_is_ours(const json_t *row)
{
    char digits[128] = "";
    size_t n = 0;
    for (const char *c = text_of(row, "card"); *c != '\0' && n + 1 < sizeof digits; c++) {
        if (*c >= '0' && *c <= '9') {
            digits[n++] = *c;
        }
    }
    return n >= 4 && strcmp(digits + n - 4, LAST_FOUR) == 0;
}

static bool absent(const json_t *row, const char *name)
{
    const json_t *value = json_object_get(row, name);
    return value == NULL || json_is_null(value) ||
           (json_is_string(value) && json_string_length(value) == 0);
}

static bool reference_is_ours(const json_t *row)
{
    bool invoice = strcmp(text_of(row, "invoice"), REF) == 0;
    bool order = strcmp(text_of(row, "order-id"), REF) == 0;
    return (invoice && (order || absent(row, "order-id"))) || (order && absent(row, "invoice"));
}

/* result-code as text or number: 0 is success, 36 an accepted advice. */
static bool code_approves(const json_t *row)
{
    const json_t *value = json_object_get(row, "result-code");
    const char *text = text_of(row, "result-code");
    size_t n = strlen(text);
    long code = json_is_integer(value) ? (long)json_integer_value(value) : strtol(text, NULL, 10);
    bool readable = json_is_integer(value) || (n > 0 && n <= 4 && strspn(text, "0123456789") == n);
    return readable && (code == 0 || code == 36);
}

static bool type_is_ours(const json_t *row, size_t operation)
{
    for (size_t i = 0; i < 2 && OPERATIONS[operation].types[i] != NULL; i++) {
        if (strcasecmp(text_of(row, "type"), OPERATIONS[operation].types[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool id_is(const json_t *row, const char *id)
{
    char number[32] = "";
    const json_t *value = json_object_get(row, "id");
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    }
    return id[0] != '\0' && (strcmp(text_of(row, "id"), id) == 0 || strcmp(number, id) == 0);
}

/* May this row make our request APPROVED under the processor's id `id` (NULL: any)? */
static bool row_approves(const json_t *row, size_t operation, const char *id)
{
    bool begins = operation < 2;
    bool is_void = OPERATIONS[operation].operation == OPERATION_VOID;
    return type_is_ours(row, operation) && strcasecmp(text_of(row, "result"), "APPROVED") == 0 &&
           reference_is_ours(row) && (id == NULL || id_is(row, id)) &&
           (code_approves(row) || absent(row, "result-code")) &&
           (amount_is_ours(row) || (is_void && absent(row, "amount"))) &&
           (card_is_ours(row) || (!begins && absent(row, "card")));
}

/* How many rows approve in a value that is one row or a list of them. */
static size_t count_rows(const json_t *value, size_t operation, const char *id)
{
    size_t found = row_approves(value, operation, id) ? 1 : 0;
    const json_t *row;
    size_t i;
    json_array_foreach(value, i, row)
    {
        found += row_approves(row, operation, id) ? 1 : 0;
    }
    return found;
}

/* How many rows with this id approve in the places where rows may stand. */
static size_t approving_rows(const struct http_result *result, size_t operation, const char *id)
{
    json_t *json = json_loadb(result->body, result->body_size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *payload = json_object_get(json, "payload");
    const json_t *many = json_object_get(payload, "transactions");
    size_t found = count_rows(json_object_get(payload, "transaction"), operation, id) +
                   count_rows(many, operation, id) +
                   count_rows(json_object_get(many, "transaction"), operation, id);
    json_decref(json);
    return found;
}

/* Is there a row that approves under whatever name, in an answer that does not itself say that it
 * has none? */
static bool row_is_hidden(const struct http_result *result, size_t operation)
{
    json_t *json = json_loadb(result->body, result->body_size, JSON_REJECT_DUPLICATES, NULL);
    json_t *payload = json_object_get(json, "payload");
    bool hidden = approving_rows(result, operation, NULL) > 0;
    const char *name;
    json_t *value;
    if (absent(json, "page") && absent(payload, "page")) {
        json_object_foreach(payload, name, value)
        {
            hidden = hidden || count_rows(value, operation, NULL) > 0;
        }
    }
    json_decref(json);
    return hidden;
}

static void check_approved(const struct http_result *result, size_t operation,
                           const struct money_outcome *found)
{
    MUST(result->curl_code == 0 && result->sent_once && !result->nothing_sent);
    MUST(result->status >= 200 && result->status <= 299);
    MUST(found->approved_minor == AMOUNT_MINOR && !found->partial);
    MUST(approving_rows(result, operation, found->processor_id) > 0);
}

/* -- What is kept -------------------------------------------------------------------------------
 */

/* Text for a table: ends within its field, printable. An id may be a long number, but never that of
 * the card; in other texts it may not even be a part. */
static void check_text(const char *text, size_t size)
{
    size_t n = strnlen(text, size);
    MUST(n < size);
    for (size_t i = 0; i < n; i++) {
        MUST(text[i] >= ' ' && text[i] <= '~');
    }
}
static void check_id(const char *text, size_t size)
{
    check_text(text, size);
    MUST(strcmp(text, PAN) != 0);
}
#define CHECK_ID(text) check_id(text, sizeof(text))

static void check_shown(const char *text, size_t size)
{
    check_text(text, size);
    MUST(strstr(text, PAN) == NULL);
}
#define CHECK_TEXT(text) check_shown(text, sizeof(text))

static void check_kept(const struct money_outcome *out)
{
    CHECK_ID(out->processor_id);
    CHECK_TEXT(out->authorisation_code);
    CHECK_TEXT(out->reason);
    CHECK_TEXT(out->raw_code);
    CHECK_TEXT(out->raw_message);
    CHECK_TEXT(out->request_id);
    CHECK_TEXT(out->avs);
    CHECK_TEXT(out->csc);
    CHECK_TEXT(out->batch);
    MUST((out->outcome != OUTCOME_DECLINED && out->outcome != OUTCOME_REFUSED) ||
         out->reason[0] != '\0');
    MUST(!out->partial || (out->approved_minor > 0 && out->approved_minor < AMOUNT_MINOR &&
                           out->processor_id[0] != '\0'));
}

/* -- The readers --------------------------------------------------------------------------------
 */

/* A number of three or four digits that stands alone. */
static bool may_be_security_code(const char *text)
{
    while (*text != '\0') {
        size_t digits = strspn(text, "0123456789");
        if (digits == 3 || digits == 4) {
            return true;
        }
        text += digits > 0 ? digits : 1;
    }
    return false;
}

static void try_money(const struct http_result *result, size_t operation)
{
    const struct card card = {.pan = pan, .cvv = cvv, .expiry = "1230"};
    const struct money_request request = {
        .operation = OPERATIONS[operation].operation,
        .ref = REF,
        .amount_minor = AMOUNT_MINOR,
        .currency = "USD",
        .follows = operation < 2 ? NULL : FOLLOWS,
        .card = operation < 2 ? &card : NULL,
        .last_four = LAST_FOUR,
        .credential = credential,
        .base_url = "https://gateway.clearent.net",
    };
    struct money_outcome out;
    clearent_connector.parse_money(&request, result, &out);
    check_kept(&out);
    MUST(result->curl_code != 0 || !may_be_security_code(out.raw_message));
    if (out.outcome == OUTCOME_APPROVED) {
        check_approved(result, operation, &out);
    } else if (out.outcome == OUTCOME_NOT_SENT) {
        MUST(result->nothing_sent && result->curl_code != 0);
    } else if (out.outcome == OUTCOME_DECLINED || out.outcome == OUTCOME_REFUSED) {
        MUST(result->curl_code == 0 && result->status > 0 && result->body_size > 0);
    }
}

static void try_lookup(const struct http_result *result, size_t operation, int step)
{
    const struct lookup_request request = {.operation = OPERATIONS[operation].operation,
                                           .ref = REF,
                                           .step = step,
                                           .amount_minor = AMOUNT_MINOR,
                                           .currency = "USD",
                                           .last_four = LAST_FOUR,
                                           .follows = operation < 2 ? NULL : FOLLOWS};
    struct lookup_outcome out;
    clearent_connector.parse_lookup(&request, result, &out);
    check_kept(&out.found);
    CHECK_ID(out.reversal_id);
    CHECK_ID(out.next);
    MUST(out.standing_count <= CONNECTOR_SEVERAL_MAX);
    MUST(out.lookup != LOOKUP_SEVERAL || out.standing_count > 1);
    MUST(out.lookup != LOOKUP_APPROVED || out.standing_count == 1);
    MUST(out.lookup != LOOKUP_ABSENT || (out.standing_count == 0 && !out.more));
    if (out.lookup == LOOKUP_APPROVED || out.lookup == LOOKUP_SEVERAL) {
        check_approved(result, operation, &out.found);
    } else if (out.lookup == LOOKUP_ABSENT) {
        MUST(result->curl_code == 0 && step != clearent_connector.fallback_step);
        MUST(result->status == 200 || result->status == 204 || result->status == 404);
        MUST(!row_is_hidden(result, operation));
    }
}

static void try_original(const struct http_result *result)
{
    const struct original_request request = {.follows = FOLLOWS, .currency = "USD"};
    struct original_outcome out;
    clearent_connector.parse_original(&request, result, &out);
    CHECK_ID(out.void_id);
    CHECK_ID(out.void_ref);
    CHECK_TEXT(out.batch);
    MUST(out.captured_minor >= 0 && out.refunded_minor >= 0);
    MUST(out.original == ORIGINAL_UNCLEAR || result->curl_code == 0);
    MUST(out.void_id[0] == '\0' || out.original == ORIGINAL_VOIDED);
}

static void try_batch(const struct http_result *result, bool several)
{
    const struct batch_request request = {.batch = several ? "297" : NULL, .currency = "USD"};
    struct batch_outcome out;
    if (several) {
        clearent_connector.parse_batches(&request, result, &out);
    } else {
        clearent_connector.parse_batch(&request, result, &out);
    }
    check_text(out.id, sizeof out.id);
    CHECK_TEXT(out.confirmation_code);
    CHECK_TEXT(out.settled_at);
    CHECK_TEXT(out.request_id);
    MUST(out.state == BATCH_UNCLEAR || result->curl_code == 0);
    MUST(!out.totals_known || (out.sales_minor - out.refund_minor == out.net_minor &&
                               out.sales_count + out.refund_count == out.total_count));
    MUST((out.state != BATCH_OPEN && out.state != BATCH_CLOSED) || out.id[0] != '\0');
}

/* The page that gatewayd hands on to settled has room for so many rows: none may be lost. */
static void try_list(const struct http_result *result)
{
    const struct list_request request = {.from_utc = 1, .to_utc = 2, .currency = "USD"};
    struct processor_list list;
    struct error *e = clearent_connector.parse_list(&request, result, &list);
    MUST(e == NULL || (error_is(e, "list_unclear") && list.count == 0 && list.items == NULL));
    error_free(e);
    MUST(list.count <= CONNECTOR_PAGE_ROWS_MAX);
    for (size_t i = 0; i < list.count; i++) {
        const struct processor_item *item = &list.items[i];
        CHECK_ID(item->id);
        CHECK_ID(item->ref);
        CHECK_ID(item->follows);
        CHECK_TEXT(item->batch);
        CHECK_TEXT(item->created);
        CHECK_TEXT(item->authorisation_code);
        MUST(item->id[0] != '\0' && strcmp(item->currency, "USD") == 0);
        MUST(item->last_four[0] == '\0' || strspn(item->last_four, "0123456789") == 4);
    }
    processor_list_clear(&list);
}

/* "sale", "lookup0-sale", "original", "batch", "batches"; anything else is a day's list. */
static void try_word(struct fuzz_text word, const struct http_result *result)
{
    static const char LOOKUP[] = "lookup";
    int step = -1;
    if (word.n > strlen(LOOKUP) + 1 && memcmp(word.p, LOOKUP, strlen(LOOKUP)) == 0) {
        struct fuzz_text number = {word.p + strlen(LOOKUP), 1};
        step = (int)fuzz_number(number, (uint64_t)clearent_connector.fallback_step);
        word.p += strlen(LOOKUP) + 2;
        word.n -= strlen(LOOKUP) + 2;
    }
    for (size_t i = 0; i < OPERATION_COUNT; i++) {
        if (fuzz_is(word, OPERATIONS[i].name)) {
            if (step < 0) {
                try_money(result, i);
            } else {
                try_lookup(result, i, step);
            }
            return;
        }
    }
    if (fuzz_is(word, "original")) {
        try_original(result);
    } else if (fuzz_is(word, "batch") || fuzz_is(word, "batches")) {
        try_batch(result, fuzz_is(word, "batches"));
    } else {
        try_list(result);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct fuzz_text input = {(const char *)bytes, n};
    struct fuzz_text first = fuzz_take(&input, '\n');
    struct fuzz_text word = fuzz_take(&first, ' ');
    struct http_result result = {.sent_once = true, .content_type = "application/json"};
    result.status = (long)fuzz_number(fuzz_take(&first, ' '), 999);
    result.curl_code = (int)fuzz_number(fuzz_take(&first, ' '), 99);
    result.nothing_sent = fuzz_is(first, "unsent");
    result.sent_once = !fuzz_is(first, "twice");
    char *body = fuzz_string(input); /* as http.c hands it over: with a NUL after it */
    result.body = body;
    result.body_size = input.n;
    try_word(word, &result);
    free(body);
    return 0;
}
