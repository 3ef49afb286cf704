/* How every daemon starts and ends, and its life signs to systemd.
 * Must never be READY before its sockets listen, nor feed the watchdog from anywhere but the loop.
 */
#include "lib/daemon.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "lib/clock.h"
#include "lib/listener.h"
#include "lib/log.h"
#include "lib/memory.h"
#include "lib/secret.h"
#include "lib/supervisor.h"
#include "lib/version.h"

#define SECRET_BYTES_DEFAULT (1024u * 1024u)
#define STATUS_MAX_BYTES 256
/* systemd's own names for these exit codes: INVALIDARGUMENT, NOTCONFIGURED. */
#define EXIT_ARGUMENT 2
#define EXIT_SETTING 6

struct daemon {
    const struct daemon_options *options;
    void *context;
    struct loop *loop;
    struct listeners *listeners;
    struct event *terminate;
    struct event *interrupt;
    struct timer *watchdog;
    int64_t watchdog_ms; /* 0: systemd does not ask for it */
    char status[STATUS_MAX_BYTES];
    bool ready, draining, done;
};

/* Known to all daemons, besides their own table. */
static struct setting common_settings[] = {
    {.name = "KOMETPAY_FAST_TIME",
     .type = SETTING_INTEGER,
     .fallback = "1",
     .minimum = 1,
     .maximum = 100000,
     .sentence = "Divides every waiting interval, for tests and demonstrations only."},
    {.name = "KOMETPAY_PEERS",
     .type = SETTING_TEXT,
     .fallback = "",
     .sentence =
         "Who is who by number, such as gatewayd=64002,pos=*; unset: by the system's names."},
    {.name = "KOMETPAY_LOG_DEBUG",
     .type = SETTING_INTEGER,
     .fallback = "0",
     .minimum = 0,
     .maximum = 1,
     .sentence = "1: each connection of a peer goes to the journal too."},
    {.name = NULL},
};

static void help(const struct daemon_options *options)
{
    (void)printf("%s - %s\n\nUsage: %s [--help | --version]\n\n"
                 "Settings, from the environment:\n",
                 options->name, options->purpose, options->name);
    if (options->settings != NULL) {
        settings_help(options->settings, stdout);
    }
    settings_help(common_settings, stdout);
    (void)printf(
        "Credentials come from $CREDENTIALS_DIRECTORY, else from $KOMETPAY_CREDENTIALS.\n");
}

static void read_arguments(const struct daemon_options *options, int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        help(options);
        exit(EXIT_SUCCESS);
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)printf("%s (Komet Payments) %s\n", options->name, KOMETPAY_VERSION);
        exit(EXIT_SUCCESS);
    }
    if (argc > 1) { /* not repeated: an argument may hold what should not be printed */
        (void)fprintf(stderr, "%s: unknown argument; try --help\n", options->name);
        exit(EXIT_ARGUMENT);
    }
}

/* Ends a start that can't go on; takes `e`. */
static void refuse_start(const char *name, struct error *e, int code)
{
    if (e != NULL) {
        (void)fprintf(stderr, "%s: %s (%s)\n", name, e->sentence, e->code);
        error_free(e);
        exit(code);
    }
}

static void begin_drain(struct daemon *daemon)
{
    if (daemon->draining) {
        return;
    }
    daemon->draining = true;
    (void)sd_notify(0, "STOPPING=1\nSTATUS=draining");
    log_event(LOG_DAEMON_STOPPING);
    if (daemon->options->drain != NULL) {
        daemon->options->drain(daemon->context);
    } else {
        daemon_done(daemon);
    }
}

static void signal_came(evutil_socket_t number, short what, void *context)
{
    (void)number;
    (void)what;
    begin_drain(context);
}

static void feed_watchdog(void *context)
{
    struct daemon *daemon = context;
    (void)sd_notify(0, "WATCHDOG=1");
    timer_arm(daemon->watchdog, daemon->watchdog_ms);
}

static void start_watchdog(struct daemon *daemon)
{
    uint64_t limit_us = 0;
    if (sd_watchdog_enabled(0, &limit_us) <= 0 || limit_us == 0) {
        return;
    }
    /* Three times per limit: one late turn of the loop is not yet a death sentence. */
    daemon->watchdog_ms = (int64_t)(limit_us / 3000) > 0 ? (int64_t)(limit_us / 3000) : 1;
    daemon->watchdog = timer_new(daemon->loop, feed_watchdog, daemon);
    timer_arm(daemon->watchdog, 0);
}

static struct event *watch_signal(struct daemon *daemon, int number)
{
    struct event *event =
        event_new(loop_base(daemon->loop), number, EV_SIGNAL | EV_PERSIST, signal_came, daemon);
    if (event == NULL || event_add(event, NULL) != 0) {
        abort();
    }
    return event;
}

