/* links: terminald */
/* What a pay must make sense of before anybody is asked: one card, and a split that adds up. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "daemons/terminald/pos_pay.h"
#include "lib/secret.h"

static struct msg_pay pay;
static struct msg_typed_card card;
static struct msg_invoice_part parts[2];

static int fresh(void **state)
{
    (void)state;
    pay = (struct msg_pay){.amount_minor = 8000, .card = &card};
    return 0;
}

static void with_token(void)
{
    snprintf(pay.token, sizeof pay.token, "tok_0");
}

static void refused(const char *code, const char *field)
{
    struct error *e = pos_pay_check(&pay);
    assert_true(error_is(e, code));
    assert_string_equal(e->field, field);
    error_free(e);
}

static void test_one_card(void **state)
{
    (void)state;
    assert_null(pos_pay_check(&pay));
    with_token();
    refused("card_ambiguous", "card");
    pay.card = NULL;
    assert_null(pos_pay_check(&pay));
    pay.token[0] = '\0';
    refused("card_missing", "card");
}

static void test_code_and_save(void **state)
{
    (void)state;
    struct secret *cvv = secret_new("123", 3);
    pay.save = true;
    assert_null(pos_pay_check(&pay));
    pay.cvv = cvv;
    refused("card_ambiguous", "cvv");
    pay.card = NULL;
    with_token();
    refused("card_ambiguous", "save");
    pay.save = false;
    assert_null(pos_pay_check(&pay));
    secret_free(cvv);
}

static void test_split(void **state)
{
    (void)state;
    pay.invoices = parts;
    pay.invoices_count = 2;
    parts[0].amount_minor = 5000;
    parts[1].amount_minor = 3000;
    assert_null(pos_pay_check(&pay));
    parts[1].amount_minor = 2999;
    refused("split_mismatch", "invoices");
    pay.invoices_count = 1;
    refused("split_mismatch", "invoices");
    pay.invoices_count = 0; /* a virtual-terminal payment */
    assert_null(pos_pay_check(&pay));
}

static int start(void **state)
{
    (void)state;
    return secret_memory_start(1u << 16) == NULL ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_one_card, fresh),
        cmocka_unit_test_setup(test_code_and_save, fresh),
        cmocka_unit_test_setup(test_split, fresh),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
