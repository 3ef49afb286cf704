/* Secrets: locked, out of cores, wiped; libraries wipe what they free; credential files must be
 * private. The search for leftovers reads this process's own memory. */
#include "tests/unit/unit.h"

#include <event2/buffer.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/memory.h"
#include "lib/secret.h"

#define CANARY_BYTES 16
#define HEAP_BYTES (256u * 1024u)
#define REGION_MAX_BYTES (64ul * 1024 * 1024)
#define VEIL 0x5a

/* Never in clear in the program's data: unveiled into a buffer only while it is needed. */
static const unsigned char veiled[CANARY_BYTES] = {
    'K' ^ VEIL, '7' ^ VEIL, 'q' ^ VEIL, '!' ^ VEIL, 'x' ^ VEIL, 'Z' ^ VEIL, '3' ^ VEIL, 'w' ^ VEIL,
    'P' ^ VEIL, '9' ^ VEIL, 'v' ^ VEIL, '#' ^ VEIL, 'm' ^ VEIL, 'T' ^ VEIL, '5' ^ VEIL, 'r' ^ VEIL};

static void unveil(char *out)
{
    for (size_t i = 0; i < CANARY_BYTES; i++) {
        out[i] = (char)(veiled[i] ^ VEIL);
    }
    out[CANARY_BYTES] = '\0';
}

__attribute__((no_sanitize("address"))) static size_t count_in(const volatile unsigned char *p,
                                                               const volatile unsigned char *end)
{
    size_t found = 0;
    for (; p + CANARY_BYTES <= end; p++) {
        size_t i = 0;
        while (i < CANARY_BYTES && (p[i] ^ VEIL) == veiled[i]) {
            i++;
        }
        found += i == CANARY_BYTES;
    }
    return found;
}

/* How often the canary stands in this process's writable memory, its stack left out: the compiler
 * may spill a register with a piece of it there, which is not what is asked here. */
static size_t canaries(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    char text[512];
    size_t found = 0;
    while (fgets(text, sizeof text, maps) != NULL) {
        unsigned long start = 0;
        unsigned long end = 0;
        char rights[5];
        /* NOLINTNEXTLINE(cert-err34-c): the kernel writes these numbers */
        assert_int_equal(sscanf(text, "%lx-%lx %4s", &start, &end, rights), 3);
        if (rights[0] == 'r' && rights[1] == 'w' && end - start <= REGION_MAX_BYTES &&
            strstr(text, "[stack]") == NULL) {
            found += count_in((const volatile unsigned char *)start,
                              (const volatile unsigned char *)end);
        }
    }
    (void)fclose(maps);
    return found;
}

static int start(void **state)
{
    (void)state;
    struct error *e = secret_memory_start(HEAP_BYTES);
    return e == NULL ? 0 : -1;
}

static void cores_are_off_and_a_second_start_is_harmless(void **state)
{
    (void)state;
    struct rlimit limit;
    assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
    assert_int_equal(getrlimit(RLIMIT_CORE, &limit), 0);
    assert_int_equal(limit.rlim_cur, 0);
    assert_int_equal(limit.rlim_max, 0);
    assert_null(secret_memory_start(HEAP_BYTES));
}

static void a_secret_lives_in_the_secure_heap_and_ends_with_nul(void **state)
{
    (void)state;
    struct secret *s = secret_new("12\0034", 5);
    assert_non_null(s);
    assert_true(CRYPTO_secure_allocated(s));
    assert_int_equal(secret_size(s), 5);
    assert_memory_equal(secret_expose(s), "12\0034\0", 6);
    struct secret *copy = secret_copy(s);
    assert_true(CRYPTO_secure_allocated(copy));
    assert_ptr_not_equal(secret_expose(copy), secret_expose(s));
    assert_true(secret_equal(s, copy));
    secret_free(s);
    assert_memory_equal(secret_expose(copy), "12\0034\0", 6);
    secret_free(copy);
    assert_null(secret_copy(NULL));
    secret_free(NULL);
}

static void equal_compares_size_and_every_byte(void **state)
{
    (void)state;
    struct secret *a = secret_new("4111", 4);
    struct secret *b = secret_new("4112", 4);
    struct secret *c = secret_new("411", 3);
    struct secret *d = secret_new("", 0);
    assert_true(secret_equal(a, a));
    assert_false(secret_equal(a, b));
    assert_false(secret_equal(a, c));
    assert_false(secret_equal(a, d));
    assert_false(secret_equal(a, NULL));
    assert_true(secret_equal(NULL, NULL));
    secret_free(a);
    secret_free(b);
    secret_free(c);
    secret_free(d);
}

static void a_full_heap_says_so(void **state)
{
    (void)state;
    static char big[40000];
    struct secret *a[HEAP_BYTES / 65536]; /* each is rounded up to 64 KiB */
    for (size_t i = 0; i < sizeof a / sizeof *a; i++) {
        a[i] = secret_new(big, sizeof big);
        assert_non_null(a[i]);
    }
    assert_null(secret_new("x", 1));
    for (size_t i = 0; i < sizeof a / sizeof *a; i++) {
        secret_free(a[i]);
    }
    struct secret *b = secret_new("x", 1);
    assert_non_null(b);
    secret_free(b);
}

static void nothing_is_left_of_a_freed_secret(void **state)
{
    (void)state;
    char text[CANARY_BYTES + 1];
    unveil(text);
    struct secret *s = secret_take_text(text);
    assert_int_equal(text[0], 0);
    assert_int_equal(text[CANARY_BYTES - 1], 0);
    struct secret *copy = secret_copy(s);
    assert_int_equal(canaries(), 2);
    secret_free(s);
    assert_int_equal(canaries(), 1);
    secret_free(copy);
    assert_int_equal(canaries(), 0);
}

