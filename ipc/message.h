/* Messages as C structs: generic codec over the descriptors that ipc/generate.py makes from
 * ipc/messages.txt. Texts are char arrays in the struct (always NUL-terminated), secrets are owned
 * `struct secret *`, an optional inner struct is an owned pointer, lists are `items, count` owned.
 * The decoder is strict: unknown or missing field, wrong type, out of bounds are refused with the
 * field's name. The printer prints secrets as "***". */
#ifndef IPC_MESSAGE_H
#define IPC_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/messages.h" /* generated: enum message_type MESSAGE_PAY ..., struct msg_pay ... */
#include "lib/error.h"

/* A zeroed message of this type; the caller owns it. Never NULL. */
void *message_new(enum message_type type);
void message_free(enum message_type type, void *message); /* wipes; NULL is allowed */
const char *message_name(enum message_type type);         /* NULL if unknown */
/* JSON payload -> struct. Errors refused: message_unknown, json_invalid, field_unknown,
 * field_missing, field_type, field_bounds (field = path such as "invoices[3].amount_minor"). */
struct error *message_decode(enum message_type type, const char *payload, size_t n,
                             void **out) MUST_CHECK;
/* Struct -> JSON in a malloc'd buffer the caller must give back with message_payload_free (wiped).
 * Encoding checks the same bounds (a bad value is refused, naming the field). */
struct error *message_encode(enum message_type type, const void *message, char **payload,
                             size_t *n) MUST_CHECK;
void message_payload_free(char *payload, size_t n);
/* Redacted JSON for logs and people, malloc'd; secrets "***". */
char *message_print(enum message_type type, const void *message);
/* Appends a zeroed element to a list field and returns it, e.g. struct msg_log_row *r =
 * message_list_add(MESSAGE_LOG_ROWS, m, "rows"); NULL when the list is full. */
void *message_list_add(enum message_type type, void *message, const char *name);

#endif
