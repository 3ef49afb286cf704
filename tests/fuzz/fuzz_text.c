/* links: terminald vaultd kometpay */
/* Fuzzes the small readers of text from outside: ids, days, currencies, peers, settings, names in
 * certificates, typed cards, arguments. First line: which; then the text. What is taken must keep
 * the reader's promise, and no refusal may repeat what was typed as a card. */
#include <openssl/x509.h>

#include "daemons/kometpay/card_prompt.h"
#include "daemons/kometpay/option.h"
#include "daemons/terminald/pos_certificate.h"
#include "daemons/vaultd/card.h"
#include "ipc/peer.h"
#include "ipc/text.h"
#include "lib/id.h"
#include "lib/setting.h"
#include "tests/fuzz/fuzz.h"

#define NOVEMBER_2026_US INT64_C(1795000000000000)
#define ARGUMENTS_MAX 12
#define DIGITS "0123456789"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_secret_memory();
    return 0;
}

/* -- Ids, days, currencies, UTF-8 ---------------------------------------------------------------
 */

static void try_id(struct fuzz_text input)
{
    static const char *const PREFIXES[] = {"pay_", "tok_", "hold_", ""};
    char *text = fuzz_string(input);
    for (size_t i = 0; i < sizeof PREFIXES / sizeof *PREFIXES; i++) {
        size_t n = strlen(PREFIXES[i]);
        if (id_valid(PREFIXES[i], text)) {
            MUST(strlen(text) == n + ID_RANDOM_CHARS && strlen(text) < ID_MAX);
            MUST(strncmp(text, PREFIXES[i], n) == 0);
            MUST(strspn(text + n, "0123456789ABCDEFGHJKMNPQRSTVWXYZ") == ID_RANDOM_CHARS);
        }
    }
    free(text);
}

/* The calendar written once more, by counting. */
static void check_date(const char *text, size_t n)
{
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = 0;
    int month = 0;
    int day = 0;
    bool shape = n == 10 && text[4] == '-' && text[7] == '-';
    for (size_t i = 0; i < n && shape; i++) {
        int *part = i < 4 ? &year : i < 7 ? &month : &day;
        shape = i == 4 || i == 7 || (text[i] >= '0' && text[i] <= '9');
        *part = i == 4 || i == 7 ? *part : *part * 10 + (text[i] - '0');
    }
    bool leap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
    if (text_is_date(text, n)) {
        MUST(shape && month >= 1 && month <= 12 && day >= 1);
        MUST(day <= DAYS[month - 1] + (month == 2 && leap ? 1 : 0));
    }
}

static void try_characters(struct fuzz_text input)
{
    char *text = fuzz_exact(input);
    check_date(text, input.n);
    if (text_is_currency(text, input.n)) {
        MUST(input.n == 3);
    }
    bool line = text_valid(text, input.n, false);
    MUST(!line || text_valid(text, input.n, true));
    size_t at = 0;
    while (at < input.n) {
        size_t n = text_character(text + at, input.n - at);
        if (n == 0) {
            break;
        }
        MUST(n <= 4 && at + n <= input.n);
        MUST(n > 1 || ((unsigned char)text[at] >= 0x20 && (unsigned char)text[at] < 0x7f));
        at += n;
    }
    MUST(line == (at == input.n));
    free(text);
}

/* -- The environment ----------------------------------------------------------------------------
 */

static void try_peers(struct fuzz_text input)
{
    char *text = fuzz_string(input);
    MUST(setenv("KOMETPAY_PEERS", text, 1) == 0);
    struct error *e = peers_start();
    MUST(e == NULL || error_is(e, "setting_invalid"));
    MUST(!peer_may_send(PEER_NONE, MESSAGE_PAY, text));
    if (peer_may_send(PEER_POS, MESSAGE_PAY, text)) {
        MUST(strcmp(text, "terminald") == 0);
    }
    error_free(e);
    free(text);
}