static void libraries_wipe_what_they_free(void **state)
{
    (void)state;
    char text[CANARY_BYTES + 1];
    unveil(text);
    json_t *json = json_string(text);
    struct evbuffer *buffer = evbuffer_new();
    assert_int_equal(evbuffer_add(buffer, text, CANARY_BYTES), 0);
    char *openssl = OPENSSL_strdup(text);
    char *moved = memory_strdup(text);
    assert_int_equal(canaries(), 4);
    secret_wipe(text, sizeof text);
    moved = memory_realloc(moved, 100000); /* leaves its old place */
    assert_int_equal(canaries(), 4);
    memory_free(moved);
    json_decref(json);
    evbuffer_free(buffer);
    OPENSSL_free(openssl);
    assert_int_equal(canaries(), 0);
}

static void realloc_keeps_the_bytes(void **state)
{
    (void)state;
    char *p = memory_realloc(NULL, 10);
    for (size_t n = 10; n < 100000; n = n * 3 / 2) {
        memset(p, (int)(n % 251), n);
        p = memory_realloc(p, n * 3 / 2);
        assert_int_equal((unsigned char)p[0], n % 251);
        assert_int_equal((unsigned char)p[n - 1], n % 251);
    }
    p = memory_realloc(p, 5);
    assert_null(memory_realloc(p, 0));
}

/* --- credentials --- */

static char folder[] = "/tmp/kometpay-test-secret-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL || unsetenv("CREDENTIALS_DIRECTORY") != 0 ||
           setenv("KOMETPAY_CREDENTIALS", folder, 1) != 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void path_of(const char *name, char *out, size_t size)
{
    (void)snprintf(out, size, "%s/%s", folder, name);
}

static void put(const char *name, const char *bytes, size_t n, mode_t mode)
{
    char path[128];
    path_of(name, path, sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static void drop(const char *name)
{
    char path[128];
    path_of(name, path, sizeof path);
    assert_int_equal(unlink(path), 0);
}

static void a_credential_is_read_whole_without_its_newline(void **state)
{
    (void)state;
    struct secret *s = NULL;
    put("key", "abc\n\n", 5, 0400);
    assert_null(secret_credential("key", &s));
    assert_int_equal(secret_size(s), 4);
    assert_memory_equal(secret_expose(s), "abc\n", 5);
    secret_free(s);
    drop("key");
}

static void a_credential_may_be_left_out_but_not_be_unreadable(void **state)
{
    (void)state;
    assert_false(secret_credential_given("key"));
    put("key", "", 0, 0000);
    assert_true(secret_credential_given("key"));
    drop("key");
}

static void systemds_folder_comes_first(void **state)
{
    (void)state;
    struct secret *s = NULL;
    put("key", "abc", 3, 0400);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "/nonexistent", 1), 0);
    struct error *e = secret_credential("key", &s);
    assert_true(error_is(e, "credential_missing"));
    error_free(e);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
    drop("key");
}

static void a_credential_that_others_can_read_is_refused(void **state)
{
    (void)state;
    static const mode_t modes[] = {0440, 0404, 0420, 0402, 0410, 0644};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct secret *s = NULL;
        put("key", "abc", 3, modes[i]);
        struct error *e = secret_credential("key", &s);
        assert_true(error_is(e, "credential_unsafe_mode"));
        assert_null(s);
        error_free(e);
        drop("key");
    }
}

static void a_missing_or_overlong_credential_is_refused(void **state)
{
    (void)state;
    static char big[65537];
    struct secret *s = NULL;
    struct error *e = secret_credential("nothing", &s);
    assert_true(error_is(e, "credential_missing"));
    error_free(e);
    put("key", big, sizeof big, 0400);
    e = secret_credential("key", &s);
    assert_true(error_is(e, "credential_missing"));
    error_free(e);
    drop("key");
    put("key", big, 65536, 0400);
    assert_null(secret_credential("key", &s));
    assert_int_equal(secret_size(s), 65536);
    secret_free(s);
    drop("key");
    assert_int_equal(unsetenv("KOMETPAY_CREDENTIALS"), 0);
    e = secret_credential("key", &s);
    assert_true(error_is(e, "credential_missing"));
    error_free(e);
    assert_int_equal(setenv("KOMETPAY_CREDENTIALS", folder, 1), 0);
}

int main(void)
{
    const struct CMUnitTest memory[] = {
        cmocka_unit_test(cores_are_off_and_a_second_start_is_harmless),
        cmocka_unit_test(a_secret_lives_in_the_secure_heap_and_ends_with_nul),
        cmocka_unit_test(equal_compares_size_and_every_byte),
        cmocka_unit_test(a_full_heap_says_so),
        cmocka_unit_test(nothing_is_left_of_a_freed_secret),
        cmocka_unit_test(libraries_wipe_what_they_free),
        cmocka_unit_test(realloc_keeps_the_bytes),
    };
    const struct CMUnitTest credentials[] = {
        cmocka_unit_test(a_credential_is_read_whole_without_its_newline),
        cmocka_unit_test(a_credential_may_be_left_out_but_not_be_unreadable),
        cmocka_unit_test(systemds_folder_comes_first),
        cmocka_unit_test(a_credential_that_others_can_read_is_refused),
        cmocka_unit_test(a_missing_or_overlong_credential_is_refused),
    };
    int failed = cmocka_run_group_tests(memory, start, NULL);
    return failed + cmocka_run_group_tests(credentials, make_folder, remove_folder);
}
