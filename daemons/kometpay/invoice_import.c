/* kometpay invoice import: an ERP's export, in two passes over the whole file: the first only
 * checks, so that nothing is imported while any line is bad. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemons/kometpay/command.h"
#include "daemons/kometpay/invoice_file.h"
#include "daemons/kometpay/suite.h"
#include "daemons/kometpay/table.h"

#define PIECE_WAIT_MS 120000
#define BAR_WIDTH 30
#define NUMBER_MAX_BYTES 32
#define FAULTS_SHOWN_MAX 200

static const struct option_row OPTIONS[] = {
    {"format", OPTION_TEXT, "FORMAT", "csv or json (one object a line); else by the file's name"},
    {"check", OPTION_FLAG, NULL, "only check; import nothing"},
    OPTION_JSON,
    OPTION_END,
};

static const struct column FAULT_COLUMNS[] = {
    {"line", COLUMN_RIGHT},         {"field", COLUMN_LEFT}, {"code", COLUMN_LEFT},
    {"what is wrong", COLUMN_LEFT}, {NULL, COLUMN_LEFT},
};

/* One import: the file, and what the passes found. */
struct import {
    const char *name;
    enum invoice_import_format format;
    const char *text;
    size_t size;
    char header[1001];
    struct invoice_cursor body; /* where the rows begin */
    struct table *faults;
    int64_t fault_count;
    int64_t read, created, changed, same;
};

