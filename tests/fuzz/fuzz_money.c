/* Fuzzes the reading of amounts and the journal's mask: what is read must be written and read back
 * to the same, and a masked text must keep its length and hold no card number any more. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/money.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void check_amount(const char *text, size_t n, const char *currency)
{
    struct money m;
    struct money again;
    char written[MONEY_TEXT_MAX];
    struct error *e = money_parse(text, n, currency, &m);
    if (e == NULL) {
        (void)money_format(m, written);
        e = money_parse(written, strlen(written), currency, &again);
        if (e != NULL || again.minor != m.minor) {
            abort();
        }
    }
    error_free(e);
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The check of card numbers, written the other way round than lib/log.c has it. */
static bool luhn(const char *digits, size_t n)
{
    static const int doubled[] = {0, 2, 4, 6, 8, 1, 3, 5, 7, 9};
    int sum = 0;
    for (size_t i = 0; i < n; i++) {
        int value = digits[i] - '0';
        sum += (n - i) % 2 == 0 ? doubled[value] : value;
    }
    return sum % 10 == 0;
}

/* From one start on: each number that ends with a group must show no digit but its last four. */
static void check_from(const char *before, const char *after)
{
    char digits[19];
    size_t shown = 0; /* digits of `after` that are in clear so far */
    size_t last_four[4] = {0};
    size_t count = 0;
    for (size_t i = 0; count < sizeof digits; i++) {
        if (digit(before[i])) {
            last_four[count % 4] = digit(after[i]);
            digits[count++] = before[i];
            shown += digit(after[i]);
            if (!digit(before[i + 1]) && count >= 13 && luhn(digits, count) &&
                shown > last_four[0] + last_four[1] + last_four[2] + last_four[3]) {
                abort();
            }
        } else if ((before[i] != ' ' && before[i] != '-') || !digit(before[i + 1])) {
            return;
        }
    }
}

static void check_mask(char *text)
{
    char *before = strdup(text);
    if (before == NULL) {
        abort();
    }
    log_mask(text);
    for (size_t i = 0; before[i] != '\0'; i++) {
        if (text[i] != before[i] && (text[i] != '*' || !digit(before[i]))) {
            abort(); /* only digits may change */
        }
        if (digit(before[i]) && (i == 0 || !digit(before[i - 1]))) {
            check_from(before + i, text + i);
        }
    }
    free(before);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char *exact = malloc(n == 0 ? 1 : n); /* so that a byte read beyond it is seen */
    char *text = calloc(1, n + 1);
    if (exact == NULL || text == NULL) {
        abort();
    }
    if (n > 0) {
        memcpy(exact, bytes, n);
        memcpy(text, bytes, n);
    }
    check_amount(exact, n, "USD");
    check_amount(exact, n, "JPY");
    check_amount(exact, n, "KWD");
    check_mask(text);
    free(exact);
    free(text);
    return 0;
}
