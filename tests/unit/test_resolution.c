/* links: gatewayd */
/* The rules of the state machine as tables: what an outcome makes of an attempt, what is told, what
 * the resolver does for each kind, state and look-up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemons/gatewayd/outcome.h"
#include "daemons/gatewayd/request_fingerprint.h"
#include "daemons/gatewayd/resolution.h"
#include "ipc/messages.h"

static void an_unclear_outcome_is_never_a_failure(void **state)
{
    (void)state;
    struct money_outcome o = {.outcome = OUTCOME_UNKNOWN};
    assert_string_equal(outcome_state(&o), "UNKNOWN");
    o.outcome = OUTCOME_APPROVED;
    assert_string_equal(outcome_state(&o), "APPROVED");
    o.outcome = OUTCOME_DECLINED;
    assert_string_equal(outcome_state(&o), "DECLINED");
    o.outcome = OUTCOME_NOT_SENT;
    assert_string_equal(outcome_state(&o), "NOT_SENT");
    o.outcome = OUTCOME_REFUSED;
    assert_string_equal(outcome_state(&o), "NOT_SENT");
    o = (struct money_outcome){.outcome = OUTCOME_UNKNOWN, .partial = true};
    assert_string_equal(outcome_state(&o), "REVERSING");
}

static void only_final_states_are_told_as_final(void **state)
{
    (void)state;
    static const struct {
        const char *state;
        int told;
        bool final;
    } WANTED[] = {
        {"SENDING", PAYMENT_ANSWER_OUTCOME_PENDING, false},
        {"UNKNOWN", PAYMENT_ANSWER_OUTCOME_PENDING, false},
        {"REVERSING", PAYMENT_ANSWER_OUTCOME_PENDING, false},
        {"REVIEW", PAYMENT_ANSWER_OUTCOME_REVIEW, false},
        {"APPROVED", PAYMENT_ANSWER_OUTCOME_APPROVED, true},
        {"DECLINED", PAYMENT_ANSWER_OUTCOME_DECLINED, true},
        {"NOT_SENT", PAYMENT_ANSWER_OUTCOME_NOT_CHARGED, true},
        {"NOT_CHARGED", PAYMENT_ANSWER_OUTCOME_NOT_CHARGED, true},
        {"REVERSED", PAYMENT_ANSWER_OUTCOME_NOT_CHARGED, true},
    };
    for (size_t i = 0; i < sizeof WANTED / sizeof *WANTED; i++) {
        assert_int_equal(state_told(WANTED[i].state), WANTED[i].told);
        assert_int_equal(state_is_final(WANTED[i].state), WANTED[i].final);
    }
}

static void every_cell_of_the_resolver_is_sound(void **state)
{
    (void)state;
    static const char *const KINDS[] = {"SALE", "AUTH", "CAPTURE", "VOID", "REFUND"};
    static const char *const STATES[] = {"UNKNOWN", "REVIEW", "NOT_CHARGED"};
    for (size_t k = 0; k < 5; k++) {
        for (size_t s = 0; s < 3; s++) {
            for (int found = LOOKUP_APPROVED; found <= LOOKUP_UNCLEAR; found++) {
                struct resolution_rule r = resolution_of(KINDS[k], STATES[s], (enum lookup)found);
                assert_int_equal(r.state != NULL, r.action == RESOLVE_TO);
                if (r.state && strcmp(r.state, "APPROVED") == 0) {
                    assert_true(found == LOOKUP_APPROVED ||
                                (found == LOOKUP_SEVERAL && strcmp(KINDS[k], "VOID") == 0));
                }
                if (found == LOOKUP_UNCLEAR || found == LOOKUP_PENDING) {
                    assert_true(r.action == RESOLVE_LATER || r.action == RESOLVE_WATCH);
                }
                if (r.state) { /* absence alone never decides: it goes through the horizon */
                    assert_int_not_equal(found, LOOKUP_ABSENT);
                    assert_string_not_equal(r.state, "NOT_CHARGED");
                }
            }
        }
    }
}

static void a_cancelled_sale_is_taken_back(void **state)
{
    (void)state;
    assert_int_equal(resolution_of("SALE", "REVERSING", LOOKUP_APPROVED).action, RESOLVE_REVERSE);
    assert_string_equal(resolution_of("SALE", "REVERSING", LOOKUP_REVERSED).state, "REVERSED");
    assert_string_equal(resolution_of("SALE", "NOT_CHARGED", LOOKUP_APPROVED).state, "REVERSING");
    assert_int_equal(resolution_of("VOID", "UNKNOWN", LOOKUP_ABSENT).action, RESOLVE_ORIGINAL);
}

static void the_resolver_never_ends(void **state)
{
    (void)state;
    static const int64_t FIRST_MS[] = {2000, 5000, 15000, 60000, 300000};
    for (int64_t i = 0; i < 5; i++) {
        assert_int_equal(resolution_delay_ms(i), FIRST_MS[i]);
    }
    assert_int_equal(resolution_delay_ms(1000000), 3600000);
    assert_int_equal(resolution_watch_ms(0), 3600000);
    assert_int_equal(resolution_watch_ms(2 * 24 * 3600000LL), 24 * 3600000LL);
    assert_int_equal(resolution_watch_ms(90 * 24 * 3600000LL), -1);
}

static void every_field_of_a_sale_is_in_its_fingerprint(void **state)
{
    (void)state;
    struct msg_invoice_part parts[2] = {{.invoice = "A", .amount_minor = 1},
                                        {.invoice = "B", .amount_minor = 2}};
    struct msg_sale base = {.location = "MIA",
                            .kind = SALE_KIND_SALE,
                            .amount_minor = 3,
                            .currency = "USD",
                            .customer = "C",
                            .card_fingerprint = "f",
                            .expiry = "1230",
                            .description = "d",
                            .invoices = parts,
                            .invoices_count = 2};
    struct msg_sale other[11];
    for (size_t i = 0; i < 11; i++) {
        other[i] = base;
    }
    struct msg_invoice_part changed[2] = {parts[0], {.invoice = "B", .amount_minor = 3}};
    strcpy(other[0].location, "MIB");
    other[1].kind = SALE_KIND_AUTH;
    other[2].amount_minor = 4;
    strcpy(other[3].currency, "EUR");
    strcpy(other[4].customer, "D");
    strcpy(other[5].card_fingerprint, "g");
    strcpy(other[6].expiry, "1231");
    strcpy(other[7].description, "e");
    other[8].invoices_count = 1;
    other[9].invoices = changed;
    other[10].oldest_first = true;
    char first[FINGERPRINT_SIZE], second[FINGERPRINT_SIZE];
    request_fingerprint_sale(&base, first);
    request_fingerprint_sale(&base, second);
    assert_string_equal(first, second);
    for (size_t i = 0; i < 11; i++) {
        request_fingerprint_sale(&other[i], second);
        assert_string_not_equal(first, second);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unclear_outcome_is_never_a_failure),
        cmocka_unit_test(only_final_states_are_told_as_final),
        cmocka_unit_test(every_cell_of_the_resolver_is_sound),
        cmocka_unit_test(a_cancelled_sale_is_taken_back),
        cmocka_unit_test(the_resolver_never_ends),
        cmocka_unit_test(every_field_of_a_sale_is_in_its_fingerprint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
