/* kometpay close: a day of a location against the processor's batch, or all days that the night
 * has to close. Must never call a day balanced that isn't: the daemon decides, this only shows. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemons/kometpay/command.h"
#include "daemons/kometpay/payment_report.h"
#include "daemons/kometpay/suite.h"
#include "daemons/kometpay/table.h"
#include "lib/clock.h"
#include "lib/money.h"

#define NUMBER_MAX_BYTES 32
#define DAY_BYTES 11 /* YYYY-MM-DD and NUL */

static const struct option_row OPTIONS[] = {
    {"location", OPTION_TEXT, "CODE", "the location"},
    {"every-location", OPTION_FLAG, NULL, "all enabled locations, one after the other"},
    {"date", OPTION_TEXT, "DAY", "YYYY-MM-DD, today or yesterday, in the location's zone"},
    {"since-last", OPTION_FLAG, NULL,
     "yesterday, and the days before that were missed or not in balance"},
    {"batch", OPTION_FLAG, NULL, "close the processor's open batch first"},
    OPTION_JSON,
    OPTION_END,
};

static const struct column SUM_COLUMNS[] = {
    {"", COLUMN_LEFT},         {"count", COLUMN_RIGHT}, {"gross", COLUMN_RIGHT},
    {"refunds", COLUMN_RIGHT}, {NULL, COLUMN_LEFT},
};

static const struct column DIFFERENCE_COLUMNS[] = {
    {"difference", COLUMN_STATE}, {"ours", COLUMN_RIGHT},     {"theirs", COLUMN_RIGHT},
    {"payment", COLUMN_LEFT},     {"processor", COLUMN_LEFT}, {"what it is", COLUMN_LEFT},
    {NULL, COLUMN_LEFT},
};

/* The day's date in a zone, `days_back` days ago. */
static void day_of_zone(const char *zone, int days_back, char day[DAY_BYTES])
{
    char tz[64];
    snprintf(tz, sizeof tz, ":%s", zone);
    if (setenv("TZ", tz, 1) != 0) {
        abort();
    }
    tzset();
    time_t now = (time_t)(clock_wall_us() / 1000000);
    struct tm local;
    localtime_r(&now, &local);
    local.tm_mday -= days_back;
    local.tm_hour = 12; /* far from any change of the clock */
    local.tm_isdst = -1;
    (void)mktime(&local);
    (void)strftime(day, DAY_BYTES, "%Y-%m-%d", &local);
}

static struct error *choose_day(const char *wanted, const char *zone, char day[DAY_BYTES])
{
    if (strcmp(wanted, "today") == 0) {
        day_of_zone(zone, 0, day);
        return NULL;
    }
    if (strcmp(wanted, "yesterday") == 0) {
        day_of_zone(zone, 1, day);
        return NULL;
    }
    return option_copy_text(wanted, "date", day, DAY_BYTES);
}

static void add_sums(struct table *table, const char *whose, int64_t count, int64_t gross,
                     int64_t refunds, const char *currency)
{
    char n[NUMBER_MAX_BYTES], g[MONEY_TEXT_MAX], r[MONEY_TEXT_MAX];
    snprintf(n, sizeof n, "%" PRId64, count);
    table_row(table, (const char *[]){whose, n, amount_text(gross, currency, g),
                                      amount_text(refunds, currency, r)});
}

static void print_differences(const struct msg_close_answer *a)
{
    struct table *table = table_new(DIFFERENCE_COLUMNS);
    for (size_t i = 0; i < a->differences_count; i++) {
        const struct msg_close_difference *d = &a->differences[i];
        char ours[MONEY_TEXT_MAX], theirs[MONEY_TEXT_MAX];
        table_row(table, (const char *[]){close_difference_kind_text(d->kind),
                                          amount_text(d->ours_minor, a->currency, ours),
                                          amount_text(d->theirs_minor, a->currency, theirs),
                                          d->payment, d->processor_id, d->sentence});
    }
    table_print(table, stdout, table_colour_wanted(stdout));
    table_free(table);
}

static const char *verdict(const struct msg_close_answer *a)
{
    if (!a->balanced) {
        return "NOT IN BALANCE";
    }
    return a->day_over ? "in balance" : "in balance so far";
}

static void print_close(const struct msg_close_answer *a)
{
    char net[MONEY_TEXT_MAX];
    struct table *table = table_new(SUM_COLUMNS);
    printf("%s %s: %s\n", a->location, a->day, verdict(a));
    add_sums(table, "ours", a->ours_count, a->ours_gross_minor, a->ours_refund_minor, a->currency);
    add_sums(table, "processor", a->theirs_count, a->theirs_gross_minor, a->theirs_refund_minor,
             a->currency);
    table_print(table, stdout, false);
    table_free(table);
    if (a->batches[0] != '\0') {
        printf("batches: %s\n", a->batches);
    }
    if (!a->day_over) {
        puts("The day is not over: close it again tomorrow; then it has a deposit.");
    } else if (a->balanced) {
        printf("deposit to enter, before fees: %s %s\n",
               amount_text(a->net_minor, a->currency, net), a->currency);
    }
    if (a->balanced) {
        return;
    }
    print_differences(a);
    if (a->differences_total > (int64_t)a->differences_count) {
        printf("These are the first %zu of %" PRId64 " differences.\n", a->differences_count,
               a->differences_total);
    }
    puts("See 'kometpay story PAYMENT' for each; then run the same close again.");
}

