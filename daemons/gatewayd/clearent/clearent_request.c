/* Builds Clearent's requests: URLs with every value percent-encoded, and the key's header line.
 * The money bodies are written by clearent_body.c. Must never put a secret into a URL. */
#include "daemons/gatewayd/clearent/clearent_request.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemons/gatewayd/clearent/clearent_body.h"
#include "lib/money.h"

#define CONNECT_TIMEOUT_MS 10000
#define MONEY_TIMEOUT_MS 75000
#define QUERY_TIMEOUT_MS 30000
#define CARD_SEARCH_MARGIN_S 900 /* around the attempt, for the search by card */
#define CREDENTIAL_MAX_BYTES 512

static const struct operation_row {
    const char *type;
    const char *path;
} operations[] = {
    [OPERATION_SALE] = {"SALE", "/rest/v2/transactions/sale"},
    [OPERATION_AUTH] = {"AUTH", "/rest/v2/transactions/auth"},
    [OPERATION_CAPTURE] = {"CAPTURE", "/rest/v2/transactions/capture"},
    [OPERATION_VOID] = {"VOID", "/rest/v2/transactions/void"},
    [OPERATION_REFUND] = {"REFUND", "/rest/v2/transactions/refund"},
};

const char *clearent_type(enum connector_operation operation)
{
    assert((size_t)operation < sizeof operations / sizeof operations[0]);
    return operations[operation].type;
}

/* ---- URLs ---- */

/* A URL being written; `full` once something did not fit. */
struct url {
    char *text;
    size_t size;
    size_t n;
    bool full;
    bool query;
};

static void url_put(struct url *url, const char *bytes, size_t n)
{
    if (url->full || n >= url->size - url->n) {
        url->full = true;
        return;
    }
    memcpy(url->text + url->n, bytes, n);
    url->n += n;
    url->text[url->n] = '\0';
}

static void url_put_encoded(struct url *url, const char *value)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-._~";
    for (const char *c = value; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        if (strchr(unreserved, *c) != NULL) {
            url_put(url, c, 1);
        } else {
            char encoded[3] = {'%', hex[byte >> 4], hex[byte & 15]};
            url_put(url, encoded, sizeof encoded);
        }
    }
}

static void url_parameter(struct url *url, const char *name, const char *value)
{
    url_put(url, url->query ? "&" : "?", 1);
    url->query = true;
    url_put(url, name, strlen(name));
    url_put(url, "=", 1);
    url_put_encoded(url, value);
}

static void url_number(struct url *url, const char *name, int value)
{
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    url_parameter(url, name, text);
}

/* The one date form that names its zone; whole minutes. */
static void url_minute(struct url *url, const char *name, int64_t seconds)
{
    char text[40] = "";
    time_t at = (time_t)seconds;
    struct tm utc;
    if (gmtime_r(&at, &utc) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &utc) == 0) {
        url->full = true;
        return;
    }
    url_parameter(url, name, text);
}

static int64_t minute_up(int64_t seconds)
{
    return seconds + (60 - seconds % 60) % 60;
}

/* ---- what all requests have ---- */

/* The key's header line. A key with a control character or a space could forge a header. */
static struct error *header_new(const struct secret *credential, struct secret **out)
{
    static const char name[] = "api-key: ";
    char line[sizeof name + CREDENTIAL_MAX_BYTES];
    size_t n = credential != NULL ? secret_size(credential) : 0;
    bool good = n > 0 && n <= CREDENTIAL_MAX_BYTES;
    for (size_t i = 0; good && i < n; i++) {
        good = secret_expose(credential)[i] > ' ' && secret_expose(credential)[i] <= '~';
    }
    if (!good) {
        return error_refused("credential_invalid", "credential",
                             "The processor key of this location is not usable.");
    }
    memcpy(line, name, sizeof name - 1);
    memcpy(line + sizeof name - 1, secret_expose(credential), n);
    *out = secret_new(line, sizeof name - 1 + n);
    secret_wipe(line, sizeof line);
    return *out != NULL ? NULL : error_failed("secret_memory_full", "no locked memory for a key");
}

static struct error *request_new(const char *method, const char *base_url, const char *path,
                                 const struct secret *credential, struct http_request **out,
                                 struct url *url)
{
    if (base_url == NULL || strncmp(base_url, "https://", 8) != 0) {
        return error_refused("base_url_invalid", "base_url",
                             "The address of the processor must begin with https://.");
    }
    struct secret *header = NULL;
    struct error *e = header_new(credential, &header);
    if (e != NULL) {
        return e;
    }
    struct http_request *request = http_request_new(method);
    request->secret_header = header;
    request->headers[0] = "Accept: application/json";
    request->headers[1] = "Content-Type: application/json";
    request->connect_timeout_ms = CONNECT_TIMEOUT_MS;
    request->timeout_ms = QUERY_TIMEOUT_MS;
    request->money = false;
    *url = (struct url){.text = request->url, .size = sizeof request->url};
    url_put(url, base_url, strlen(base_url));
    url_put(url, path, strlen(path));
    *out = request;
    return NULL;
}

/* Hands `request` on, or frees it if its URL did not fit. */
static struct error *request_done(struct http_request *request, const struct url *url,
                                  struct http_request **out)
{
    if (url->full) {
        http_request_free(request);
        return error_refused("url_too_long", "", "The request to the processor is too long.");
    }
    *out = request;
    return NULL;
}

/* ---- money ---- */

