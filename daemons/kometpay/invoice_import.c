/* kometpay invoice import: an ERP's export, sent in pieces that wait at settled until the last one
 * is there. Must never say that nothing was imported, or that all was, unless settled said so. */
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
#include "lib/id.h"

#define PIECE_WAIT_MS 120000
#define END_WAIT_MS 600000 /* all invoices in one transaction */
#define BAR_WIDTH 30
#define NUMBER_MAX_BYTES 32
#define FAULTS_SHOWN_MAX 200
#define FAULTS_OF_ANSWER 100 /* import_answer's list */

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

/* One import: the file, and what was found in it. */
struct import {
    const char *name;
    char id[ID_MAX];
    bool check_only;
    enum invoice_import_format format;
    const char *text;
    size_t size;
    char header[1001];
    struct invoice_cursor body; /* where the rows begin */
    struct table *faults;
    int64_t fault_count;
    bool more_faults; /* an answer was full of them */
    int64_t kept;
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
    invoice_cursor_skip_mark(&import->body);
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

/* An import may be run again: what was imported is found as it was. */
static struct error *import_unfinished(struct error *e)
{
    if (!suite_outcome_open(e)) {
        return e;
    }
    error_free(e);
    return error_failed("import_unfinished",
                        "The import didn't answer in time; run the same command again.");
}

static void progress(const struct import *import, size_t done)
{
    if (isatty(STDERR_FILENO) != 1) {
        return;
    }
    int filled = (int)(done * BAR_WIDTH / import->size);
    fprintf(stderr, "\rreading [%.*s%.*s] %3d%%", filled, "##############################",
            BAR_WIDTH - filled, "..............................", (int)(done * 100 / import->size));
    if (done == import->size) {
        fprintf(stderr, "\r\x1b[K%s all of it ...", import->check_only ? "checking" : "importing");
    }
    fflush(stderr);
}

static void add_faults(struct import *import, const struct msg_import_answer *answer)
{
    import->fault_count += (int64_t)answer->faults_count;
    import->more_faults = import->more_faults || answer->faults_count == FAULTS_OF_ANSWER;
    for (size_t i = 0; i < answer->faults_count; i++) {
        const struct msg_import_fault *f = &answer->faults[i];
        char line[NUMBER_MAX_BYTES];
        snprintf(line, sizeof line, "%" PRId64, f->line);
        if (table_rows(import->faults) < FAULTS_SHOWN_MAX) {
            table_row(import->faults, (const char *[]){line, f->field, f->code, f->sentence});
        }
    }
}

static struct error *send_piece(struct import *import, const struct invoice_piece *piece)
{
    struct msg_invoice_import *m = message_new(MESSAGE_INVOICE_IMPORT);
    m->format = import->format;
    m->first_line = piece->first_line;
    snprintf(m->import, sizeof m->import, "%s", import->id);
    memcpy(m->header, import->header, sizeof m->header);
    m->lines = strndup(piece->text, piece->size);
    void *got = NULL;
    struct error *e = m->lines != NULL ? suite_call("settled", MESSAGE_INVOICE_IMPORT, m,
                                                    PIECE_WAIT_MS, MESSAGE_IMPORT_ANSWER, &got)
                                       : error_failed("memory", "Out of memory.");
    message_free(MESSAGE_INVOICE_IMPORT, m);
    if (e != NULL) {
        return import_unfinished(e);
    }
    const struct msg_import_answer *answer = got;
    import->read += answer->read;
    import->kept = answer->kept;
    add_faults(import, answer);
    message_free(MESSAGE_IMPORT_ANSWER, got);
    return NULL;
}

/* The lines wait at settled; nothing is imported by this. */
static struct error *send_pieces(struct import *import)
{
    struct invoice_cursor cursor = import->body;
    while (cursor.at < cursor.size) {
        struct invoice_piece piece;
        struct error *e = invoice_cursor_next(&cursor, &piece);
        e = e != NULL ? e : send_piece(import, &piece);
        if (e != NULL) {
            return error_wrap(e, "nothing is imported");
        }
        progress(import, cursor.at);
    }
    return NULL;
}

/* All of it or nothing. Lines that are faulty by themselves are told with what else is wrong. */
static struct error *send_end(struct import *import)
{
    struct msg_invoice_import_end m = {.lines = import->kept,
                                       .check_only = import->check_only || import->fault_count > 0};
    snprintf(m.import, sizeof m.import, "%s", import->id);
    void *got = NULL;
    struct error *e = suite_call("settled", MESSAGE_INVOICE_IMPORT_END, &m, END_WAIT_MS,
                                 MESSAGE_IMPORT_ANSWER, &got);
    if (isatty(STDERR_FILENO) == 1) {
        fputs("\r\x1b[K", stderr);
    }
    if (e != NULL) {
        bool open = suite_outcome_open(e) && !m.check_only;
        return open ? import_unfinished(e) : error_wrap(e, "nothing is imported");
    }
    const struct msg_import_answer *answer = got;
    import->created = answer->created;
    import->changed = answer->changed;
    import->same = answer->same;
    add_faults(import, answer);
    message_free(MESSAGE_IMPORT_ANSWER, got);
    return NULL;
}

static void print_result(const struct import *import, bool json)
{
    bool check_only = import->check_only;
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
                "Nothing is imported: %" PRId64 " faults%s. Correct the file and run the same "
                "command again.\n",
                import->fault_count, import->more_faults ? " or more" : "");
    }
}

static enum exit_code run(const struct options *o)
{
    bool json = options_given(o, "json");
    struct import import = {.name = options_word(o, 0),
                            .check_only = options_given(o, "check"),
                            .faults = table_new(FAULT_COLUMNS)};
    id_new("", import.id);
    struct error *e = choose_format(&import, o);
    e = e != NULL ? e : open_file(&import);
    e = e != NULL ? e : find_body(&import);
    e = e != NULL ? e : send_pieces(&import);
    e = e != NULL ? e : send_end(&import);
    enum exit_code exit = import.fault_count > 0 ? EXIT_CODE_REFUSED : EXIT_CODE_OK;
    if (e != NULL) {
        exit = suite_error(e, json);
    } else {
        print_result(&import, json);
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