static void try_setting(struct fuzz_text input)
{
    struct setting table[] = {
        {"KOMETPAY_FUZZED", SETTING_INTEGER, NULL, -5, 70000, "a number", NULL, 0},
        {"KOMETPAY_FUZZED", SETTING_TEXT, NULL, 1, 20, "a text", NULL, 0},
        {NULL, SETTING_TEXT, NULL, 0, 0, NULL, NULL, 0},
    };
    char *text = fuzz_string(input);
    MUST(setenv("KOMETPAY_FUZZED", text, 1) == 0);
    struct error *e = settings_read(table);
    if (e == NULL) {
        int64_t value = setting_integer(table, "KOMETPAY_FUZZED");
        MUST(value >= -5 && value <= 70000 && strtoll(text, NULL, 10) == value);
        MUST(text[strspn(text, "-" DIGITS)] == '\0' && strlen(text) <= 20);
    }
    error_free(e);
    free(text);
}

/* -- A client's certificate ---------------------------------------------------------------------
 */

/* Each line is one entry of the subject: OU, CN or O, a byte for its ASN.1 type, the value. */
static void try_certificate(struct fuzz_text input)
{
    static const int TYPES[] = {MBSTRING_UTF8, V_ASN1_UTF8STRING, V_ASN1_BMPSTRING,
                                V_ASN1_PRINTABLESTRING, V_ASN1_T61STRING};
    X509 *certificate = X509_new();
    MUST(certificate != NULL);
    X509_NAME *subject = X509_get_subject_name(certificate);
    while (input.n > 0) {
        struct fuzz_text value = fuzz_take(&input, '\n');
        struct fuzz_text name = fuzz_take(&value, '=');
        const char *entry = fuzz_is(name, "OU") ? "OU" : fuzz_is(name, "CN") ? "CN" : "O";
        size_t type = value.n > 0 ? (unsigned char)value.p[0] % (sizeof TYPES / sizeof *TYPES) : 0;
        if (value.n > 1) {
            (void)X509_NAME_add_entry_by_txt(subject, entry, TYPES[type],
                                             (const unsigned char *)value.p + 1, (int)value.n - 1,
                                             -1, 0);
        }
    }
    struct pos_identity who;
    struct error *e = pos_certificate_read(certificate, &who);
    if (e == NULL) {
        size_t location = strnlen(who.location, sizeof who.location);
        size_t pos = strnlen(who.pos, sizeof who.pos);
        MUST(location > 0 && location < sizeof who.location && pos > 0 && pos < sizeof who.pos);
        MUST(text_valid(who.location, location, false) && text_valid(who.pos, pos, false));
        MUST(strchr(who.location, '/') == NULL && strchr(who.pos, '/') == NULL);
    }
    error_free(e);
    X509_free(certificate);
}

/* -- Cards --------------------------------------------------------------------------------------
 */

/* No six characters of what was typed may be in what a refusal says. */
static void check_silence(const struct error *e, const char *typed)
{
    char part[7] = "";
    for (size_t i = 0; e != NULL && i + 6 <= strlen(typed); i++) {
        memcpy(part, typed + i, 6);
        if (strspn(part, DIGITS) == 6) {
            MUST(strstr(e->sentence, part) == NULL && strstr(e->context, part) == NULL);
        }
    }
}

static void check_face(const struct card_face *face, const struct secret *pan)
{
    const char *digits = secret_expose(pan);
    size_t n = secret_size(pan);
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned value = (unsigned)(digits[i] - '0') << ((n - i) % 2 == 0 ? 1 : 0);
        sum += value / 10 + value % 10;
    }
    MUST(n >= 12 && n <= 19 && strspn(digits, DIGITS) == n && sum % 10 == 0);
    MUST(strcmp(face->last_four, digits + n - 4) == 0);
    MUST(face->brand[0] != '\0' && strspn(face->expiry, DIGITS) == 4);
}

/* A line as kometpay takes it, then vaultd's check of what it read. */
static void try_card(struct fuzz_text input)
{
    char *line = fuzz_string(input);
    char *typed = fuzz_string(input);
    struct msg_typed_card *card = NULL;
    struct error *e = card_prompt_parse(line, &card);
    for (size_t i = 0; i < strlen(typed); i++) {
        MUST(line[i] == '\0'); /* wiped */
    }
    check_silence(e, typed);
    if (e == NULL) {
        struct msg_card_hold *hold = message_new(MESSAGE_CARD_HOLD);
        struct card_face face;
        hold->card = card;
        e = card_check(card->pan, card->expiry_month, card->expiry_year, NOVEMBER_2026_US, &face);
        check_silence(e, typed);
        if (e == NULL) {
            check_face(&face, card->pan);
            MUST(card_check_stored(face.expiry, NOVEMBER_2026_US) == NULL);
            e = card_check_cvv(card->cvv, face.brand, "card.cvv");
            MUST(e == NULL || card->cvv != NULL);
        }
        message_free(MESSAGE_CARD_HOLD, hold);
    }
    error_free(e);
    free(line);
    free(typed);
}

