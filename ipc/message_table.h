/* The descriptors that ipc/generate.py writes and the codec reads; private to ipc/. */
#ifndef IPC_MESSAGE_TABLE_H
#define IPC_MESSAGE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/buffer.h"
#include "ipc/messages.h"
#include "lib/error.h"

enum field_type {
    FIELD_TEXT,      /* char name[high + 1] */
    FIELD_LONG_TEXT, /* char *, malloc'd, may hold line breaks and tabs; not printed */
    FIELD_ID,        /* char name[ID_MAX] */
    FIELD_INT,       /* int64_t */
    FIELD_BOOL,      /* bool */
    FIELD_DATE,      /* char name[11] */
    FIELD_CURRENCY,  /* char name[4] */
    FIELD_SECRET,    /* struct secret * */
    FIELD_ENUM,      /* an enum whose values are 1..high, 0 = absent */
    FIELD_LIST,      /* struct *, and size_t at count_offset */
    FIELD_RECORD,    /* struct *, NULL = absent */
};

struct message_field {
    const char *name;
    size_t name_bytes;
    enum field_type type;
    bool optional;
    size_t offset;
    size_t count_offset;
    int64_t low, high; /* bytes, values, or items */
    const char *prefix;
    const char *const *choices;
    const struct message_record *record;
};

struct message_record {
    const char *name;
    size_t bytes;
    const struct message_field *fields;
    unsigned field_count; /* at most 64 */
};

/* Who may send it to whom: bits of enum peer. 0 in both is none. */
struct message_right {
    unsigned senders, to;
};
#define MESSAGE_RIGHTS_MAX 2

struct message_row {
    enum message_type type;
    const struct message_record *record;
    enum message_type answer; /* 0: it is an answer itself */
    uint32_t payload_max;     /* bytes; a longer one can't be right */
    struct message_right rights[MESSAGE_RIGHTS_MAX];
};

extern const struct message_row MESSAGE_ROWS[MESSAGE_TYPE_COUNT]; /* by number */

/* NULL for a number nobody declared. */
const struct message_row *message_row(unsigned type);
const char *message_choice_text(const char *const *choices, int count, int value);
/* 1..count, 0 if unknown. */
int message_choice_of(const char *const *choices, int count, const char *text, size_t n);
/* A zeroed new element of the list `field` in the struct at `base`; NULL when the list is full. */
void *message_list_grow(const struct message_field *field, char *base);

/* Where a reader or writer stands, for the path in errors: "invoices[3].amount_minor". */
struct message_place {
    const struct message_place *outer;
    const char *name; /* NULL: an element of the list named by `outer` */
    size_t index;
};

/* A refusal that names the place. `place` NULL = the message itself. */
struct error *message_refuse(const char *code, const struct message_place *place,
                             const char *sentence);
/* "must be text of 1 to 40 bytes" and the like, as field_bounds. */
struct error *message_refuse_bounds(const struct message_field *field,
                                    const struct message_place *place);
/* The checks of texts that reader and writer share: bounds and characters. */
bool message_text_fits(const struct message_field *field, const char *text, size_t n);

/* Appends the JSON of a message; what it appended before an error stays in the buffer. */
struct error *message_write(enum message_type type, const void *message,
                            struct buffer *out) MUST_CHECK;

#endif
