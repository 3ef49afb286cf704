/* The journal: event kinds and fields, to journald or as one line a write on stderr.
 * Must never print a secret: no field type takes one, and digit runs that look like a PAN are
 * masked as a last net. */
#include "lib/log.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"

#define JOURNAL_PARTS_MAX (LOG_FIELDS_MAX + 4)
#define LOG_FIELD_MAX_BYTES 1280
#define LOG_LINE_MAX_BYTES 8192
#define PRIORITY_DEBUG 7 /* syslog's number */
#define PAN_DIGITS_MIN 13
#define PAN_DIGITS_MAX 19

static const struct kind {
    const char *message_id;
    int priority;
    const char *sentence;
} KINDS[] = {
#define JOURNAL_KIND(name, message_id, priority, sentence) {message_id, priority, sentence},
#include "lib/journal_kinds.def"
#undef JOURNAL_KIND
};

static const char *program_name = "kometpay";
static bool to_journal;
static bool with_debug;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* True if `n` digits pass the check that every card number passes. */
static bool luhn_passes(const char *digits, size_t n)
{
    int sum = 0;
    for (size_t i = 0; i < n; i++) {
        int digit = digits[n - 1 - i] - '0';
        if (i % 2 == 1) {
            digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
        }
        sum += digit;
    }
    return sum % 10 == 0;
}

/* Which characters from `text` on must be masked, bit 0 for the first: those of every text that
 * starts here and reads as a card number, but for its last four digits. Such a text is groups of
 * digits with one space or dash between them, and ends where a group ends. */
static uint64_t pan_bits(const char *text)
{
    char digits[PAN_DIGITS_MAX];
    size_t places[PAN_DIGITS_MAX]; /* at most 19 digits and 18 separators: fits 64 bits */
    uint64_t bits = 0;
    size_t count = 0;
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (is_digit(text[i])) {
            if (count == PAN_DIGITS_MAX) {
                break;
            }
            places[count] = i;
            digits[count++] = text[i];
            bool group_ends = !is_digit(text[i + 1]);
            if (group_ends && count >= PAN_DIGITS_MIN && luhn_passes(digits, count)) {
                for (size_t hidden = 0; hidden < count - 4; hidden++) {
                    bits |= UINT64_C(1) << places[hidden];
                }
            }
        } else if ((text[i] != ' ' && text[i] != '-') || !is_digit(text[i + 1])) {
            break;
        }
    }
    return bits;
}

/* From left to right; what a number hides further on is kept in `hidden`, so that an overlapping
 * number that starts there is still seen whole. */
void log_mask(char *text)
{
    uint64_t hidden = 0;
    bool in_group = false;
    for (size_t i = 0; text[i] != '\0'; i++) {
        bool digit = is_digit(text[i]);
        if (digit && !in_group) {
            hidden |= pan_bits(text + i);
        }
        in_group = digit;
        if ((hidden & 1) != 0) {
            text[i] = '*';
        }
        hidden >>= 1;
    }
}

/* stderr is journald's stream when systemd says so and the file is still the same one. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    char ours[64];
    if (stream == NULL || fstat(STDERR_FILENO, &st) != 0) {
        return false;
    }
    (void)snprintf(ours, sizeof ours, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(stream, ours) == 0;
}

void log_start(const char *program)
{
    program_name = program;
    to_journal = stderr_is_journal();
}

void log_debug(bool wanted)
{
    with_debug = wanted;
}

/* A line under construction: what does not fit is cut, there is always room for the newline. */
struct line {
    size_t n;
    char text[LOG_LINE_MAX_BYTES];
};

static void line_char(struct line *line, char c)
{
    if (line->n < sizeof line->text - 1) {
        line->text[line->n++] = c;
    }
}

static void line_text(struct line *line, const char *text)
{
    for (size_t i = 0; text[i] != '\0'; i++) {
        line_char(line, text[i]);
    }
}

static void line_escaped(struct line *line, char c)
{
    static const char HEX[] = "0123456789abcdef";
    unsigned char byte = (unsigned char)c;
    if (c == '"' || c == '\\') {
        line_char(line, '\\');
        line_char(line, c);
    } else if (c == '\n') {
        line_text(line, "\\n");
    } else if (byte < 0x20 || byte >= 0x7f) {
        line_text(line, "\\x");
        line_char(line, HEX[byte >> 4]);
        line_char(line, HEX[byte & 15]);
    } else {
        line_char(line, c);
    }
}

