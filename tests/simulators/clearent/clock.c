/* The simulator's clock: can be put forward and run at another rate.
 * It must never go back: rows are kept in the order of their time. */
#include "clock.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct {
    int64_t base_simulated_us;
    int64_t base_steady_us;
    int64_t rate_permille;
    _Bool started;
} the_clock = {.rate_permille = 1000};

static int64_t host_us(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * SECOND_US + now.tv_nsec / 1000;
}

int64_t clock_now_us(void)
{
    int64_t passed_us;

    if (!the_clock.started) {
        the_clock.base_simulated_us = host_us(CLOCK_REALTIME);
        the_clock.base_steady_us = host_us(CLOCK_MONOTONIC);
        the_clock.started = 1;
    }
    passed_us = host_us(CLOCK_MONOTONIC) - the_clock.base_steady_us;
    if (the_clock.rate_permille == 1000) {
        return the_clock.base_simulated_us + passed_us;
    }
    return the_clock.base_simulated_us + passed_us / 1000 * the_clock.rate_permille;
}

int64_t clock_ahead_us(void)
{
    return clock_now_us() - host_us(CLOCK_REALTIME);
}

int64_t clock_rate_permille(void)
{
    return the_clock.rate_permille;
}

void clock_change(int64_t step_us, int64_t rate_permille)
{
    assert(step_us >= 0 && rate_permille >= 0);
    the_clock.base_simulated_us = clock_now_us() + step_us;
    the_clock.base_steady_us = host_us(CLOCK_MONOTONIC);
    the_clock.rate_permille = rate_permille;
}

void clock_restore(int64_t ahead_us, int64_t rate_permille)
{
    int64_t step_us = ahead_us - clock_ahead_us();

    clock_change(step_us > 0 ? step_us : 0, rate_permille);
}

void clock_not_before(int64_t us)
{
    int64_t step_us = us - clock_now_us();

    if (step_us > 0) {
        clock_change(step_us, the_clock.rate_permille);
    }
}

int64_t clock_wait_us(int64_t due_us)
{
    int64_t left_us = due_us - clock_now_us();

    if (left_us <= 0) {
        return 0;
    }
    if (the_clock.rate_permille == 0) {
        return -1;
    }
    return left_us / the_clock.rate_permille * 1000 + 1000;
}

static void broken_down(int64_t us, struct tm *parts)
{
    time_t seconds = (time_t)(us / SECOND_US);

    gmtime_r(&seconds, parts);
}

void clock_print(int64_t us, int offset_minutes, char *out, size_t size)
{
    static int64_t last_second = -1;
    static char last_text[24];
    int64_t shifted_us = us + (int64_t)offset_minutes * 60 * SECOND_US;

    if (shifted_us / SECOND_US != last_second) {
        struct tm parts;

        broken_down(shifted_us, &parts);
        strftime(last_text, sizeof last_text, "%Y-%m-%d %H:%M:%S", &parts);
        last_second = shifted_us / SECOND_US;
    }
    snprintf(out, size, "%s.%03d", last_text, (int)(shifted_us % SECOND_US / 1000));
}

void clock_print_iso(int64_t us, char *out, size_t size)
{
    clock_print(us, 0, out, size);
    out[10] = 'T';
    snprintf(out + strlen(out), size - strlen(out), "Z");
}

static int64_t zone_minutes(const char *zone, int offset_minutes, _Bool *known)
{
    static const struct {
        const char *name;
        int minutes;
    } ZONES[] = {{"UTC", 0},    {"GMT", 0},    {"Z", 0},      {"EST", -300},
                 {"EDT", -240}, {"CST", -360}, {"CDT", -300}, {"MST", -420},
                 {"MDT", -360}, {"PST", -480}, {"PDT", -420}};

    *known = 1;
    if (zone[0] == '\0') {
        return offset_minutes;
    }
    for (size_t i = 0; i < sizeof ZONES / sizeof ZONES[0]; i++) {
        if (strcmp(zone, ZONES[i].name) == 0) {
            return ZONES[i].minutes;
        }
    }
    *known = 0;
    return 0;
}

int64_t clock_parse(const char *date, int offset_minutes)
{
    /* The third column tells where '%p' style twelve-hour dates may not carry a zone. */
    static const struct {
        const char *form;
        _Bool zone;
        size_t year_digits;
    } FORMS[] = {{"%Y-%m-%d %H:%M", 1, 4}, {"%m-%d-%Y %I:%M %p", 0, 4}, {"%m-%d-%y %H:%M", 1, 2}};
    size_t first = strcspn(date, "-");

    for (size_t i = 0; i < sizeof FORMS / sizeof FORMS[0]; i++) {
        struct tm parts = {0};
        const char *rest;
        _Bool known;
        int64_t minutes;

        if ((i == 0) != (first == 4)) {
            continue;
        }
        rest = strptime(date, FORMS[i].form, &parts);
        if (rest == NULL ||
            (*rest != '\0' && (*rest != ' ' || !FORMS[i].zone || rest[1] == '\0'))) {
            continue;
        }
        minutes = zone_minutes(*rest == ' ' ? rest + 1 : rest, offset_minutes, &known);
        if (!known || (FORMS[i].year_digits == 4 && parts.tm_year < 100)) {
            continue;
        }
        return ((int64_t)timegm(&parts) - minutes * 60) * SECOND_US;
    }
    return -1;
}
