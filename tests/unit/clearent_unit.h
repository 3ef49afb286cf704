/* What the tests of the Clearent connector share: answers as they come from the wire. */
#ifndef TESTS_UNIT_CLEARENT_UNIT_H
#define TESTS_UNIT_CLEARENT_UNIT_H

#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "daemons/gatewayd/connector.h"

#define REF "7ZZZZZZZZZZZZZZZZZZZZZZZZ1"
#define OTHER_REF "7ZZZZZZZZZZZZZZZZZZZZZZZZ2"
#define BASE_URL "https://gateway.clearent.net"

/* A complete answer. */
static inline struct http_result answered(long status, const char *body)
{
    return (struct http_result){.sent_once = true,
                                .status = status,
                                .body = body,
                                .body_size = strlen(body),
                                .content_type = "application/json"};
}

/* printf into one of many static buffers: enough for one test. */
__attribute__((format(printf, 1, 2))) static inline const char *text(const char *format, ...)
{
    static char buffers[256][4096];
    static size_t next;
    char *buffer = buffers[next++ % 256];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(buffer, sizeof buffers[0], format, arguments);
    va_end(arguments);
    assert_in_range(n, 0, (int)sizeof buffers[0] - 1);
    return buffer;
}

/* One transaction row. */
static inline const char *row(const char *id, const char *type, const char *result,
                              const char *code, const char *amount, const char *more)
{
    return text("{\"amount\":\"%s\",\"id\":\"%s\",\"created\":\"2026-11-23 14:53:24.148\","
                "\"type\":\"%s\",\"result\":\"%s\",\"result-code\":\"%s\",\"card\":"
                "\"XXXXXXXXXXXX1111\",\"invoice\":\"" REF "\",\"order-id\":\"" REF "\"%s}",
                amount, id, type, result, code, more);
}

static inline const char *success(const char *payload)
{
    return text("{\"code\":\"200\",\"status\":\"success\",\"exchange-id\":\"ID-1\","
                "\"payload\":{%s}}",
                payload);
}

static inline const char *transaction(const char *one)
{
    return success(text("\"payloadType\":\"transaction\",\"transaction\":%s", one));
}

static inline const char *failure(long status, const char *code, const char *message)
{
    return text("{\"code\":\"%ld\",\"status\":\"fail\",\"exchange-id\":\"ID-2\",\"links\":[],"
                "\"payload\":{\"payloadType\":\"error\",\"error\":{\"error-message\":\"%s\","
                "\"result-code\":\"%s\"}}}",
                status, message, code);
}

static inline const char *list_of(const char *plural, const char *singular, const char *rows)
{
    return success(
        text("\"payloadType\":\"%s\",\"%s\":{\"%s\":[%s]}", plural, plural, singular, rows));
}

static inline const char *transactions(const char *rows)
{
    return list_of("transactions", "transaction", rows);
}

#endif
