/* What a card processor looks like to gatewayd: requests are built and answers are parsed by pure
 * functions, one shared sender does the I/O. A connector must never send, wait, log or keep
 * anything, and must never say APPROVED for an answer that is not provably about our request. */
#ifndef DAEMONS_GATEWAYD_CONNECTOR_H
#define DAEMONS_GATEWAYD_CONNECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/http.h"
#include "lib/secret.h"

#define CONNECTOR_ID_SIZE 41
#define CONNECTOR_SEVERAL_MAX 8
#define CONNECTOR_PAGE_ROWS_MAX 200 /* as many as message processor_page holds */
#define CONNECTOR_PAGES_MAX 200     /* of a list or look-up; more is a fault of the processor */

/* ---- money ---- */

enum outcome {
    OUTCOME_APPROVED, /* executed; every echo (ref, amount, last four, type) is ours */
    OUTCOME_ACCEPTED, /* taken, money later (bank accounts) */
    OUTCOME_DECLINED, /* final: no */
    OUTCOME_NOT_SENT, /* proved: not one byte of the request left */
    OUTCOME_REFUSED,  /* answered and not executed: validation, key, set-up, state */
    OUTCOME_UNKNOWN,  /* anything else: the resolver asks */
};

enum connector_operation {
    OPERATION_SALE,
    OPERATION_AUTH,
    OPERATION_CAPTURE,
    OPERATION_VOID,
    OPERATION_REFUND,
};

/* A card for one attempt; everything borrowed. Texts may be NULL except expiry. */
struct card {
    const struct secret *pan;
    const struct secret *cvv; /* NULL: not given */
    const char *expiry;       /* "MMYY" */
    const char *holder;
    const char *street;
    const char *postal_code;
};

/* One money request; everything borrowed. */
struct money_request {
    enum connector_operation operation;
    const char *ref;         /* the attempt's ref, 26 characters */
    int64_t amount_minor;    /* always > 0; for a void the original's amount */
    char currency[4];        /* "USD" */
    const char *follows;     /* processor id it acts on (capture, void, refund), else NULL */
    const struct card *card; /* sale and auth only, else NULL */
    char last_four[5];       /* of the card, also for capture, void, refund; "" if not known */
    const char *description; /* may be NULL */
    const char *customer;    /* may be NULL */
    const struct secret *credential;
    const char *base_url; /* "https://gateway.clearent.net", no slash at the end */
};

/* The verdict. Texts are "" when the processor did not say. No text can hold a card number. */
struct money_outcome {
    enum outcome outcome;
    char processor_id[CONNECTOR_ID_SIZE];
    char authorisation_code[41];
    char reason[41]; /* class of decline.h ("NO_FUNDS"), or "" when approved or unknown */
    char raw_code[12];
    char raw_message[121]; /* redacted */
    char request_id[97];   /* what the processor's support asks for */
    char avs[4];
    char csc[4];
    char batch[41];
    int64_t approved_minor;
    /* The processor did what it must not (foreign answer, bad certificate, key refused, request
     * sent twice): a person is told. Says nothing about the outcome. */
    bool alarm;
    /* Approved for less than asked: outcome is UNKNOWN, processor_id and approved_minor are set;
     * the caller reverses it and answers DECLINED. Look at this before the outcome. */
    bool partial;
};

/* ---- look-up of an unknown outcome by our own ref ---- */

enum lookup {
    LOOKUP_APPROVED, /* exactly one approved row of our type, amount and last four */
    LOOKUP_DECLINED,
    LOOKUP_REVERSED, /* approved, and voided since */
    LOOKUP_ABSENT,   /* a well-formed 'not found' */
    LOOKUP_PENDING,  /* found, without a final result: ask again */
    LOOKUP_PARTIAL,  /* approved under our ref, but for less than asked */
    LOOKUP_MISMATCH, /* approved under our ref, but another amount or card */
    LOOKUP_SEVERAL,  /* more than one approved: ids, earliest first */
    LOOKUP_UNCLEAR,  /* transport fault or garbage: proves nothing */
};

