/* The truth of what was executed: an append-only file of JSON lines, written before any answer.
 * It must never hold a card number, a security code or an api-key in clear. */
#include "ledger.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account.h"
#include "clock.h"
#include "ledger_reader.h"

enum { LINES_PER_MARK = 1024 };

static struct {
    int file;
    bool sync;
    struct text unsaved;
    uint64_t last;
    uint64_t file_size;
    uint64_t *marks; /* file offset of every 1024th line */
    size_t marks_count;
} ledger = {.file = -1};

static void mark_line(uint64_t offset)
{
    if (ledger.last % LINES_PER_MARK == 0) {
        ledger.marks = realloc(ledger.marks, (ledger.marks_count + 1) * sizeof *ledger.marks);
        if (ledger.marks == NULL) {
            abort();
        }
        ledger.marks[ledger.marks_count++] = offset;
    }
    ledger.last++;
}

static void line_begin(const char *event, const char *op)
{
    char time[32];
    int64_t now_us = clock_now_us();

    mark_line(ledger.file_size + ledger.unsaved.size);
    clock_print_iso(now_us, time, sizeof time);
    text_printf(&ledger.unsaved, "{\"n\":%llu,\"event\":\"%s\",\"op\":\"%s\",\"time\":\"%s\"",
                (unsigned long long)ledger.last, event, op, time);
    text_printf(&ledger.unsaved, ",\"time_us\":%lld", (long long)now_us);
}

static void line_account(uint32_t number)
{
    const struct account *account = account_at(number);

    text_json_field(&ledger.unsaved, "terminal", account->terminal);
    text_json_field(&ledger.unsaved, "merchant", account->merchant);
    text_json_field(&ledger.unsaved, "api_key", account->fingerprint);
}

static void line_end(void)
{
    text_add(&ledger.unsaved, "}\n", 2);
}

static void line_money(const char *name, int64_t minor)
{
    text_printf(&ledger.unsaved, ",\"%s\":\"", name);
    text_money(&ledger.unsaved, minor);
    text_add(&ledger.unsaved, "\"", 1);
}

void ledger_row(uint32_t place, const char *by)
{
    const struct row *row = row_at(place);
    struct text *line = &ledger.unsaved;

    line_begin(row->approved ? "executed" : "declined", operation_name(row->type));
    text_printf(line, ",\"id\":\"%llu\",\"created_us\":%lld", (unsigned long long)row_id(place),
                (long long)row->created_us);
    text_json_field(line, "ref", row->invoice);
    text_json_field(line, "order_id", row->order_id);
    line_money("amount", row->amount_minor);
    text_printf(line, ",\"amount_minor\":%lld", (long long)row->amount_minor);
    text_json_field(line, "last_four", row->last_four);
    line_account(row->account);
    if (row->batch != 0) {
        text_printf(line, ",\"batch\":\"%u\"", row->batch);
    }
    if (row->original != ROW_NONE) {
        text_printf(line, ",\"ref_id\":\"%llu\"", (unsigned long long)row_id(row->original));
    }
    text_json_field(line, "auth_code", row->auth_code);
    if (row->code != 0) {
        text_printf(line, ",\"code\":\"%03u\"", row->code);
    }
    text_json_field(line, "description", row->description);
    text_json_field(line, "customer_id", row->customer_id);
    text_json_field(line, "avs", (char[]){row->avs, '\0'});
    text_json_field(line, "csc", (char[]){row->csc, '\0'});
    text_json_field(line, "by", by);
    line_end();
}

void batch_confirmation(const struct batch *batch, char out[12])
{
    snprintf(out, 12, "%08u", 39999 + batch->number % 90000000u);
}

void ledger_batch_close(const struct batch *batch, const char *by)
{
    struct text *line = &ledger.unsaved;
    char confirmation[12];

    batch_confirmation(batch, confirmation);
    line_begin("executed", "batch_close");
    text_printf(line, ",\"id\":\"%u\",\"batch\":\"%u\"", batch->number, batch->number);
    line_account(batch->account);
    text_json_field(line, "status", batch_status_name(batch->status));
    text_json_field(line, "confirmation_code", confirmation);
    text_printf(line, ",\"closed_us\":%lld,\"settles_us\":%lld", (long long)batch->closed_us,
                (long long)batch->settles_us);
    text_printf(line, ",\"sales_count\":%u,\"refund_count\":%u", batch->totals.sales_count,
                batch->totals.refund_count);
    line_money("sales_total", batch->totals.sales_minor);
    line_money("refund_total", batch->totals.refund_minor);
    line_money("amount", batch->totals.sales_minor - batch->totals.refund_minor);
    text_json_field(line, "by", by);
    line_end();
}