static struct error *open_file(struct import *import)
{
    int fd = open(import->name, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        const char *why = fd < 0 ? strerror(errno) : "not a file";
        if (fd >= 0) {
            close(fd);
        }
        return error_refused("file_unreadable", "FILE", "The file can't be read: %s.", why);
    }
    import->size = (size_t)st.st_size;
    if (import->size > 0) {
        void *text = mmap(NULL, import->size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (text != MAP_FAILED) {
            import->text = text;
        }
    }
    close(fd);
    if (import->text == NULL) {
        return error_refused("file_unreadable", "FILE", "The file is empty or can't be mapped.");
    }
    if (memchr(import->text, '\0', import->size) != NULL) {
        return error_refused("file_not_text", "FILE", "The file isn't text in UTF-8.");
    }
    return NULL;
}

static struct error *choose_format(struct import *import, const struct options *o)
{
    const char *format = options_text(o, "format");
    if (format == NULL) {
        const char *dot = strrchr(import->name, '.');
        format = dot != NULL ? dot + 1 : "";
    }
    if (strcasecmp(format, "csv") == 0) {
        import->format = INVOICE_IMPORT_FORMAT_CSV;
    } else if (strcasecmp(format, "json") == 0 || strcasecmp(format, "jsonl") == 0 ||
               strcasecmp(format, "ndjson") == 0) {
        import->format = INVOICE_IMPORT_FORMAT_JSON;
    } else {
        return error_refused("format_unknown", "format", "Say --format csv or --format json.");
    }
    return NULL;
}

static struct error *find_body(struct import *import)
{
    import->body = (struct invoice_cursor){import->text, import->size, 0, 1};
    if (import->format == INVOICE_IMPORT_FORMAT_CSV) {
        struct invoice_piece header = invoice_cursor_header(&import->body);
        if (header.size == 0 || header.size >= sizeof import->header) {
            return error_refused("header_invalid", "FILE",
                                 "The first line must name the columns, in at most %zu bytes.",
                                 sizeof import->header - 1);
        }
        memcpy(import->header, header.text, header.size);
    }
    if (import->body.at == import->size) {
        return error_refused("file_empty", "FILE", "The file has no invoices.");
    }
    return NULL;
}

static void progress(const struct import *import, bool check_only, size_t done)
{
    if (isatty(STDERR_FILENO) != 1) {
        return;
    }
    int filled = (int)(done * BAR_WIDTH / import->size);
    fprintf(stderr, "\r%-9s [%.*s%.*s] %3d%%", check_only ? "checking" : "importing", filled,
            "##############################", BAR_WIDTH - filled, "..............................",
            (int)(done * 100 / import->size));
    if (done == import->size) {
        fputs("\r\x1b[K", stderr);
    }
    fflush(stderr);
}

static void add_answer(struct import *import, const struct msg_import_answer *answer)
{
    import->read += answer->read;
    import->created += answer->created;
    import->changed += answer->changed;
    import->same += answer->same;
    import->fault_count += (int64_t)answer->faults_count;
    for (size_t i = 0; i < answer->faults_count; i++) {
        const struct msg_import_fault *f = &answer->faults[i];
        char line[NUMBER_MAX_BYTES];
        snprintf(line, sizeof line, "%" PRId64, f->line);
        if (table_rows(import->faults) < FAULTS_SHOWN_MAX) {
            table_row(import->faults, (const char *[]){line, f->field, f->code, f->sentence});
        }
    }
}

static struct error *send_piece(struct import *import, const struct invoice_piece *piece,
                                bool check_only)
{
    struct msg_invoice_import *m = message_new(MESSAGE_INVOICE_IMPORT);
    m->format = import->format;
    m->first_line = piece->first_line;
    m->check_only = check_only;
    memcpy(m->header, import->header, sizeof m->header);
    m->lines = strndup(piece->text, piece->size);
    void *got = NULL;
    struct error *e = m->lines != NULL ? suite_call("settled", MESSAGE_INVOICE_IMPORT, m,
                                                    PIECE_WAIT_MS, MESSAGE_IMPORT_ANSWER, &got)
                                       : error_failed("memory", "Out of memory.");
    message_free(MESSAGE_INVOICE_IMPORT, m);
    if (e == NULL) {
        add_answer(import, got);
        message_free(MESSAGE_IMPORT_ANSWER, got);
    }
    return e;
}

/* One pass over all pieces; the counts are this pass's. */
static struct error *pass(struct import *import, bool check_only)
{
    struct invoice_cursor cursor = import->body;
    import->read = import->created = import->changed = import->same = 0;
    while (cursor.at < cursor.size) {
        struct invoice_piece piece;
        struct error *e = invoice_cursor_next(&cursor, &piece);
        if (e == NULL) {
            e = send_piece(import, &piece, check_only);
        }
        if (e != NULL && !check_only) {
            return error_wrap(e,
                              "%" PRId64 " invoices are imported; run the same command again: "
                              "those are skipped",
                              import->created + import->changed);
        }
        if (e != NULL) {
            return error_wrap(e, "nothing is imported");
        }
        progress(import, check_only, cursor.at);
    }
    return NULL;
}

static void print_result(const struct import *import, bool check_only, bool json)
{
    bool bad = import->fault_count > 0;
    if (json) {
        json_t *object =
            json_pack("{s:b, s:I, s:I, s:I, s:I, s:I}", "imported", !check_only && !bad, "read",
                      (json_int_t)import->read, "created", (json_int_t)import->created, "changed",
                      (json_int_t)import->changed, "same", (json_int_t)import->same, "faults",
                      (json_int_t)import->fault_count);
        (void)json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(object);
    } else if (!bad) {
        printf("%" PRId64 " invoices read: %" PRId64 " %s, %" PRId64 " %s, %" PRId64
               " as they were.\n",
               import->read, import->created, check_only ? "new" : "created", import->changed,
               check_only ? "would change" : "changed", import->same);
    }
    if (bad) {
        table_print(import->faults, stderr, false);
        fprintf(stderr,
                "Nothing is imported: %" PRId64 " faults. Correct the file and run the "
                "same command again.\n",
                import->fault_count);
    }
}

static enum exit_code run(const struct options *o)
{
    bool json = options_given(o, "json");
    bool check_only = options_given(o, "check");
    struct import import = {.name = options_word(o, 0), .faults = table_new(FAULT_COLUMNS)};
    struct error *e = choose_format(&import, o);
    e = e != NULL ? e : open_file(&import);
    e = e != NULL ? e : find_body(&import);
    e = e != NULL ? e : pass(&import, true);
    if (e == NULL && !check_only && import.fault_count == 0) {
        e = pass(&import, false);
    }
    enum exit_code exit = import.fault_count > 0 ? EXIT_CODE_REFUSED : EXIT_CODE_OK;
    if (e != NULL) {
        exit = suite_error(e, json);
    } else {
        print_result(&import, check_only, json);
    }
    if (import.text != NULL) {
        (void)munmap((void *)(uintptr_t)import.text, import.size);
    }
    table_free(import.faults);
    return exit;
}

const struct command COMMAND_INVOICE_IMPORT = {
    .name = "invoice import",
    .summary = "import an ERP's export, all of it or nothing",
    .words = "FILE",
    .words_min = 1,
    .words_max = 1,
    .options = OPTIONS,
    .examples = "  kometpay invoice import open_invoices.csv --check\n"
                "  kometpay invoice import open_invoices.csv\n"
                "  kometpay invoice import export.txt --format json\n",
    .run = run,
};
