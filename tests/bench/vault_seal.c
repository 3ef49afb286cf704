/* links: vaultd */
/* How many card records one core seals a second, by the function vaultd calls. Each is a whole
 * record with a fresh context and nonce; samples are opened again, so that no broken seal counts.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemons/vaultd/card_record.h"
#include "daemons/vaultd/seal.h"

#define BENCH_NS INT64_C(2000000000)
#define BATCH 1000

/* Of this thread's own processor time: neighbours on the machine don't count. */
static int64_t spent_ns(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0) {
        abort();
    }
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void check(const struct secret *key, const struct seal_place *place,
                  const struct sealed *sealed, const struct secret *record)
{
    struct secret *opened = NULL;
    struct error *e = seal_open(key, place, sealed, &opened);
    if (e != NULL || !secret_equal(opened, record)) {
        (void)fprintf(stderr, "a sealed record did not open to what it was\n");
        exit(EXIT_FAILURE);
    }
    secret_free(opened);
}

int main(void)
{
    struct error *e = secret_memory_start(1u << 20);
    if (e != NULL) {
        (void)fprintf(stderr, "%s\n", e->sentence);
        return EXIT_FAILURE;
    }
    char key_bytes[SEAL_KEY_BYTES];
    memset(key_bytes, 7, sizeof key_bytes);
    struct secret *key = secret_new(key_bytes, sizeof key_bytes);
    struct secret *pan = secret_new("4242424242424242", 16);
    struct secret *record = card_record_pack(pan, "A. Holder", "12345");
    assert(key != NULL && pan != NULL && record != NULL);
    const struct seal_place place = {"tok_00000000000000000000000001", 1, "C-1", "1230"};
    struct sealed sealed;
    int64_t count = 0;
    const int64_t begun_ns = spent_ns();
    int64_t ns = 0;
    while (ns < BENCH_NS) {
        for (int i = 0; i < BATCH; i++) {
            e = seal_record(key, &place, record, &sealed);
            if (e != NULL) {
                (void)fprintf(stderr, "%s\n", e->sentence);
                return EXIT_FAILURE;
            }
        }
        check(key, &place, &sealed, record);
        count += BATCH;
        ns = spent_ns() - begun_ns;
    }
    (void)printf("bench vault.seal %.0f records/s\n", (double)count * 1e9 / (double)ns);
    secret_free(record);
    secret_free(pan);
    secret_free(key);
    return EXIT_SUCCESS;
}
