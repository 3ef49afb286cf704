/* What counts as text on the wire: UTF-8 without control characters. Shared by the reader and the
 * writer of messages, so that both refuse the same. Must never guess at broken bytes. */
#ifndef IPC_TEXT_H
#define IPC_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the UTF-8 character that starts here (1..4); 0 if it is broken, overlong, a surrogate,
 * or a control character. n > 0. */
size_t text_character(const char *text, size_t n);
/* All characters are good. `lines`: line breaks and tabs are good too. */
bool text_valid(const char *text, size_t n, bool lines);
/* "2026-02-29" is not a day. */
bool text_is_date(const char *text, size_t n);
bool text_is_currency(const char *text, size_t n);
/* As much as fits; a byte that is no text becomes '?': a sentence may have been cut inside a
 * character, or quote somebody, and an error must always reach the caller. */
void text_copy_valid(char *out, size_t room, const char *text);

#endif