/* One question; everything borrowed. */
struct lookup_request {
    enum connector_operation operation;
    const char *ref;
    int step; /* 0 .. connector.lookup_steps - 1, or connector.fallback_step */
    int64_t amount_minor;
    char currency[4];
    char last_four[5];        /* "" = not known: not compared */
    const char *follows;      /* as in the money request */
    const char *processor_id; /* if known, else NULL */
    int64_t sent_at;          /* Unix seconds, database clock: when the attempt began ... */
    int64_t closed_at;        /* ... and when its connection was closed */
    const char *cursor;       /* NULL, or `next` of the answer before */
    const struct secret *credential;
    const char *base_url;
};

/* A transaction that is approved and not voided. */
struct standing {
    char id[CONNECTOR_ID_SIZE];
    int64_t amount_minor; /* 0: not said */
};

struct lookup_outcome {
    enum lookup lookup;
    struct money_outcome found; /* the row decided upon: APPROVED, DECLINED, REVERSED, PARTIAL,
                                 * MISMATCH, SEVERAL: the earliest */
    /* APPROVED, SEVERAL, PARTIAL, MISMATCH: all that stands under our ref, earliest first. */
    struct standing standing[CONNECTOR_SEVERAL_MAX];
    size_t standing_count;
    bool more;                           /* than fit */
    char reversal_id[CONNECTOR_ID_SIZE]; /* REVERSED: the void, if its row was there */
    char next[CONNECTOR_ID_SIZE];        /* not "": ask again with this cursor before concluding */
    bool alarm;
};

/* ---- what became of the transaction that a void, capture or refund acts on ---- */

enum original {
    ORIGINAL_LIVE,    /* approved, not voided */
    ORIGINAL_VOIDED,  /* a void of it was approved, whoever asked for it */
    ORIGINAL_SETTLED, /* approved, its batch is closed: only a refund is possible */
    ORIGINAL_ABSENT,  /* well-formed 'not found' */
    ORIGINAL_UNCLEAR,
};

struct original_request {
    const char *follows; /* processor id of the original */
    char currency[4];
    const struct secret *credential;
    const char *base_url;
};

struct original_outcome {
    enum original original;
    char void_id[CONNECTOR_ID_SIZE];  /* VOIDED: the void's id, "" if only the status said so */
    char void_ref[CONNECTOR_ID_SIZE]; /* VOIDED: the void's own ref, "" if it has none */
    char batch[41];
    int64_t captured_minor; /* sum of approved captures seen */
    int64_t refunded_minor; /* sum of approved refunds seen */
};

/* ---- batches ---- */

enum batch_state {
    BATCH_OPEN,
    BATCH_PENDING, /* being processed */
    BATCH_CLOSED,
    BATCH_FAILED,
    BATCH_NONE,    /* the processor says there is no such (or no open) batch */
    BATCH_UNCLEAR, /* transport fault or garbage */
};

struct batch_request {
    const char *batch; /* parse_batches: the id looked for; else NULL */
    char currency[4];
    int64_t from_utc; /* Unix seconds, for build_batches */
    int64_t to_utc;
    int page; /* 0, 1, 2 ... */
    const struct secret *credential;
    const char *base_url;
};

struct batch_outcome {
    enum batch_state state;
    char id[41];
    char confirmation_code[41];
    char settled_at[41];
    char request_id[97];
    int64_t sales_count;
    int64_t sales_minor;
    int64_t refund_count;
    int64_t refund_minor;
    int64_t net_minor;
    int64_t total_count;
    bool totals_known; /* the six numbers above were all there */
    bool last;         /* parse_batches: no further page */
    bool alarm;
};

/* ---- the processor's list of a day ---- */

enum item_kind {
    ITEM_SALE,
    ITEM_AUTH,
    ITEM_CAPTURE,
    ITEM_VOID,
    ITEM_REFUND,
    ITEM_OTHER,
};

enum item_result {
    ITEM_APPROVED,
    ITEM_DECLINED,
    ITEM_VOIDED, /* was approved, its status says voided */
    ITEM_UNFINISHED,
};

struct processor_item {
    char id[CONNECTOR_ID_SIZE];
    char ref[CONNECTOR_ID_SIZE]; /* our attempt ref, "" if the row carries none of ours */
    enum item_kind kind;
    enum item_result result;
    int64_t amount_minor;
    char currency[4];
    char last_four[5];
    char follows[CONNECTOR_ID_SIZE]; /* the transaction it acts on, or "" */
    char batch[41];
    char created[41]; /* as printed; no zone, never for day borders */
    char authorisation_code[41];
    bool settled;
};

