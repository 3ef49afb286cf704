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
    secret_free(card.pan);
    card = (struct msg_typed_card){.pan = secret_new("4111111111111111", 16)};
    pay = (struct msg_pay){.amount_minor = 8000, .card = &card};
    return card.pan != NULL ? 0 : -1;
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

static void test_oldest_first(void **state)
{
    (void)state;
    pay.oldest_first = true;
    refused("customer_missing", "customer");
    snprintf(pay.customer, sizeof pay.customer, "C-1");
    assert_null(pos_pay_check(&pay));
    pay.invoices = parts;
    pay.invoices_count = 1;
    parts[0].amount_minor = 8000;
    refused("split_ambiguous", "oldest_first");
}

/* Clerks paste the number into the wrong field; those fields are kept in clear. */
static void test_number_in_a_text(void **state)
{
    (void)state;
    snprintf(pay.description, sizeof pay.description, "card 4111111111111111 again");
    refused("card_number_in_text", "description");
    snprintf(pay.description, sizeof pay.description, "card 4111111111111112 again");
    assert_null(pos_pay_check(&pay));
    snprintf(pay.key, sizeof pay.key, "4111111111111111");
    refused("card_number_in_text", "key");
    pay.key[0] = '\0';
    snprintf(card.holder, sizeof card.holder, "4111111111111111");
    refused("card_number_in_text", "card.holder");
    card.holder[0] = '\0';
    pay.invoices = parts;
    pay.invoices_count = 1;
    parts[0].amount_minor = 8000;
    snprintf(parts[0].invoice, sizeof parts[0].invoice, "4111111111111111");
    refused("card_number_in_text", "invoices");
    parts[0].invoice[0] = '\0';
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
        cmocka_unit_test_setup(test_oldest_first, fresh),
        cmocka_unit_test_setup(test_number_in_a_text, fresh),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
