/* The processor's envelope around transactions, errors and lists.
 * It must never write a value that came as a card number. */
#include "answer.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "result_code.h"
#include "settings.h"

void answer_begin(struct answer *answer, int http, bool success, uint64_t link_id)
{
    static unsigned long long exchanges;
    const char *quote = settings.numbers_variant ? "" : "\"";
    const char *status = success ? "success" : "fail";
    struct text *body = &answer->body;

    answer->http = http;
    answer->content_type = NULL;
    text_clear(body);
    if (settings.numbers_variant) {
        status = success ? "Success" : "FAIL";
    }
    text_printf(body, "{\"code\":%s%d%s,\"status\":\"%s\"", quote, http, quote, status);
    text_printf(body, ",\"exchange-id\":\"ID-clearent-cgw-1-%lld-0-%llu\",\"links\":[",
                (long long)(clock_now_us() / 1000), ++exchanges);
    if (link_id != 0) {
        text_printf(body,
                    "{\"rel\":\"transaction\",\"href\":\"/rest/v2/transactions?id=%llu\","
                    "\"id\":%s%llu%s}",
                    (unsigned long long)link_id, quote, (unsigned long long)link_id, quote);
    }
    text_puts(body, "],\"payload\":");
}

void answer_end(struct answer *answer)
{
    text_add(&answer->body, "}", 1);
}

static void error_payload(struct answer *answer, unsigned code, const char *words)
{
    char time[32];

    text_puts(&answer->body, "{\"payloadType\":\"error\",\"error\":{\"error-message\":");
    text_json(&answer->body, words);
    clock_print(clock_now_us(), settings.created_offset_minutes, time, sizeof time);
    text_printf(&answer->body, ",\"result-code\":\"%0*u\",\"time-stamp\":\"%s\"}}",
                settings.numbers_variant ? 4 : 3, code, time);
}

void answer_error_http(struct answer *answer, int http, unsigned code, const char *words)
{
    answer_begin(answer, http, false, 0);
    error_payload(answer, code, words);
    answer_end(answer);
}

void answer_error(struct answer *answer, unsigned code, const char *words)
{
    const struct result_code *listed = result_code(code);

    answer_error_http(answer, listed->http, code, words == NULL ? listed->words : words);
}

void answer_outcome(struct answer *answer, const struct outcome *outcome)
{
    bool approved = outcome->code == CODE_APPROVED;

    if (!outcome->has_view || (!approved && !settings.decline_as_transaction)) {
        answer_error_http(answer, outcome->http, outcome->code, outcome->words);
        return;
    }
    answer_begin(answer, outcome->http, approved, outcome->view.id);
    text_puts(&answer->body, "{\"payloadType\":\"transaction\",\"transaction\":");
    view_write(&answer->body, &outcome->view);
    text_add(&answer->body, "}", 1);
    answer_end(answer);
}

void answer_replace(struct answer *answer, int http, const char *content_type, const char *body)
{
    answer->http = http;
    answer->content_type = content_type;
    text_clear(&answer->body);
    text_puts(&answer->body, body);
}