struct error *clearent_build_money(const struct money_request *request, struct http_request **out)
{
    assert((size_t)request->operation < sizeof operations / sizeof operations[0]);
    const struct operation_row *row = &operations[request->operation];
    *out = NULL;
    struct secret *body = NULL;
    struct error *e = clearent_body_new(request, &body);
    if (e != NULL) {
        return e;
    }
    struct url url;
    struct http_request *built = NULL;
    e = request_new("POST", request->base_url, row->path, request->credential, &built, &url);
    if (e != NULL) {
        secret_free(body);
        return e;
    }
    built->body = body;
    built->money = true;
    built->timeout_ms = MONEY_TIMEOUT_MS;
    return request_done(built, &url, out);
}

/* ---- look-ups ---- */

static void lookup_by_invoice(const struct lookup_request *request, struct url *url)
{
    url_parameter(url, "invoice", request->ref);
    url_parameter(url, "level", "merchant");
}

static void lookup_by_order_id(const struct lookup_request *request, struct url *url)
{
    url_parameter(url, "order-id", request->ref);
}

/* When the searches by ref are dead: everything of that card and amount around the attempt. */
static void lookup_by_card(const struct lookup_request *request, struct url *url)
{
    char amount[MONEY_TEXT_MAX];
    struct money money = {.minor = request->amount_minor};
    memcpy(money.currency, request->currency, sizeof money.currency);
    if (request->last_four[0] != '\0') {
        url_parameter(url, "last-four", request->last_four);
    }
    url_parameter(url, "amount", money_format(money, amount));
    int64_t closed_at =
        request->closed_at > request->sent_at ? request->closed_at : request->sent_at;
    url_minute(url, "start-date", request->sent_at - CARD_SEARCH_MARGIN_S);
    url_minute(url, "end-date", minute_up(closed_at + CARD_SEARCH_MARGIN_S));
    url_parameter(url, "level", "merchant");
    url_number(url, "page-size", CLEARENT_PAGE_SIZE);
}

static void (*const lookup_questions[])(const struct lookup_request *, struct url *) = {
    lookup_by_invoice,
    lookup_by_order_id,
    lookup_by_card,
};

struct error *clearent_build_lookup(const struct lookup_request *request, struct http_request **out)
{
    assert(request->step >= 0 &&
           (size_t)request->step < sizeof lookup_questions / sizeof lookup_questions[0]);
    *out = NULL;
    if (money_exponent(request->currency) != 2) {
        return error_refused("currency_unsupported", "currency", "This currency is not possible.");
    }
    struct url url;
    struct http_request *built = NULL;
    struct error *e = request_new("GET", request->base_url, "/rest/v2/transactions",
                                  request->credential, &built, &url);
    if (e != NULL) {
        return e;
    }
    lookup_questions[request->step](request, &url);
    return request_done(built, &url, out);
}

struct error *clearent_build_original(const struct original_request *request,
                                      struct http_request **out)
{
    *out = NULL;
    struct url url;
    struct http_request *built = NULL;
    struct error *e = request_new("GET", request->base_url, "/rest/v2/transactions",
                                  request->credential, &built, &url);
    if (e != NULL) {
        return e;
    }
    url_parameter(&url, "id", request->follows);
    url_parameter(&url, "level", "merchant");
    return request_done(built, &url, out);
}

/* ---- batches and lists ---- */

struct error *clearent_build_open_batch(const struct batch_request *request,
                                        struct http_request **out)
{
    *out = NULL;
    struct url url;
    struct http_request *built = NULL;
    struct error *e = request_new("GET", request->base_url, "/rest/v2/batches/open",
                                  request->credential, &built, &url);
    return e != NULL ? e : request_done(built, &url, out);
}

struct error *clearent_build_close_batch(const struct batch_request *request,
                                         struct http_request **out)
{
    *out = NULL;
    struct secret *body = secret_new("{}", 2);
    if (body == NULL) {
        return error_failed("secret_memory_full", "no locked memory for a request");
    }
    struct url url;
    struct http_request *built = NULL;
    struct error *e = request_new("PUT", request->base_url, "/rest/v2/batches/open",
                                  request->credential, &built, &url);
    if (e != NULL) {
        secret_free(body);
        return e;
    }
    built->body = body;
    /* Sent once, like money: a second close could close the next batch. */
    built->money = true;
    built->timeout_ms = MONEY_TIMEOUT_MS;
    return request_done(built, &url, out);
}

struct error *clearent_build_batches(const struct batch_request *request, struct http_request **out)
{
    *out = NULL;
    struct url url;
    struct http_request *built = NULL;
    struct error *e = request_new("GET", request->base_url, "/rest/v2/batches", request->credential,
                                  &built, &url);
    if (e != NULL) {
        return e;
    }
    url_minute(&url, "start-date", request->from_utc);
    url_minute(&url, "end-date", minute_up(request->to_utc));
    url_number(&url, "page", request->page);
    url_number(&url, "page-size", CLEARENT_PAGE_SIZE);
    return request_done(built, &url, out);
}

struct error *clearent_build_list(const struct list_request *request, struct http_request **out)
{
    *out = NULL;
    struct url url;
    struct http_request *built = NULL;
    struct error *e = request_new("GET", request->base_url, "/rest/v2/transactions",
                                  request->credential, &built, &url);
    if (e != NULL) {
        return e;
    }
    url_minute(&url, "start-date", request->from_utc);
    url_minute(&url, "end-date", minute_up(request->to_utc));
    url_parameter(&url, "level", "merchant");
    url_number(&url, "page", request->page);
    url_number(&url, "page-size", CLEARENT_PAGE_SIZE);
    url_parameter(&url, "isDescending", "false");
    return request_done(built, &url, out);
}
