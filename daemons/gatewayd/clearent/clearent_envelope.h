/* Reads Clearent's answer envelope and the rows in it, tolerating what its sources disagree about:
 * codes and ids as text or number, upper and lower case, shapes of lists, places of errors. Must
 * never guess: what can't be read is absent. */
#ifndef DAEMONS_GATEWAYD_CLEARENT_CLEARENT_ENVELOPE_H
#define DAEMONS_GATEWAYD_CLEARENT_CLEARENT_ENVELOPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemons/gatewayd/connector.h"

struct clearent_envelope {
    json_t *root;    /* owned; the rest borrows from it */
    json_t *payload; /* an object, or NULL */
    json_t *error;   /* an object, or NULL */
    char request_id[97];
};

/* True: strict JSON, an object, its code equal to the HTTP status and its status word fitting it.
 * False: nothing may be concluded. Close it in both cases. */
bool clearent_envelope_open(const struct http_result *result, struct clearent_envelope *out);
void clearent_envelope_close(struct clearent_envelope *envelope);

enum clearent_list {
    CLEARENT_LIST_ROWS,    /* rows may be 0 */
    CLEARENT_LIST_NOTHING, /* a well-formed 'nothing found' */
    CLEARENT_LIST_UNCLEAR,
};

struct clearent_rows {
    json_t *array;  /* borrowed from the envelope, or NULL */
    json_t *single; /* one row that was not in an array, or NULL */
    size_t count;
    bool last;        /* no further page */
    bool last_known;  /* the answer said so, one way or the other */
    int64_t total;    /* over all pages, -1 if not said */
    int64_t elements; /* on this page, -1 if not said */
};

/* The rows under payload.<plural>.<singular>[] and its variants. */
enum clearent_list clearent_rows_open(const struct http_result *result, const char *plural,
                                      const char *singular, struct clearent_envelope *envelope,
                                      struct clearent_rows *rows);
const json_t *clearent_row(const struct clearent_rows *rows, size_t i);

/* A member as printable ASCII text, from a string or an integer. False and "" if it is absent;
 * false and "" also if it is too long or holds other characters, with *bad set. */
bool clearent_text(const json_t *object, const char *name, char *out, size_t size, bool *bad);
/* The same for a name that some pages print with underscores. */
bool clearent_twin(const json_t *object, const char *name, char *out, size_t size, bool *bad);
/* The same for an id, which may be a long number but never a card's: with a right check digit and
 * these last four ("": whatever its last four). */
bool clearent_id(const json_t *object, const char *name, const char *last_four, char *out,
                 size_t size, bool *bad);
/* A text of at most 40 characters that is only shown, such as a code or a time: redacted, "" if it
 * is absent or bad; hyphens or underscores in its name. */
void clearent_shown(const json_t *object, const char *name, char *out, size_t size);
bool clearent_has(const json_t *object, const char *name);
/* result-code as an integer, CLEARENT_CODE_NONE if absent or unreadable. */
int clearent_result_code(const json_t *object);
/* An amount in minor units, exactly; false if absent or not exact. */
bool clearent_amount(const json_t *object, const char *name, const char *currency, int64_t *minor);
/* The last four digits found in `card`; false if there are fewer. */
bool clearent_last_four(const json_t *object, char out[5]);
/* A sentence for a table: other characters than printable ones out, long digit runs masked. */
void clearent_redact(const char *text, char *out, size_t size);
/* Redacted member. */
void clearent_message(const json_t *object, const char *name, char *out, size_t size);
/* Redacted member that a processor may have put the security code into: each run of three or four
 * digits is masked too. For a sentence, never for a code. */
void clearent_sentence(const json_t *object, const char *name, char *out, size_t size);
/* What a row's type says, in any case; a row without one is ITEM_OTHER. */
enum item_kind clearent_kind(const json_t *row);
/* True if the row's type is what our own request of that operation makes. */
bool clearent_is_ours(const json_t *row, enum connector_operation operation);
/* The row's own words about what became of it later. */
bool clearent_is_voided(const json_t *row);
bool clearent_is_settled(const json_t *row);
bool clearent_result_is(const json_t *row, const char *word);

enum clearent_ref {
    CLEARENT_REF_OURS, /* invoice, order-id or both are our ref, none is another */
    CLEARENT_REF_NONE, /* the row has neither */
    CLEARENT_REF_HALF, /* one is ours, the other is not */
    CLEARENT_REF_OTHER,
};
enum clearent_ref clearent_ref_of(const json_t *row, const char *ref);

enum clearent_echo {
    CLEARENT_ECHO_OURS,
    CLEARENT_ECHO_LESS, /* ours, a sale or authorisation for less than asked */
    CLEARENT_ECHO_OTHER,
};
/* Does the row repeat type, amount and last four of our request? With `complete` a sale must show
 * all of them and what follows one at least its type, and the amount unless it is a void; without,
 * only what is shown counts. */
enum clearent_echo clearent_echo_of(const json_t *row, const struct money_request *request,
                                    bool complete);
/* Fills what an outcome keeps of a transaction row (not outcome, partial, alarm, request_id).
 * False if the row has no usable id. `last_four` guards against a card number in its place. */
bool clearent_transaction_read(const json_t *row, const char *currency, const char *last_four,
                               struct money_outcome *out);

#endif
