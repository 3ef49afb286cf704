/* The head of an HTTP/1.1 request, taken apart in place.
 * It must never read beyond the NUL its caller put behind it. */
#include "http_head.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum header {
    HEADER_API_KEY,
    HEADER_ACCEPT,
    HEADER_CONTENT_TYPE,
    HEADER_CONTENT_LENGTH,
    HEADER_HOST,
    HEADER_CONNECTION,
    HEADER_TRANSFER_ENCODING,
    HEADER_EXPECT,
    HEADER_COUNT
};

static const char *const NAMES[HEADER_COUNT] = {"api-key",           "accept", "content-type",
                                                "content-length",    "host",   "connection",
                                                "transfer-encoding", "expect"};

enum { BODY_DIGITS_MAX = 7 };

static const char *request_line(char *line, struct request *request)
{
    char *path = strchr(line, ' ');
    char *version = path == NULL ? NULL : strchr(path + 1, ' ');
    char *query;

    if (version == NULL || strcmp(version + 1, "HTTP/1.1") != 0 || path[1] != '/') {
        return "the request line is not 'METHOD /path HTTP/1.1'";
    }
    *path++ = '\0';
    *version = '\0';
    query = strchr(path, '?');
    if (query != NULL) {
        *query++ = '\0';
    }
    request->method = line;
    request->path = path;
    request->query = query;
    return NULL;
}

static const char *header_line(char *line, const char **values)
{
    char *value = strchr(line, ':');

    if (value == NULL || value == line) {
        return "a header line has no name";
    }
    *value++ = '\0';
    value += strspn(value, " \t");
    for (int i = 0; i < HEADER_COUNT; i++) {
        if (strcasecmp(NAMES[i], line) == 0) {
            if (values[i] != NULL) {
                return "a header is there twice";
            }
            values[i] = value;
        }
    }
    return NULL;
}

static const char *values_take(struct http_head *head, const char *const *values)
{
    const char *length = values[HEADER_CONTENT_LENGTH];

    if (values[HEADER_HOST] == NULL) {
        return "Host is missing";
    }
    if (values[HEADER_TRANSFER_ENCODING] != NULL || values[HEADER_EXPECT] != NULL) {
        return "send a Content-Length, no Transfer-Encoding and no Expect";
    }
    if (length != NULL) {
        size_t digits = strspn(length, "0123456789");

        if (digits == 0 || digits > BODY_DIGITS_MAX || length[digits] != '\0') {
            return "Content-Length is not a number";
        }
        head->body_size = strtoul(length, NULL, 10);
    } else if (strcmp(head->request.method, "POST") == 0 ||
               strcmp(head->request.method, "PUT") == 0) {
        return "Content-Length is missing";
    }
    head->request.api_key = values[HEADER_API_KEY];
    head->request.accept = values[HEADER_ACCEPT];
    head->request.content_type = values[HEADER_CONTENT_TYPE];
    head->keep_alive =
        values[HEADER_CONNECTION] == NULL || strcasecmp(values[HEADER_CONNECTION], "close") != 0;
    return NULL;
}

const char *http_head_read(char *bytes, struct http_head *head)
{
    const char *values[HEADER_COUNT] = {NULL};
    const char *wrong = NULL;
    char *line = bytes;

    *head = (struct http_head){.body_size = 0};
    while (wrong == NULL && line != NULL) {
        char *end = strstr(line, "\r\n");

        if (end != NULL) {
            *end = '\0';
        }
        wrong = line == bytes ? request_line(line, &head->request) : header_line(line, values);
        line = end == NULL ? NULL : end + 2;
    }
    return wrong != NULL ? wrong : values_take(head, values);
}