/* On a terminal: what is being waited for; taken away again by an empty line. */
static void print_waiting(const struct msg_day_close *m, bool begins)
{
    if (isatty(STDERR_FILENO) == 1) {
        if (begins) {
            fprintf(stderr, "closing %s %s: reading the processor's list, up to %d minutes ...",
                    m->location, m->day, SUITE_CLOSE_WAIT_MS / 60000);
        } else {
            fputs("\r\x1b[K", stderr);
        }
        fflush(stderr);
    }
}

static enum exit_code close_day(const struct options *o, const struct msg_day_close *m)
{
    bool json = options_given(o, "json");
    void *got = NULL;
    print_waiting(m, true);
    struct error *e = suite_call("settled", MESSAGE_DAY_CLOSE, m, SUITE_CLOSE_WAIT_MS,
                                 MESSAGE_CLOSE_ANSWER, &got);
    print_waiting(m, false);
    if (suite_outcome_open(e)) { /* a close may simply be run again */
        error_free(e);
        e = error_failed("close_unfinished", "The close of %s didn't answer in time; run it again.",
                         m->location);
    }
    if (e != NULL) {
        return suite_error(e, json);
    }
    const struct msg_close_answer *answer = got;
    enum exit_code exit = answer->balanced ? EXIT_CODE_OK : EXIT_CODE_DECLINED;
    if (json) {
        suite_print_json(MESSAGE_CLOSE_ANSWER, answer);
    } else {
        print_close(answer);
    }
    message_free(MESSAGE_CLOSE_ANSWER, got);
    return exit;
}

/* All days that are due at the location; the first bad exit counts. */
static enum exit_code close_due(const struct options *o, struct msg_day_close *m)
{
    struct msg_close_days question = {0};
    snprintf(question.location, sizeof question.location, "%s", m->location);
    void *got = NULL;
    struct error *e = suite_call("settled", MESSAGE_CLOSE_DAYS, &question, SUITE_WAIT_MS,
                                 MESSAGE_CLOSE_DAY_ROWS, &got);
    if (e != NULL) {
        return suite_error(e, options_given(o, "json"));
    }
    const struct msg_close_day_rows *days = got;
    enum exit_code worst = EXIT_CODE_OK;
    for (size_t i = 0; i < days->rows_count; i++) {
        snprintf(m->day, sizeof m->day, "%s", days->rows[i].day);
        enum exit_code exit = close_day(o, m);
        worst = worst == EXIT_CODE_OK ? exit : worst;
    }
    message_free(MESSAGE_CLOSE_DAY_ROWS, got);
    return worst;
}

static enum exit_code close_location(const struct options *o, const struct msg_location_row *r)
{
    struct msg_day_close m = {.close_batch = options_given(o, "batch")};
    snprintf(m.location, sizeof m.location, "%s", r->code);
    if (options_given(o, "since-last")) {
        return close_due(o, &m);
    }
    struct error *e = choose_day(options_text(o, "date"), r->time_zone, m.day);
    return e != NULL ? suite_error(e, options_given(o, "json")) : close_day(o, &m);
}

/* Closes the locations that are meant, all of them even if one fails; the first bad exit counts. */
static enum exit_code close_chosen(const struct options *o, const struct msg_location_rows *all)
{
    const char *wanted = options_text(o, "location");
    enum exit_code worst = EXIT_CODE_OK;
    size_t found = 0;
    for (size_t i = 0; i < all->rows_count; i++) {
        const struct msg_location_row *r = &all->rows[i];
        bool meant = wanted != NULL ? strcmp(r->code, wanted) == 0 : r->enabled;
        if (meant) {
            enum exit_code exit = close_location(o, r);
            worst = worst == EXIT_CODE_OK ? exit : worst;
            found++;
        }
    }
    if (found == 0 && wanted != NULL) {
        return suite_error(
            error_refused("location_unknown", "location", "There is no such location."),
            options_given(o, "json"));
    }
    return worst;
}

static enum exit_code run(const struct options *o)
{
    bool json = options_given(o, "json");
    if ((options_text(o, "location") != NULL) == options_given(o, "every-location")) {
        return suite_error(error_refused("location_missing", "location",
                                         "Give either --location CODE or --every-location."),
                           json);
    }
    if ((options_text(o, "date") != NULL) == options_given(o, "since-last")) {
        return suite_error(
            error_refused("date_missing", "date", "Give either --date DAY or --since-last."), json);
    }
    struct msg_location_list question = {0};
    void *got = NULL;
    struct error *e = suite_call("settled", MESSAGE_LOCATION_LIST, &question, SUITE_WAIT_MS,
                                 MESSAGE_LOCATION_ROWS, &got);
    if (e != NULL) {
        return suite_error(e, json);
    }
    enum exit_code exit = close_chosen(o, got);
    message_free(MESSAGE_LOCATION_ROWS, got);
    return exit;
}

const struct command COMMAND_CLOSE = {
    .name = "close",
    .summary = "close a day against the processor's batch (fees apart); may be run again",
    .words = "",
    .options = OPTIONS,
    .examples = "  kometpay close --location MIA --date 2026-03-01 --batch\n"
                "  kometpay close --every-location --since-last --batch\n",
    .run = run,
};
