/* links: gatewayd */
/* No payment begins for whose card there is no room: busy is said before anything is written. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "daemons/gatewayd/attempt.h"
#include "lib/secret.h"

#define HEAP_BYTES (1024u * 1024u)
#define BODY_BYTES 4000u

static void a_payment_begins_only_where_its_card_finds_room(void **state)
{
    (void)state;
    static struct secret *bodies[ATTEMPT_JOBS_MAX];
    static char body[BODY_BYTES];
    struct gatewayd g = {.job_count = 0};
    /* All that are admitted have their body built in the end, and at its longest. */
    while (attempt_has_room(&g)) {
        g.job_count++;
    }
    assert_true(g.job_count > 100 && g.job_count < ATTEMPT_JOBS_MAX);
    for (unsigned i = 0; i < g.job_count; i++) {
        bodies[i] = secret_new(body, sizeof(body));
        assert_non_null(bodies[i]);
    }
    assert_false(attempt_has_room(&g));
    for (unsigned i = 0; i < g.job_count; i++) {
        secret_free(bodies[i]);
    }
    assert_false(attempt_has_room(&g)); /* they may still need it */
    g.job_count = 0;
    assert_true(attempt_has_room(&g));
    assert_int_equal(secret_memory_left(), HEAP_BYTES);
}

static void there_is_a_most_of_payments_at_once(void **state)
{
    (void)state;
    struct gatewayd g = {.job_count = ATTEMPT_JOBS_MAX};
    assert_false(attempt_has_room(&g));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_payment_begins_only_where_its_card_finds_room),
        cmocka_unit_test(there_is_a_most_of_payments_at_once),
    };
    if (secret_memory_start(HEAP_BYTES) != NULL) {
        return EXIT_FAILURE;
    }
    return cmocka_run_group_tests_name("attempt_room", tests, NULL, NULL);
}
