/* Reads a typed card. Must never echo it, keep it outside locked memory longer than a line, or
 * repeat any of it in an error. No stdio on its way: its buffers would keep the card. */
#include "daemons/kometpay/card_prompt.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define LINE_MAX_BYTES 128u
#define PAN_MIN_DIGITS 12u
#define PAN_MAX_DIGITS 19u
#define POSTAL_MAX_BYTES 12u
#define CENTURY 2000

static bool all_digits(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* One line without its end, by read(2). False at the end of input or when too long. */
static bool read_line(char line[LINE_MAX_BYTES])
{
    for (size_t n = 0; n < LINE_MAX_BYTES; n++) {
        ssize_t got;
        do {
            got = read(STDIN_FILENO, &line[n], 1);
        } while (got < 0 && errno == EINTR);
        bool ended = got == 1 && line[n] == '\n';
        if (ended || (got == 0 && n > 0)) {
            line[n] = '\0';
            return true;
        }
        if (got != 1) {
            return false;
        }
    }
    return false;
}

/* -- The terminal ----------------------------------------------------------------------------- */

/* Signals that would end us with the echo off: kept until the terminal is as it was. */
static const int ENDING[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
#define ENDING_COUNT (sizeof ENDING / sizeof *ENDING)

static volatile sig_atomic_t ended_by;

static void end_noted(int number)
{
    ended_by = number;
}

struct silence {
    struct termios terminal;
    sigset_t mask;
    struct sigaction handlers[ENDING_COUNT];
};

/* The signals stay blocked but while silent_wait waits, so that none comes in between. */
static bool silence_begin(struct silence *before)
{
    sigset_t ending;
    sigemptyset(&ending);
    struct sigaction note = {.sa_handler = end_noted};
    sigemptyset(&note.sa_mask);
    ended_by = 0;
    for (size_t i = 0; i < ENDING_COUNT; i++) {
        (void)sigaddset(&ending, ENDING[i]);
        (void)sigaction(ENDING[i], &note, &before->handlers[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &ending, &before->mask);
    struct termios quiet = before->terminal;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    quiet.c_lflag |= (tcflag_t)(ICANON | ECHONL);
    return tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
}

/* The terminal as it was; then the signal that came, if any, does what it does. */
static void silence_end(const struct silence *before)
{
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before->terminal);
    for (size_t i = 0; i < ENDING_COUNT; i++) {
        (void)sigaction(ENDING[i], &before->handlers[i], NULL);
    }
    if (ended_by != 0) {
        (void)raise(ended_by); /* delivered when it is unblocked */
    }
    (void)sigprocmask(SIG_SETMASK, &before->mask, NULL);
}

/* Waits for the line; false when a signal came instead. */
static bool silent_wait(const struct silence *before)
{
    struct pollfd line = {.fd = STDIN_FILENO, .events = POLLIN};
    return ppoll(&line, 1, NULL, &before->mask) == 1 && ended_by == 0;
}

/* Asks on stderr, reads a line from the terminal; without echo if `hidden`. */
static bool ask(const char *question, bool hidden, char line[LINE_MAX_BYTES])
{
    struct silence before;
    if (hidden && tcgetattr(STDIN_FILENO, &before.terminal) != 0) {
        return false;
    }
    /* The echo goes off before we ask: whoever types at once is neither shown nor flushed away. */
    bool ready = !hidden || silence_begin(&before);
    fputs(question, stderr);
    fflush(stderr);
    if (!hidden) {
        return read_line(line);
    }
    bool got = ready && silent_wait(&before) && read_line(line);
    silence_end(&before);
    return got;
}

static void squeeze(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from != ' ' && *from != '-') {
            *to++ = *from;
        }
    }
    *to = '\0';
}

static struct error *card_of_words(char *pan, char *expiry, char *cvv, const char *postal,
                                   struct msg_typed_card *card)
{
    size_t digits = strlen(pan);
    if (!all_digits(pan) || digits < PAN_MIN_DIGITS || digits > PAN_MAX_DIGITS) {
        return error_refused("card_number", "card.pan", "A card number has %u to %u digits.",
                             PAN_MIN_DIGITS, PAN_MAX_DIGITS);
    }
    if (!all_digits(expiry) || strlen(expiry) != 4) {
        return error_refused("card_expiry", "card.expiry_month",
                             "The expiry is four digits, MMYY: 1230 is December 2030.");
    }
    card->expiry_month = (expiry[0] - '0') * 10 + (expiry[1] - '0');
    card->expiry_year = CENTURY + (expiry[2] - '0') * 10 + (expiry[3] - '0');
    if (card->expiry_month < 1 || card->expiry_month > 12) {
        return error_refused("card_expiry", "card.expiry_month", "There is no such month.");
    }
    if (cvv[0] != '\0' && (!all_digits(cvv) || strlen(cvv) < 3 || strlen(cvv) > 4)) {
        return error_refused("card_cvv", "card.cvv", "A security code has 3 or 4 digits.");
    }
    if (strlen(postal) > POSTAL_MAX_BYTES) {
        return error_refused("card_postal_code", "card.postal_code",
                             "A postal code has at most %u characters.", POSTAL_MAX_BYTES);
    }
    card->pan = secret_take_text(pan);
    card->cvv = cvv[0] != '\0' ? secret_take_text(cvv) : NULL;
    memcpy(card->postal_code, postal, strlen(postal) + 1);
    return NULL;
}

static struct error *card_new(char *pan, char *expiry, char *cvv, const char *postal,
                              struct msg_typed_card **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return error_failed("memory", "Out of memory.");
    }
    struct error *e = card_of_words(pan, expiry, cvv, postal, *out);
    if (e != NULL) {
        free(*out);
        *out = NULL;
    }
    return e;
}

