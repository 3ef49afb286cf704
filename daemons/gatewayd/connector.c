/* The table of connectors and what all of them share: the transport table and lists of items.
 * Must never call a request 'not sent' on any proof but a request size of 0. */
#include "daemons/gatewayd/connector.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/gatewayd/clearent/clearent.h"

static const struct connector *const connectors[] = {
    &clearent_connector,
};

const struct connector *connector_find(const char *name)
{
    for (size_t i = 0; i < sizeof connectors / sizeof connectors[0]; i++) {
        if (name != NULL && strcmp(connectors[i]->name, name) == 0) {
            return connectors[i];
        }
    }
    return NULL;
}

static const char *const outcome_names[] = {
    [OUTCOME_APPROVED] = "APPROVED", [OUTCOME_ACCEPTED] = "ACCEPTED",
    [OUTCOME_DECLINED] = "DECLINED", [OUTCOME_NOT_SENT] = "NOT_SENT",
    [OUTCOME_REFUSED] = "REFUSED",   [OUTCOME_UNKNOWN] = "UNKNOWN",
};

const char *outcome_name(enum outcome outcome)
{
    assert((size_t)outcome < sizeof outcome_names / sizeof outcome_names[0]);
    return outcome_names[outcome];
}

static const char *const lookup_names[] = {
    [LOOKUP_APPROVED] = "APPROVED", [LOOKUP_DECLINED] = "DECLINED", [LOOKUP_REVERSED] = "REVERSED",
    [LOOKUP_ABSENT] = "ABSENT",     [LOOKUP_PENDING] = "PENDING",   [LOOKUP_PARTIAL] = "PARTIAL",
    [LOOKUP_MISMATCH] = "MISMATCH", [LOOKUP_SEVERAL] = "SEVERAL",   [LOOKUP_UNCLEAR] = "UNCLEAR",
};

const char *lookup_name(enum lookup lookup)
{
    assert((size_t)lookup < sizeof lookup_names / sizeof lookup_names[0]);
    return lookup_names[lookup];
}

/* What a transport result means; `read` = an answer is complete. One row per kind of failure that
 * was measured; the last row is every other code. */
struct transport_row {
    int curl_code; /* -1: any */
    bool read;     /* when something was sent: a complete answer */
    bool alarm_unsent;
    bool alarm_sent;
};

static const struct transport_row transport_rows[] = {
    {CURLE_OK, true, true, false},                       /* an answer to nothing is no answer */
    {CURLE_COULDNT_RESOLVE_HOST, false, false, false},   /* 6 */
    {CURLE_COULDNT_CONNECT, false, false, false},        /* 7: refused, no route */
    {CURLE_OPERATION_TIMEDOUT, false, false, false},     /* 28: either side of the first byte */
    {CURLE_SSL_CONNECT_ERROR, false, false, false},      /* 35 */
    {CURLE_PEER_FAILED_VERIFICATION, false, true, true}, /* 60: somebody else answers there */
    {CURLE_RECV_ERROR, false, false, false},             /* 56: reset, closed, bad chunk */
    {CURLE_GOT_NOTHING, false, false, false},            /* 52 */
    {CURLE_PARTIAL_FILE, false, false, false},           /* 18: even with 200 */
    {CURLE_UNSUPPORTED_PROTOCOL, false, false, false},   /* 1: not HTTP at all */
    {CURLE_SEND_ERROR, false, false, false},             /* 55 */
    {CURLE_ABORTED_BY_CALLBACK, false, false, false},    /* 42 */
    {-1, false, false, false},
};

bool connector_transport(const struct http_result *result, enum outcome *outcome, bool *alarm)
{
    const struct transport_row *row = transport_rows;
    while (row->curl_code != -1 && row->curl_code != result->curl_code) {
        row++;
    }
    if (result->nothing_sent) {
        /* With code 0 the two facts contradict each other: no proof, so not NOT_SENT. */
        *outcome = row->read ? OUTCOME_UNKNOWN : OUTCOME_NOT_SENT;
        *alarm = row->alarm_unsent;
        return false;
    }
    if (!result->sent_once || result->body_too_large || !row->read) {
        *outcome = OUTCOME_UNKNOWN;
        *alarm = row->alarm_sent || !result->sent_once;
        return false;
    }
    return true;
}

static bool list_has(const struct processor_list *list, const char *id)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

size_t processor_list_take(struct processor_list *all, struct processor_list *page)
{
    size_t taken = 0;
    struct processor_item *grown =
        realloc(all->items, (all->count + page->count + 1) * sizeof *grown);
    if (grown == NULL) {
        abort();
    }
    all->items = grown;
    for (size_t i = 0; i < page->count; i++) {
        if (!list_has(all, page->items[i].id)) {
            all->items[all->count++] = page->items[i];
            taken++;
        }
    }
    all->last = page->last;
    memcpy(all->next, page->next, sizeof all->next);
    processor_list_clear(page);
    return taken;
}

void processor_list_clear(struct processor_list *list)
{
    free(list->items);
    *list = (struct processor_list){0};
}
