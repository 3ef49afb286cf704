/* What faults do to an answer: to the transaction in it, to its bytes, to its delivery.
 * It must never touch rows or the ledger; whether the truth happened was decided before. */
#include "damage.h"

#include <stdio.h>
#include <string.h>

#include "gzip_bomb.h"
#include "result_code.h"

enum { BIG_BODY_BYTES = 10 << 20, NESTING_DEPTH = 100000 };

/* An approved sale of another reference, the newest; ROW_NONE if there is none. */
static uint32_t other_row(const struct view *view)
{
    for (uint32_t i = row_count(); i > 0; i--) {
        const struct row *row = row_at(i - 1);

        if (row->approved && row->type == OP_SALE && row_id(i - 1) != view->id &&
            (row->invoice == NULL || view->invoice == NULL ||
             strcmp(row->invoice, view->invoice) != 0)) {
            return i - 1;
        }
    }
    return ROW_NONE;
}

void view_change(struct view *view, const struct fault_hit *hit)
{
    uint32_t other;

    if (hit == NULL) {
        return;
    }
    if (hit->effect == FAULT_AMOUNT_DIFFERS) {
        view->amount_minor += 100;
    } else if (hit->effect == FAULT_LAST_FOUR_DIFFERS) {
        memcpy(view->last_four, strcmp(view->last_four, "0000") == 0 ? "0001" : "0000", 5);
    } else if (hit->effect == FAULT_PENDING_RESULT) {
        view->result = "PENDING";
        view->words = "Transaction pending";
    } else if (hit->effect == FAULT_FOREIGN_ANSWER) {
        other = other_row(view);
        if (other != ROW_NONE) {
            *view = view_of(other);
        } else {
            view->id += 1;
            view->invoice = view->order_id = "SOMEBODY-ELSES-REFERENCE";
        }
    }
}

static void damage_nan(struct text *body)
{
    char *place = body->size == 0 ? NULL : memmem(body->bytes, body->size, "\"amount\":\"", 10);
    char *end;

    if (place == NULL) {
        place = memmem(body->bytes, body->size, "\"code\":\"", 8);
    }
    if (place == NULL) {
        return;
    }
    place = strchr(place, ':') + 1;
    end = memchr(place + 1, '"', (size_t)(body->bytes + body->size - place - 1));
    if (end != NULL && end - place >= 3) {
        memset(place, ' ', (size_t)(end + 1 - place));
        place[0] = place[2] = 'N';
        place[1] = 'a';
    }
}

static void damage_body(struct answer *answer, enum fault_effect effect)
{
    struct text *body = &answer->body;
    struct text whole = {0};

    if (effect == FAULT_TRUNCATED_JSON) {
        body->size = body->size * 2 / 3;
    } else if (effect == FAULT_NAN) {
        text_add(body, "", 1);
        body->size--;
        damage_nan(body);
    } else if (effect == FAULT_DUPLICATE_KEYS) {
        if (!text_replace(body, "\"transaction\":{",
                          "\"transaction\":{\"amount\":\"0.01\",\"result\":\"DECLINED\",") &&
            !text_replace(body, "\"payload\":", "\"payload\":{},\"payload\":")) {
            text_clear(body);
            text_puts(body, "{\"code\":\"200\",\"code\":\"402\"}");
        }
    } else if (effect == FAULT_INVALID_UTF8) {
        if (!text_replace(body, "\"status\":\"", "\"status\":\"\xff\xfe\xc0\x80")) {
            text_puts(body, "\xff\xfe");
        }
    } else if (effect == FAULT_BOM) {
        text_puts(&whole, "\xef\xbb\xbf");
        text_add(&whole, body->bytes, body->size);
        text_free(body);
        *body = whole;
    }
}

