/* The head of an HTTP/1.1 request, taken apart in place.
 * It accepts only what a careful client sends; everything else is a reason to refuse. */
#ifndef CLEARENT_SIM_HTTP_HEAD_H
#define CLEARENT_SIM_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#include "service.h"

struct http_head {
    struct request request;
    size_t body_size;
    bool keep_alive;
};

/* `bytes` is changed and must live as long as the head; it ends with NUL instead of the empty
 * line. NULL when good, else why not (static). */
const char *http_head_read(char *bytes, struct http_head *head);

#endif
