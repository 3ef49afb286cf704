/* An answer before it is put on the wire: status, headers, body, and how it is delivered. */
#ifndef CLEARENT_SIM_ANSWER_H
#define CLEARENT_SIM_ANSWER_H

#include <stdint.h>

#include "text.h"
#include "transaction.h"

enum delivery {
    DELIVER_WHOLE,
    DELIVER_CLOSE,  /* no byte, an orderly close */
    DELIVER_RESET,  /* no byte, RST */
    DELIVER_SILENT, /* no byte for delay_ms, then close */
    DELIVER_SLOW,   /* whole after delay_ms */
    DELIVER_DRIP,   /* a byte every delay_ms */
    DELIVER_PAUSED, /* headers, body after delay_ms */
    DELIVER_HALF_RESET,
    DELIVER_SHORT,    /* promises more than comes, then closes */
    DELIVER_BAD_CHUNK /* says chunked, sends no valid chunk */
};

struct answer {
    int http;
    enum delivery delivery;
    int64_t delay_ms;
    const char *content_type; /* NULL: application/json */
    char headers[128];        /* further ones, each with its line end */
    struct text body;
};

/* Begins the envelope up to `"payload":`; `link_id` 0 for no link. */
void answer_begin(struct answer *answer, int http, bool success, uint64_t link_id);
/* Ends the envelope. */
void answer_end(struct answer *answer);
/* A whole refusal. */
void answer_error(struct answer *answer, unsigned code, const char *words);
/* The same under another HTTP status than the listed one. */
void answer_error_http(struct answer *answer, int http, unsigned code, const char *words);
void answer_outcome(struct answer *answer, const struct outcome *outcome);
/* Another body of another kind in place of what there is. */
void answer_replace(struct answer *answer, int http, const char *content_type, const char *body);

#endif