/* Time that runs faster is for tests; in production it would end the wait for an unclear payment
 * before the processor can know of it. */
static void refuse_fast_time(const char *name)
{
    if (setting_integer(common_settings, "KOMETPAY_FAST_TIME") != 1 && supervisor_started_us()) {
        refuse_start(name,
                     error_refused("setting_invalid", "KOMETPAY_FAST_TIME",
                                   "KOMETPAY_FAST_TIME is for tests, not for a service"),
                     EXIT_SETTING);
    }
}

/* What is right in a test and would be wrong in production is said where operations look. */
static void warn_of_tests(void)
{
    if (setting_integer(common_settings, "KOMETPAY_FAST_TIME") != 1) {
        log_event(LOG_TIME_FAST,
                  {"KOMETPAY_FACTOR", setting_text(common_settings, "KOMETPAY_FAST_TIME")});
    }
    if (!secret_memory_locked()) {
        log_event(LOG_MEMORY_UNLOCKED);
    }
}

struct daemon *daemon_start(const struct daemon_options *options, int argc, char **argv)
{
    read_arguments(options, argc, argv);
    size_t secret_bytes = options->secret_bytes > 0 ? options->secret_bytes : SECRET_BYTES_DEFAULT;
    refuse_start(options->name, secret_memory_start(secret_bytes), EXIT_FAILURE);
    refuse_start(options->name, settings_read(common_settings), EXIT_SETTING);
    if (options->settings != NULL) {
        refuse_start(options->name, settings_read(options->settings), EXIT_SETTING);
    }
    refuse_fast_time(options->name);
    clock_set_fast(setting_integer(common_settings, "KOMETPAY_FAST_TIME"));
    log_start(options->name);
    log_debug(setting_integer(common_settings, "KOMETPAY_LOG_DEBUG") != 0);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        abort();
    }
    struct daemon *daemon = memory_new(sizeof *daemon);
    daemon->options = options;
    daemon->loop = loop_new();
    daemon->terminate = watch_signal(daemon, SIGTERM);
    daemon->interrupt = watch_signal(daemon, SIGINT);
    refuse_start(options->name, listeners_new(&daemon->listeners), EXIT_FAILURE);
    start_watchdog(daemon);
    log_event(LOG_DAEMON_STARTED, {"KOMETPAY_VERSION", KOMETPAY_VERSION});
    warn_of_tests();
    return daemon;
}

struct loop *daemon_loop(struct daemon *daemon)
{
    return daemon->loop;
}

void daemon_context(struct daemon *daemon, void *context)
{
    daemon->context = context;
}

int daemon_listen_unix(struct daemon *daemon, const char *fd_name, const char *path, unsigned mode)
{
    int fd = -1;
    refuse_start(daemon->options->name, listeners_unix(daemon->listeners, fd_name, path, mode, &fd),
                 EXIT_FAILURE);
    return fd;
}

int daemon_listen_tcp(struct daemon *daemon, const char *fd_name, const char *address)
{
    int fd = -1;
    refuse_start(daemon->options->name, listeners_tcp(daemon->listeners, fd_name, address, &fd),
                 EXIT_FAILURE);
    return fd;
}

void daemon_ready(struct daemon *daemon)
{
    if (daemon->ready || daemon->draining) {
        return;
    }
    daemon->ready = true;
    memory_settle();
    (void)sd_notify(0, "READY=1");
    log_event(LOG_DAEMON_READY);
}

void daemon_status(struct daemon *daemon, const char *format, ...)
{
    char text[STATUS_MAX_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_mask(text);
    for (char *c = text; *c != '\0'; c++) {
        if (*c == '\n') { /* would begin another assignment */
            *c = ' ';
        }
    }
    if (strcmp(text, daemon->status) != 0) {
        memcpy(daemon->status, text, sizeof text);
        (void)sd_notifyf(0, "STATUS=%s", text);
    }
}

bool daemon_draining(const struct daemon *daemon)
{
    return daemon->draining;
}

void daemon_done(struct daemon *daemon)
{
    daemon->done = true;
    loop_stop(daemon->loop);
}

int daemon_run(struct daemon *daemon)
{
    if (!daemon->done) {
        loop_run(daemon->loop);
    }
    assert(daemon->done); /* only daemon_done() may stop a daemon's loop */
    log_event(LOG_DAEMON_STOPPED);
    timer_free(daemon->watchdog);
    event_free(daemon->terminate);
    event_free(daemon->interrupt);
    listeners_free(daemon->listeners);
    loop_free(daemon->loop);
    free(daemon);
    return EXIT_SUCCESS;
}