/* What a POS sends: any bytes as the number, then month, year and code. */
static void try_pan(struct fuzz_text input)
{
    int64_t month = (int64_t)fuzz_number(fuzz_take(&input, ' '), INT64_MAX);
    int64_t year = (int64_t)fuzz_number(fuzz_take(&input, ' '), INT64_MAX);
    struct fuzz_text code = fuzz_take(&input, ' ');
    struct secret *pan = secret_new(input.p, input.n < 64 ? input.n : 64);
    struct secret *cvv = secret_new(code.p, code.n < 8 ? code.n : 8);
    struct card_face face;
    MUST(pan != NULL && cvv != NULL);
    struct error *e = card_check(pan, month, year, NOVEMBER_2026_US, &face);
    check_silence(e, secret_expose(pan));
    if (e == NULL) {
        check_face(&face, pan);
        MUST(month >= 1 && month <= 12 && year >= 2026 && year <= 2099);
        e = card_check_cvv(cvv, face.brand, "cvv");
        MUST(e != NULL ||
             (strspn(secret_expose(cvv), DIGITS) == secret_size(cvv) &&
              secret_size(cvv) == (strcmp(face.brand, "AMEX") == 0 ? 4u : 3u)) ||
             (strcmp(face.brand, "OTHER") == 0 && secret_size(cvv) == 4));
    }
    error_free(e);
    secret_free(pan);
    secret_free(cvv);
}

/* -- A command's arguments, one a line ----------------------------------------------------------
 */

static void check_options(const struct options *options)
{
    char location[21];
    int64_t limit = 0;
    struct error *e = options_copy(options, "location", location, sizeof location);
    MUST(e == NULL || error_is(e, "option_too_long"));
    error_free(e);
    e = options_integer(options, "limit", 1, 200, 50, &limit);
    MUST(e != NULL || (limit >= 1 && limit <= 200));
    error_free(e);
    MUST(options_text(options, "amount") != NULL && options_word(options, 0) != NULL);
    MUST(options_word(options, 2) == NULL);
    MUST(options_list_at(options, "invoice", options_list_count(options, "invoice")) == NULL);
}

static void try_arguments(struct fuzz_text input)
{
    static const struct option_row TABLE[] = {
        {"location", OPTION_TEXT, "CODE", "where"},
        {"amount", OPTION_REQUIRED, "AMOUNT", "how much"},
        {"invoice", OPTION_LIST, "NUMBER", "what"},
        {"limit", OPTION_TEXT, "N", "how many"},
        OPTION_JSON,
        OPTION_END,
    };
    char *argv[ARGUMENTS_MAX];
    int argc = 0;
    char *typed = fuzz_string(input);
    while (input.n > 0 && argc < ARGUMENTS_MAX) {
        argv[argc++] = fuzz_string(fuzz_take(&input, '\n'));
    }
    struct options *options = NULL;
    struct error *e = options_parse(TABLE, 1, 2, argc, argv, &options);
    MUST((e == NULL) == (options != NULL));
    check_silence(e, typed);
    if (options != NULL) {
        check_options(options);
    }
    options_free(options);
    error_free(e);
    free(typed);
    for (int i = 0; i < argc; i++) {
        free(argv[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const struct {
        const char *name;
        void (*attempt)(struct fuzz_text input);
    } READERS[] = {
        {"id", try_id},
        {"characters", try_characters},
        {"peers", try_peers},
        {"setting", try_setting},
        {"card", try_card},
        {"pan", try_pan},
        {"certificate", try_certificate},
        {"arguments", try_arguments},
    };
    struct fuzz_text input = {(const char *)bytes, n};
    struct fuzz_text name = fuzz_take(&input, '\n');
    for (size_t i = 0; i < sizeof READERS / sizeof *READERS; i++) {
        if (fuzz_is(name, READERS[i].name)) {
            READERS[i].attempt(input);
        }
    }
    return 0;
}
