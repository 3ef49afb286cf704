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
    o.outcome = OUTCOME_REFUSED; /* it left this host, so it is not NOT_SENT */
    assert_string_equal(outcome_state(&o), "REFUSED");
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
        {"REFUSED", PAYMENT_ANSWER_OUTCOME_NOT_CHARGED, true},
        {"NOT_CHARGED", PAYMENT_ANSWER_OUTCOME_NOT_CHARGED, true},
        {"REVERSED", PAYMENT_ANSWER_OUTCOME_NOT_CHARGED, true},
    };
    for (size_t i = 0; i < sizeof WANTED / sizeof *WANTED; i++) {
        assert_int_equal(state_told(WANTED[i].state), WANTED[i].told);
        assert_int_equal(state_is_final(WANTED[i].state), WANTED[i].final);
    }
}

static const struct resolution_known UNKNOWN_ID = {.id = false};
static const struct resolution_known KNOWN_ID = {.id = true};

static void every_cell_of_the_resolver_is_sound(void **state)
{
    (void)state;
    static const char *const KINDS[] = {"SALE", "AUTH", "CAPTURE", "VOID", "REFUND"};
    static const char *const STATES[] = {"UNKNOWN", "REVIEW", "NOT_CHARGED"};
    for (size_t k = 0; k < 5; k++) {
        for (size_t s = 0; s < 3; s++) {
            if (s == 2 && strcmp(KINDS[k], "VOID") == 0) {
                continue; /* what became of a void is asked of its original: it is never given up */
            }
            for (int found = LOOKUP_APPROVED; found <= LOOKUP_UNCLEAR; found++) {
                struct resolution_rule r =
                    resolution_of(KINDS[k], STATES[s], UNKNOWN_ID, (enum lookup)found);
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
    assert_int_equal(resolution_of("SALE", "REVERSING", UNKNOWN_ID, LOOKUP_APPROVED).action,
                     RESOLVE_REVERSE);
    assert_string_equal(resolution_of("SALE", "REVERSING", UNKNOWN_ID, LOOKUP_REVERSED).state,
                        "REVERSED");
    assert_string_equal(resolution_of("SALE", "NOT_CHARGED", UNKNOWN_ID, LOOKUP_APPROVED).state,
                        "REVERSING");
    assert_int_equal(resolution_of("VOID", "UNKNOWN", UNKNOWN_ID, LOOKUP_ABSENT).action,
                     RESOLVE_ORIGINAL);
}

/* The search may lag, be dead or forget: what we know to be approved is voided by its id, and never
 * called 'not charged' because the search is silent. */
static void silence_takes_no_known_approval_back(void **state)
{
    (void)state;
    static const enum lookup SILENT[] = {LOOKUP_ABSENT, LOOKUP_PENDING, LOOKUP_UNCLEAR};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(resolution_of("SALE", "REVERSING", KNOWN_ID, SILENT[i]).action,
                         RESOLVE_REVERSE);
        assert_int_not_equal(resolution_of("SALE", "REVERSING", UNKNOWN_ID, SILENT[i]).action,
                             RESOLVE_REVERSE);
        /* elsewhere the id changes nothing */
        assert_int_equal(resolution_of("SALE", "UNKNOWN", KNOWN_ID, SILENT[i]).action,
                         resolution_of("SALE", "UNKNOWN", UNKNOWN_ID, SILENT[i]).action);
    }
}

static void a_partial_approval_is_taken_back_wherever_it_is_found(void **state)
{
    (void)state;
    static const char *const STATES[] = {"UNKNOWN", "REVIEW", "NOT_CHARGED"};
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(resolution_of("SALE", STATES[i], UNKNOWN_ID, LOOKUP_PARTIAL).state,
                            "REVERSING");
        assert_string_equal(resolution_of("AUTH", STATES[i], UNKNOWN_ID, LOOKUP_PARTIAL).state,
                            "REVERSING");
    }
    assert_int_equal(resolution_of("SALE", "REVERSING", KNOWN_ID, LOOKUP_PARTIAL).action,
                     RESOLVE_REVERSE);
}

/* Told as not charged, taken back in vain for a day: whatever is found, it goes back to that. */
static void what_must_not_stand_never_leaves_review_as_approved(void **state)
{
    (void)state;
    const struct resolution_known known = {.id = true, .must_not_stand = true};
    for (int found = LOOKUP_APPROVED; found <= LOOKUP_UNCLEAR; found++) {
        struct resolution_rule r = resolution_of("SALE", "REVIEW", known, (enum lookup)found);
        assert_int_not_equal(r.action, RESOLVE_SURPLUS);
        assert_true(!r.state || strncmp(r.state, "REVERS", 6) == 0);
    }
    assert_string_equal(resolution_of("SALE", "REVIEW", known, LOOKUP_MISMATCH).state, "REVERSING");
}

/* Charged more than once while it must not stand: all of it goes back. */
static void nothing_stands_of_what_is_being_taken_back(void **state)
{
    (void)state;
    for (int known = 0; known < 2; known++) {
        for (int found = LOOKUP_APPROVED; found <= LOOKUP_UNCLEAR; found++) {
            struct resolution_rule r = resolution_of(
                "SALE", "REVERSING", known ? KNOWN_ID : UNKNOWN_ID, (enum lookup)found);
            assert_int_not_equal(r.action, RESOLVE_SURPLUS);
            assert_true(!r.state || strcmp(r.state, "REVERSED") == 0);
        }
    }
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
        cmocka_unit_test(silence_takes_no_known_approval_back),
        cmocka_unit_test(a_partial_approval_is_taken_back_wherever_it_is_found),
        cmocka_unit_test(what_must_not_stand_never_leaves_review_as_approved),
        cmocka_unit_test(nothing_stands_of_what_is_being_taken_back),
        cmocka_unit_test(the_resolver_never_ends),
        cmocka_unit_test(every_field_of_a_sale_is_in_its_fingerprint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