struct error *card_prompt_parse(char *line, struct msg_typed_card **out)
{
    *out = NULL;
    char none[1] = "";
    char *rest = NULL;
    char *words[4] = {none, none, none, none};
    size_t size = strlen(line);
    size_t count = 0;
    for (char *word = strtok_r(line, " \t\r", &rest); word != NULL;
         word = strtok_r(NULL, " \t\r", &rest)) {
        if (count == 4) {
            count++;
            break;
        }
        words[count++] = word;
    }
    if (count == 3 && strlen(words[2]) > 4) { /* no code, but a postal code */
        words[3] = words[2];
        words[2] = none;
    }
    struct error *e = NULL;
    if (count < 2 || count > 4) {
        e = error_refused("card_line", "card",
                          "The card is one line: PAN MMYY [CVV] [postal code].");
    } else {
        e = card_new(words[0], words[1], words[2], words[3], out);
    }
    secret_wipe(line, size);
    return e;
}

static struct error *card_asked(struct msg_typed_card **out)
{
    char pan[LINE_MAX_BYTES] = "", expiry[LINE_MAX_BYTES] = "", cvv[LINE_MAX_BYTES] = "",
         postal[LINE_MAX_BYTES] = "";
    struct error *e = NULL;
    if (ask("Card number: ", true, pan) && ask("Expiry (MMYY): ", false, expiry) &&
        ask("Security code (empty if none): ", true, cvv) &&
        ask("Postal code (empty if none): ", false, postal)) {
        squeeze(pan);
        e = card_new(pan, expiry, cvv, postal, out);
    } else {
        e = error_refused("card_line", "card", "No card was typed.");
    }
    secret_wipe(pan, sizeof pan);
    secret_wipe(cvv, sizeof cvv);
    return e;
}

struct error *card_prompt_read(struct msg_typed_card **out)
{
    *out = NULL;
    if (isatty(STDIN_FILENO) == 1) {
        return card_asked(out);
    }
    char line[LINE_MAX_BYTES] = "";
    struct error *e = NULL;
    if (read_line(line)) {
        e = card_prompt_parse(line, out);
    } else {
        e = error_refused("card_line", "card",
                          "Standard input has no line PAN MMYY [CVV] [postal code].");
    }
    secret_wipe(line, sizeof line);
    return e;
}

struct error *card_prompt_cvv(struct secret **out)
{
    *out = NULL;
    char line[LINE_MAX_BYTES] = "";
    bool got = isatty(STDIN_FILENO) == 1 ? ask("Security code: ", true, line) : read_line(line);
    struct error *e = NULL;
    if (got && all_digits(line) && strlen(line) >= 3 && strlen(line) <= 4) {
        *out = secret_take_text(line);
    } else {
        e = error_refused("card_cvv", "cvv", "A security code has 3 or 4 digits.");
    }
    secret_wipe(line, sizeof line);
    return e;
}