/* Bare where that can't be misread, else in quotes: one event stays one line of tellable fields. */
static void line_value(struct line *line, const char *value)
{
    static const char BARE[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789_.:/@,+-*";
    size_t n = strlen(value);
    if (n > 0 && strspn(value, BARE) == n) {
        line_text(line, value);
        return;
    }
    line_char(line, '"');
    for (size_t i = 0; i < n; i++) {
        line_escaped(line, value[i]);
    }
    line_char(line, '"');
}

static void line_time(struct line *line)
{
    int64_t us = clock_wall_us();
    time_t seconds = (time_t)(us / 1000000);
    struct tm utc;
    char text[64];
    if (gmtime_r(&seconds, &utc) == NULL || strftime(text, 32, "%Y-%m-%dT%H:%M:%S", &utc) == 0) {
        abort();
    }
    (void)snprintf(text + strlen(text), 16, ".%03dZ ", (int)(us / 1000 % 1000));
    line_text(line, text);
}

/* One NAME=value, masked; `out` has LOG_FIELD_MAX_BYTES. Returns where the value starts. */
static const char *field_text(const char *name, const char *value, char *out)
{
    int n = snprintf(out, LOG_FIELD_MAX_BYTES, "%s=", name);
    assert(n > 1 && n < 80);
    char *start = out + n;
    (void)snprintf(start, LOG_FIELD_MAX_BYTES - (size_t)n, "%s", value);
    log_mask(start);
    return start;
}

static void send_line(const struct kind *kind, const struct log_field *fields)
{
    struct line line = {.n = 0};
    line_time(&line);
    line_text(&line, program_name);
    line_text(&line, ": ");
    line_text(&line, kind->sentence);
    for (const struct log_field *field = fields; field->name != NULL; field++) {
        if (field->value != NULL) {
            char text[LOG_FIELD_MAX_BYTES];
            const char *value = field_text(field->name, field->value, text);
            line_char(&line, ' ');
            line_text(&line, field->name);
            line_char(&line, '=');
            line_value(&line, value);
        }
    }
    line_text(&line, " MESSAGE_ID=");
    line_text(&line, kind->message_id);
    line.text[line.n++] = '\n';
    ssize_t written;
    do {
        written = write(STDERR_FILENO, line.text, line.n);
    } while (written < 0 && errno == EINTR);
}

static bool send_journal(const struct kind *kind, const struct log_field *fields)
{
    static char texts[JOURNAL_PARTS_MAX][LOG_FIELD_MAX_BYTES];
    char priority[2] = {(char)('0' + kind->priority), '\0'};
    const struct log_field first[] = {{"MESSAGE", kind->sentence},
                                      {"MESSAGE_ID", kind->message_id},
                                      {"PRIORITY", priority},
                                      {"SYSLOG_IDENTIFIER", program_name},
                                      {NULL, NULL}};
    const struct log_field *const lists[] = {first, fields};
    struct iovec parts[JOURNAL_PARTS_MAX];
    size_t n = 0;
    for (size_t list = 0; list < 2; list++) {
        for (const struct log_field *field = lists[list]; field->name != NULL; field++) {
            if (field->value != NULL && n < JOURNAL_PARTS_MAX) {
                (void)field_text(field->name, field->value, texts[n]);
                parts[n] = (struct iovec){.iov_base = texts[n], .iov_len = strlen(texts[n])};
                n++;
            }
        }
    }
    return sd_journal_sendv(parts, (int)n) >= 0;
}

void log_event_fields(enum log_kind kind, const struct log_field *fields)
{
    assert((unsigned)kind < LOG_KIND_COUNT);
    if (KINDS[kind].priority == PRIORITY_DEBUG && !with_debug) {
        return;
    }
    int saved = errno; /* logging between a call and the look at its errno must not change it */
    if (!to_journal || !send_journal(&KINDS[kind], fields)) {
        send_line(&KINDS[kind], fields);
    }
    errno = saved;
}

void log_error(enum log_kind kind, const struct error *e, const char *payment)
{
    assert(e != NULL);
    log_event(kind, {"KOMETPAY_PAYMENT", payment}, {"KOMETPAY_CODE", e->code},
              {"KOMETPAY_FIELD", e->field[0] != '\0' ? e->field : NULL},
              {"KOMETPAY_SENTENCE", e->sentence},
              {"KOMETPAY_CONTEXT", e->context[0] != '\0' ? e->context : NULL});
}
