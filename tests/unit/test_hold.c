/* links: vaultd */
/* Holds: given once, for so long and no longer, so many and no more, and wiped from locked memory.
 */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "daemons/vaultd/hold.h"
#include "lib/clock.h"

static int64_t now_ms = 1000;

static int64_t fake_boot_ms(void)
{
    return now_ms;
}

static int start(void **state)
{
    (void)state;
    clock_set_source(fake_boot_ms, NULL);
    return secret_memory_start(1u << 20) == NULL ? 0 : -1;
}

static struct hold a_card(const char *pan)
{
    struct hold hold = {.pan = secret_new(pan, strlen(pan)), .cvv = secret_new("123", 3)};
    (void)snprintf(hold.face.expiry, sizeof hold.face.expiry, "1230");
    (void)snprintf(hold.holder, sizeof hold.holder, "A. Holder");
    return hold;
}

static void take(struct holds *holds, char ref[ID_MAX])
{
    struct hold hold = a_card("4242424242424242");
    assert_null(holds_take(holds, &hold, ref));
    assert_null(hold.pan); /* taken over and wiped here */
    assert_int_equal(hold.holder[0], '\0');
    assert_true(id_valid("hold_", ref));
}

static void test_once(void **state)
{
    (void)state;
    struct holds *holds = holds_new(NULL, 10, 120000);
    char ref[ID_MAX], other[ID_MAX];
    take(holds, ref);
    take(holds, other);
    assert_string_not_equal(ref, other);
    const struct hold *seen = holds_find(holds, ref);
    assert_non_null(seen);
    assert_string_equal(secret_expose(seen->pan), "4242424242424242");
    assert_string_equal(secret_expose(seen->cvv), "123");
    struct hold out;
    assert_true(holds_remove(holds, ref, &out));
    assert_string_equal(secret_expose(out.pan), "4242424242424242");
    assert_string_equal(out.face.expiry, "1230");
    hold_wipe(&out);
    assert_null(out.pan);
    assert_false(holds_remove(holds, ref, &out));
    assert_null(holds_find(holds, ref));
    assert_null(holds_find(holds, ""));
    assert_null(holds_find(holds, "hold_0"));
    assert_non_null(holds_find(holds, other));
    assert_int_equal(holds_count(holds), 1);
    holds_free(holds);
}

static void test_expiry(void **state)
{
    (void)state;
    struct holds *holds = holds_new(NULL, 10, 120000);
    char early[ID_MAX], late[ID_MAX];
    const size_t used = CRYPTO_secure_used();
    take(holds, early);
    now_ms += 60000;
    take(holds, late);
    now_ms += 59999;
    assert_non_null(holds_find(holds, early));
    now_ms += 1;
    assert_null(holds_find(holds, early));
    assert_int_equal(holds_count(holds), 1);
    assert_non_null(holds_find(holds, late));
    now_ms += 60000;
    struct hold out;
    assert_false(holds_remove(holds, late, &out));
    assert_int_equal(holds_count(holds), 0);
    assert_int_equal(CRYPTO_secure_used(), used); /* nothing of them is left */
    holds_free(holds);
}

static void test_bound(void **state)
{
    (void)state;
    struct holds *holds = holds_new(NULL, 3, 120000);
    const size_t used = CRYPTO_secure_used();
    char refs[3][ID_MAX], ref[ID_MAX];
    for (size_t i = 0; i < 3; i++) {
        assert_false(holds_full(holds));
        take(holds, refs[i]);
    }
    assert_true(holds_full(holds));
    struct hold more = a_card("4111111111111111");
    struct error *e = holds_take(holds, &more, ref);
    assert_true(error_is(e, "busy"));
    assert_null(more.pan); /* taken, in any case */
    error_free(e);
    assert_non_null(holds_find(holds, refs[0])); /* nobody was pushed out */
    now_ms += 120000;
    assert_false(holds_full(holds)); /* time makes room */
    take(holds, ref);
    holds_free(holds);
    assert_int_equal(CRYPTO_secure_used(), used);
}

static void test_many(void **state)
{
    (void)state;
    enum { MANY = 4096 };
    static char refs[MANY][ID_MAX];
    struct holds *holds = holds_new(NULL, MANY, 120000);
    for (size_t i = 0; i < MANY; i++) {
        take(holds, refs[i]);
    }
    assert_true(holds_full(holds)); /* the daemon's locked memory holds its own bound */
    for (size_t i = 0; i < MANY; i++) {
        struct hold out;
        assert_true(holds_remove(holds, refs[(i * 2741) % MANY], &out));
        hold_wipe(&out);
    }
    assert_int_equal(holds_count(holds), 0);
    holds_free(holds);
}

static void sleeping_loop_ends(void *context)
{
    loop_stop(context);
}

/* With a loop a hold is wiped on time though nobody asks for it. */
static void test_timer(void **state)
{
    (void)state;
    clock_set_source(NULL, NULL);
    struct loop *loop = loop_new();
    struct holds *holds = holds_new(loop, 3, 20);
    const size_t used = CRYPTO_secure_used();
    char ref[ID_MAX];
    take(holds, ref);
    take(holds, ref);
    assert_true(CRYPTO_secure_used() > used);
    struct timer *end = timer_new(loop, sleeping_loop_ends, loop);
    timer_arm(end, 200);
    loop_run(loop);
    assert_int_equal(holds_count(holds), 0);
    assert_int_equal(CRYPTO_secure_used(), used);
    timer_free(end);
    holds_free(holds);
    loop_free(loop);
    clock_set_source(fake_boot_ms, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once), cmocka_unit_test(test_expiry), cmocka_unit_test(test_bound),
        cmocka_unit_test(test_many), cmocka_unit_test(test_timer),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
