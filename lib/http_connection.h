/* How an exchange takes over a connection that was opened early (lib/http.h); for lib/http.c only.
 */
#ifndef LIB_HTTP_CONNECTION_H
#define LIB_HTTP_CONNECTION_H

#include <curl/curl.h>
#include <stdbool.h>

#include "lib/http.h"

/* Does it lead to where `url` points, and is it as good as a connection opened now? */
bool http_connection_serves(const struct http_connection *connection, const char *url);
/* `ready` is called once, never from inside this call: with CURLE_OK when it stands, else
 * with what was wrong with it. */
void http_connection_await(struct http_connection *connection,
                           void (*ready)(void *context, CURLcode code), void *context);
/* Name of the abstract socket where this process, and nobody else, reaches the processor in clear.
 * Of a connection that stands; good for one exchange. Borrowed. */
const char *http_connection_socket(const struct http_connection *connection);
/* What broke it, in curl's words; "" if nothing did. */
const char *http_connection_error(const struct http_connection *connection);

#endif
