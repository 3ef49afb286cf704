/* links: kometpay */
/* A card as one line: its parts, what is refused, and that the line is wiped and never repeated. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include "daemons/kometpay/card_prompt.h"

static struct msg_typed_card *card;
static struct msg_pay *pay; /* owns the card, frees it as the command does */

static struct error *parse(const char *text)
{
    char line[128];
    int n = snprintf(line, sizeof line, "%s", text);
    assert_in_range(n, 0, sizeof line - 1);
    message_free(MESSAGE_PAY, pay);
    pay = message_new(MESSAGE_PAY);
    struct error *e = card_prompt_parse(line, &card);
    pay->card = card;
    for (size_t i = 0; i < strlen(text); i++) {
        assert_int_equal(line[i], 0); /* wiped, good or bad */
    }
    return e;
}

static void refused(const char *text, const char *code)
{
    struct error *e = parse(text);
    assert_true(error_is(e, code));
    assert_null(card);
    assert_null(strstr(e->sentence, "4111"));
    assert_null(strstr(e->sentence, "999"));
    error_free(e);
}

static void test_full_line(void **state)
{
    (void)state;
    assert_null(parse("4111111111111111 1230 999 33101\r"));
    assert_string_equal(secret_expose(card->pan), "4111111111111111");
    assert_string_equal(secret_expose(card->cvv), "999");
    assert_int_equal(card->expiry_month, 12);
    assert_int_equal(card->expiry_year, 2030);
    assert_string_equal(card->postal_code, "33101");
}

static void test_short_lines(void **state)
{
    (void)state;
    assert_null(parse("378282246310005 0129"));
    assert_null(card->cvv);
    assert_string_equal(card->postal_code, "");
    assert_int_equal(card->expiry_month, 1);
    assert_null(parse("4242424242424242 1230 33101"));
    assert_null(card->cvv);
    assert_string_equal(card->postal_code, "33101");
    assert_null(parse("378282246310005 0129 1234"));
    assert_string_equal(secret_expose(card->cvv), "1234");
}

static void test_refusals(void **state)
{
    (void)state;
    refused("4111111111111111", "card_line");
    refused("4111111111111111 1230 999 33101 more", "card_line");
    refused("41111 1230", "card_number");
    refused("4111x11111111111 1230", "card_number");
    refused("41111111111111111111 1230", "card_number");
    refused("4111111111111111 1330", "card_expiry");
    refused("4111111111111111 0030", "card_expiry");
    refused("4111111111111111 12/30", "card_expiry");
    refused("4111111111111111 1230 99 33101", "card_cvv");
    refused("4111111111111111 1230 999 1234567890123", "card_postal_code");
}

static int start(void **state)
{
    (void)state;
    return secret_memory_start(1u << 16) == NULL ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    message_free(MESSAGE_PAY, pay);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_line),
        cmocka_unit_test(test_short_lines),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, start, end);
}