void ledger_clock(int64_t ahead_us, int64_t rate_permille)
{
    line_begin("clock", "clock");
    text_printf(&ledger.unsaved, ",\"ahead_us\":%lld,\"rate_permille\":%lld", (long long)ahead_us,
                (long long)rate_permille);
    line_end();
}

void ledger_hide(uint32_t place)
{
    line_begin("hidden", "hide");
    text_printf(&ledger.unsaved, ",\"id\":\"%llu\"", (unsigned long long)row_id(place));
    line_end();
}

void ledger_alter(uint32_t place, int64_t minor)
{
    line_begin("altered", "alter");
    text_printf(&ledger.unsaved, ",\"id\":\"%llu\",\"amount_minor\":%lld",
                (unsigned long long)row_id(place), (long long)minor);
    line_end();
}

bool ledger_unsaved(void)
{
    return ledger.unsaved.size > 0;
}

static void ledger_broken(const char *what)
{
    fprintf(stderr, "clearent-sim: the ledger cannot be %s: %s\n", what, strerror(errno));
    exit(1);
}

void ledger_save(void)
{
    size_t done = 0;

    if (ledger.unsaved.size == 0) {
        return;
    }
    while (done < ledger.unsaved.size) {
        ssize_t size = write(ledger.file, ledger.unsaved.bytes + done, ledger.unsaved.size - done);

        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size <= 0) {
            ledger_broken("written");
        }
        done += (size_t)size;
    }
    if (ledger.sync && fdatasync(ledger.file) != 0) {
        ledger_broken("synced");
    }
    ledger.file_size += done;
    text_clear(&ledger.unsaved);
}

uint64_t ledger_last(void)
{
    return ledger.last;
}

/* Line numbers count from 1 and are its place in the file, so `since` picks the mark to read from.
 */
void ledger_read(struct text *out, uint64_t since, bool all, const char *ref)
{
    uint64_t mark = since / LINES_PER_MARK;
    struct text wanted = {0};
    int file;
    FILE *stream;
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    bool first = true;

    if (since >= ledger.last) {
        return;
    }
    if (ref != NULL) {
        text_json_field(&wanted, "ref", ref);
        text_add(&wanted, "", 1);
    }
    ledger_save();
    file = dup(ledger.file);
    stream = fdopen(file, "r");
    assert(stream != NULL && mark < ledger.marks_count);
    fseeko(stream, (off_t)ledger.marks[mark], SEEK_SET);
    while ((size = getline(&line, &room, stream)) > 1) {
        uint64_t n = strtoull(line + strlen("{\"n\":"), NULL, 10);

        if (n <= since || (!all && strstr(line, ",\"event\":\"executed\"") == NULL) ||
            (ref != NULL && strstr(line, wanted.bytes) == NULL)) {
            continue;
        }
        text_add(out, ",", first ? 0 : 1);
        text_add(out, line, (size_t)size - 1);
        first = false;
    }
    free(line);
    fclose(stream);
    text_free(&wanted);
    lseek(ledger.file, 0, SEEK_END);
}

/* The file is read line by line once; what follows the last newline was never answered. */
static bool ledger_load(const char *path)
{
    FILE *stream = fdopen(dup(ledger.file), "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    bool good = true;

    assert(stream != NULL);
    while (good && (size = getline(&line, &room, stream)) > 0 && line[size - 1] == '\n') {
        mark_line(ledger.file_size);
        good = ledger_line_take(line, (size_t)size, ledger.last);
        ledger.file_size += (uint64_t)size;
    }
    if (!good) {
        fprintf(stderr, "clearent-sim: %s line %llu is not a ledger line\n", path,
                (unsigned long long)ledger.last);
    }
    free(line);
    fclose(stream);
    return good && ftruncate(ledger.file, (off_t)ledger.file_size) == 0;
}

bool ledger_open(const char *path, bool sync)
{
    ledger.file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ledger.sync = sync;
    if (ledger.file < 0) {
        fprintf(stderr, "clearent-sim: cannot open the ledger %s: %s\n", path, strerror(errno));
        return false;
    }
    return ledger_load(path);
}
