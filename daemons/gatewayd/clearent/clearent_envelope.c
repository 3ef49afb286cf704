/* The envelope around every Clearent answer: strict JSON, and nothing concluded from one whose
 * own code contradicts the HTTP status. */
#include "daemons/gatewayd/clearent/clearent_envelope.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemons/gatewayd/clearent/clearent_code.h"

/* An integer from a JSON integer or a text of 1 to 4 digits; -1 otherwise. */
static int small_number(const json_t *value)
{
    if (json_is_integer(value)) {
        json_int_t n = json_integer_value(value);
        return n >= 0 && n <= 9999 ? (int)n : -1;
    }
    if (!json_is_string(value)) {
        return -1;
    }
    const char *text = json_string_value(value);
    size_t n = json_string_length(value);
    if (n == 0 || n > 4 || strspn(text, "0123456789") != n) {
        return -1;
    }
    return (int)strtol(text, NULL, 10);
}

int clearent_result_code(const json_t *object)
{
    int code = small_number(json_object_get(object, "result-code"));
    return code >= 0 ? code : CLEARENT_CODE_NONE;
}

static json_t *object_or_null(json_t *value)
{
    return json_is_object(value) ? value : NULL;
}

bool clearent_envelope_open(const struct http_result *result, struct clearent_envelope *out)
{
    *out = (struct clearent_envelope){0};
    clearent_redact(result->request_id, out->request_id, sizeof out->request_id);
    if (result->body == NULL || result->body_size == 0) {
        return false;
    }
    out->root = json_loadb(result->body, result->body_size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(out->root)) {
        return false;
    }
    char exchange[sizeof out->request_id];
    clearent_message(out->root, "exchange-id", exchange, sizeof exchange);
    if (exchange[0] != '\0') {
        memcpy(out->request_id, exchange, sizeof exchange);
    }
    out->payload = object_or_null(json_object_get(out->root, "payload"));
    out->error = object_or_null(json_object_get(out->payload, "error"));
    if (out->error == NULL) {
        out->error = object_or_null(json_object_get(out->root, "error"));
    }
    const char *status = json_string_value(json_object_get(out->root, "status"));
    bool good = result->status >= 200 && result->status <= 299;
    return small_number(json_object_get(out->root, "code")) == result->status && status != NULL &&
           strcasecmp(status, good ? "success" : "fail") == 0;
}

void clearent_envelope_close(struct clearent_envelope *envelope)
{
    json_decref(envelope->root);
    *envelope = (struct clearent_envelope){0};
}

/* ---- lists ---- */

/* "true", "false" or a JSON boolean. */
static bool read_bool(const json_t *value, bool *out)
{
    const char *text = json_string_value(value);
    if (json_is_boolean(value)) {
        *out = json_is_true(value);
        return true;
    }
    if (text != NULL && (strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0)) {
        *out = strcasecmp(text, "true") == 0;
        return true;
    }
    return false;
}

static int64_t read_count(const json_t *value)
{
    if (json_is_integer(value)) {
        return json_integer_value(value);
    }
    const char *text = json_string_value(value);
    size_t n = text != NULL ? strlen(text) : 0;
    if (n == 0 || n > 9 || strspn(text, "0123456789") != n) {
        return -1;
    }
    return strtol(text, NULL, 10);
}

static bool is_nothing(const json_t *value)
{
    return value == NULL || json_is_null(value);
}

/* Takes an array or a single object as the rows; false for anything else. */
static bool take_rows(json_t *value, struct clearent_rows *rows)
{
    if (json_is_array(value)) {
        rows->array = value;
        rows->count = json_array_size(value);
        for (size_t i = 0; i < rows->count; i++) {
            if (!json_is_object(json_array_get(value, i))) {
                return false;
            }
        }
        return true;
    }
    if (json_is_object(value)) {
        rows->single = value;
        rows->count = 1;
        return true;
    }
    return is_nothing(value);
}

/* payload.<plural> as {<singular>: rows} or as the rows themselves, or payload.<singular>. */
static bool find_rows(const json_t *payload, const char *plural, const char *singular,
                      struct clearent_rows *rows)
{
    json_t *many = json_object_get(payload, plural);
    json_t *one = json_object_get(payload, singular);
    if (!is_nothing(many) && !is_nothing(one)) {
        return false;
    }
    if (many == NULL && one == NULL) {
        /* Empty fields are left out, but a list in a place unknown to us looks the same. */
        return rows->total == 0;
    }
    if (json_is_object(many)) {
        /* Empty fields are left out: an empty object is an empty list. */
        return (json_object_size(many) == 0 || json_object_get(many, singular) != NULL) &&
               take_rows(json_object_get(many, singular), rows);
    }
    return json_is_object(one) ? take_rows(one, rows) : take_rows(many, rows);
}

static bool payload_is(const json_t *payload, const char *plural, const char *singular)
{
    const char *type = json_string_value(json_object_get(payload, "payloadType"));
    return type != NULL && (strcasecmp(type, plural) == 0 || strcasecmp(type, singular) == 0);
}

static bool read_page(const struct clearent_envelope *envelope, struct clearent_rows *rows)
{
    json_t *page = json_object_get(envelope->root, "page");
    if (is_nothing(page)) {
        page = json_object_get(envelope->payload, "page");
    }
    if (is_nothing(page)) {
        return true;
    }
    if (!json_is_object(page)) {
        return false;
    }
    rows->last_known = read_bool(json_object_get(page, "last"), &rows->last);
    rows->total = read_count(json_object_get(page, "total-elements"));
    rows->elements = read_count(json_object_get(page, "number-of-elements"));
    return true;
}

/* The page block must agree with the rows; without the word 'last' the total may still prove it. */
static bool page_agrees(struct clearent_rows *rows)
{
    int64_t count = (int64_t)rows->count;
    if (!rows->last_known && rows->total == count) {
        rows->last = true;
        rows->last_known = true;
    }
    return (rows->total < 0 || count <= rows->total) &&
           (rows->elements < 0 || count == rows->elements);
}

enum clearent_list clearent_rows_open(const struct http_result *result, const char *plural,
                                      const char *singular, struct clearent_envelope *envelope,
                                      struct clearent_rows *rows)
{
    *rows = (struct clearent_rows){.total = -1, .elements = -1};
    *envelope = (struct clearent_envelope){0};
    enum outcome outcome;
    bool alarm;
    if (!connector_transport(result, &outcome, &alarm)) {
        return CLEARENT_LIST_UNCLEAR;
    }
    if (result->status == 204 && result->body_size == 0) {
        return CLEARENT_LIST_NOTHING;
    }
    if (!clearent_envelope_open(result, envelope)) {
        return CLEARENT_LIST_UNCLEAR;
    }
    if (result->status == 404) {
        return clearent_code_is_not_found(clearent_result_code(envelope->error))
                   ? CLEARENT_LIST_NOTHING
                   : CLEARENT_LIST_UNCLEAR;
    }
    if (result->status != 200 || envelope->payload == NULL || envelope->error != NULL ||
        !payload_is(envelope->payload, plural, singular) || !read_page(envelope, rows) ||
        !find_rows(envelope->payload, plural, singular, rows) || !page_agrees(rows)) {
        return CLEARENT_LIST_UNCLEAR;
    }
    return CLEARENT_LIST_ROWS;
}

const json_t *clearent_row(const struct clearent_rows *rows, size_t i)
{
    assert(i < rows->count);
    return rows->single != NULL ? rows->single : json_array_get(rows->array, i);
}