struct list_request {
    int64_t from_utc;   /* Unix seconds, inclusive */
    int64_t to_utc;     /* exclusive */
    int page;           /* 0, 1, 2 ... < CONNECTOR_PAGES_MAX */
    const char *cursor; /* NULL, or `next` of the page before */
    char currency[4];
    const struct secret *credential;
    const char *base_url;
};

struct processor_list {
    struct processor_item *items; /* owned */
    size_t count;
    bool last; /* no further page */
    char next[CONNECTOR_ID_SIZE];
};

/* ---- the connector ---- */

/* build_*: a request that the caller owns (hand it to http_send), or an error: REFUSED
 * (currency_unsupported, amount_out_of_range, field_invalid), FAILED (secret_memory_full,
 * url_too_long). parse_* are total: any result gives exactly one answer, `out` is always filled. */
struct connector {
    const char *name;
    bool idempotent;  /* a money request may be sent again with the same ref */
    int lookup_steps; /* the questions by ref: all must say ABSENT before it is believed */
    /* One more step for when those stay UNCLEAR though the processor answers: it can find, but its
     * silence is UNCLEAR, never ABSENT. -1: there is none. */
    int fallback_step;

    struct error *(*build_money)(const struct money_request *request,
                                 struct http_request **out)MUST_CHECK;
    void (*parse_money)(const struct money_request *request, const struct http_result *result,
                        struct money_outcome *out);

    struct error *(*build_lookup)(const struct lookup_request *request,
                                  struct http_request **out)MUST_CHECK;
    void (*parse_lookup)(const struct lookup_request *request, const struct http_result *result,
                         struct lookup_outcome *out);

    struct error *(*build_original)(const struct original_request *request,
                                    struct http_request **out)MUST_CHECK;
    void (*parse_original)(const struct original_request *request, const struct http_result *result,
                           struct original_outcome *out);

    /* NULL where a processor has no batches. */
    struct error *(*build_open_batch)(const struct batch_request *request,
                                      struct http_request **out)MUST_CHECK;
    struct error *(*build_close_batch)(const struct batch_request *request,
                                       struct http_request **out)MUST_CHECK;
    void (*parse_batch)(const struct batch_request *request, const struct http_result *result,
                        struct batch_outcome *out);
    /* After a close whose answer was lost: pages of batches, the wanted id picked out.
     * NONE with last = false: ask for the next page. */
    struct error *(*build_batches)(const struct batch_request *request,
                                   struct http_request **out)MUST_CHECK;
    void (*parse_batches)(const struct batch_request *request, const struct http_result *result,
                          struct batch_outcome *out);

    struct error *(*build_list)(const struct list_request *request,
                                struct http_request **out)MUST_CHECK;
    /* At most CONNECTOR_PAGE_ROWS_MAX rows. Errors: list_unclear (FAILED); `out` is empty then.
     * processor_list_clear() when done. */
    struct error *(*parse_list)(const struct list_request *request,
                                const struct http_result *result,
                                struct processor_list *out)MUST_CHECK;
};

/* The connector of that name, NULL if there is none. */
const struct connector *connector_find(const char *name);

/* "APPROVED", "DECLINED" ...: for tables and the journal. */
const char *outcome_name(enum outcome outcome);
const char *lookup_name(enum lookup lookup);

/* The transport table, the same for every processor. True: a complete answer is there, read it
 * (*outcome and *alarm untouched). False: *outcome is NOT_SENT or UNKNOWN. */
bool connector_transport(const struct http_result *result, enum outcome *outcome, bool *alarm);

/* Moves the rows of `page` into `all`, dropping ids already there (processors repeat rows between
 * pages); `all->last` and `all->next` become the page's. Empties `page`. Returns how many were new;
 * 0 is no end: the second page repeats the first where the processor counts pages from 1. */
size_t processor_list_take(struct processor_list *all, struct processor_list *page);
void processor_list_clear(struct processor_list *list);

#endif