static void damage_size(struct answer *answer, enum fault_effect effect)
{
    struct text *body = &answer->body;

    answer_replace(answer, 200, NULL, "");
    if (effect == FAULT_BIG_BODY) {
        text_puts(body, "{\"code\":\"200\",\"status\":\"success\",\"padding\":\"");
        text_reserve(body, BIG_BODY_BYTES);
        memset(body->bytes + body->size, 'a', BIG_BODY_BYTES);
        body->size += BIG_BODY_BYTES;
        text_puts(body, "\"}");
    } else if (effect == FAULT_DEEP_NESTING) {
        text_puts(body, "{\"code\":\"200\",\"status\":\"success\",\"payload\":");
        text_reserve(body, 2 * NESTING_DEPTH);
        memset(body->bytes + body->size, '[', NESTING_DEPTH);
        memset(body->bytes + body->size + NESTING_DEPTH, ']', NESTING_DEPTH);
        body->size += 2 * NESTING_DEPTH;
        text_puts(body, "}");
    } else {
        gzip_bomb_write(body);
        snprintf(answer->headers, sizeof answer->headers, "Content-Encoding: gzip\r\n");
    }
}

static void damage_http(struct answer *answer, const struct fault_hit *hit)
{
    char page[160];
    int http = hit->http;

    if (hit->effect == FAULT_HTTP_500) {
        answer_error(answer, 49, "Internal error");
    } else if (hit->effect == FAULT_HTTP_429) {
        answer_error_http(answer, 429, CODE_REQUEST_FORMAT, "Too many requests");
        if (hit->delay_ms > 0) {
            snprintf(answer->headers, sizeof answer->headers, "Retry-After: %lld\r\n",
                     (long long)(hit->delay_ms / 1000));
        }
    } else if (hit->effect == FAULT_HTTP_302) {
        answer_replace(answer, 302, "text/html", "<html><body>Found</body></html>");
        snprintf(answer->headers, sizeof answer->headers,
                 "Location: https://127.0.0.1:1/rest/v2/transactions/sale\r\n");
    } else if (hit->effect == FAULT_HTTP_400) {
        answer_error(answer, CODE_REQUEST_FORMAT, NULL);
    } else if (hit->effect == FAULT_HTTP_401) {
        answer_error(answer, CODE_KEY, NULL);
    } else {
        http = hit->effect == FAULT_HTML_200 ? 200 : http;
        snprintf(page, sizeof page, "<html><head><title>%d</title></head><body>%d</body></html>\n",
                 http, http);
        answer_replace(answer, http, "text/html", page);
    }
}

static const struct {
    enum fault_effect effect;
    enum delivery delivery;
} DELIVERIES[] = {
    {FAULT_CLOSE, DELIVER_CLOSE},
    {FAULT_RESET, DELIVER_RESET},
    {FAULT_RESET_AFTER_HEADERS, DELIVER_RESET},
    {FAULT_RESET_MID_REQUEST, DELIVER_RESET},
    {FAULT_RESET_MID_ANSWER, DELIVER_HALF_RESET},
    {FAULT_SILENT, DELIVER_SILENT},
    {FAULT_SLOW_FIRST_BYTE, DELIVER_SLOW},
    {FAULT_BYTE_PER_SECOND, DELIVER_DRIP},
    {FAULT_HEADERS_THEN_PAUSE, DELIVER_PAUSED},
    {FAULT_WRONG_LENGTH, DELIVER_SHORT},
    {FAULT_BAD_CHUNK, DELIVER_BAD_CHUNK},
};

void answer_damage(struct answer *answer, const struct fault_hit *hit)
{
    if (hit == NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof DELIVERIES / sizeof DELIVERIES[0]; i++) {
        if (DELIVERIES[i].effect == hit->effect) {
            answer->delivery = DELIVERIES[i].delivery;
            answer->delay_ms = hit->delay_ms;
            return;
        }
    }
    if (hit->effect >= FAULT_HTTP_500 && hit->effect <= FAULT_HTML_200) {
        damage_http(answer, hit);
    } else if (hit->effect == FAULT_EMPTY_200) {
        answer_replace(answer, 200, NULL, "");
    } else if (hit->effect >= FAULT_BIG_BODY && hit->effect <= FAULT_DEEP_NESTING) {
        damage_size(answer, hit->effect);
    } else if (hit->effect == FAULT_TRUNCATED_JSON ||
               (hit->effect >= FAULT_BOM && hit->effect <= FAULT_INVALID_UTF8)) {
        damage_body(answer, hit->effect);
    }
}
