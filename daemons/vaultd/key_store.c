/* One round: list the stored keys and load them; make a key if there is none; set seals aside; make
 * the next key when the newest is used up. Must never seal before the setting aside is committed,
 * and never replace a stored key that does not unwrap: that would hide a wrong credential. */
#include "daemons/vaultd/key_store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/vaultd/card_store.h"

/* Seals set aside at once: one write for so many cards; a restart loses at most these. */
#define SEALS_BLOCK INT64_C(1024)
/* New keys in one round: only a cap that other vaultds use up meanwhile needs a second. */
#define KEYS_PER_ROUND_MAX 4u
/* Answers lost in one round, each time begun again with the list: all steps may be repeated. */
#define LOST_PER_ROUND_MAX 3u

struct waiter {
    struct waiter *next;
    key_store_done *done;
    void *context;
};

struct key_store {
    struct database *db;
    struct key_ring *ring;
    int64_t seals_per_key;
    struct waiter *waiters;      /* first come, first woken: nobody starves while seals are few */
    struct waiter **waiters_end; /* where the next one is hung */
    bool running;
    int64_t newest_kid; /* of this round */
    unsigned keys_made; /* in this round */
    unsigned lost;      /* in this round */
};

static void list_keys(struct key_store *store);
static void create_key(struct key_store *store);
static void reserve_seals(struct key_store *store);

struct key_store *key_store_new(struct database *db, struct key_ring *ring, int64_t seals_per_key)
{
    assert(seals_per_key > 0 && seals_per_key <= KEY_SEALS_MAX);
    struct key_store *store = calloc(1, sizeof *store);
    assert(store != NULL);
    store->db = db;
    store->ring = ring;
    store->seals_per_key = seals_per_key;
    store->waiters_end = &store->waiters;
    return store;
}

void key_store_free(struct key_store *store)
{
    while (store != NULL && store->waiters != NULL) {
        struct waiter *waiter = store->waiters;
        store->waiters = waiter->next;
        free(waiter);
    }
    free(store);
}

void key_store_refresh(struct key_store *store, key_store_done *done, void *context)
{
    struct waiter *waiter = malloc(sizeof *waiter);
    assert(waiter != NULL);
    *waiter = (struct waiter){NULL, done, context};
    *store->waiters_end = waiter;
    store->waiters_end = &waiter->next;
    if (!store->running) {
        store->running = true;
        store->keys_made = 0;
        store->lost = 0;
        list_keys(store);
    }
}

/* Ends the round; those who wait may begin the next from their callback. Takes `e`. */
static void finish(struct key_store *store, struct error *e)
{
    struct waiter *waiter = store->waiters;
    store->waiters = NULL;
    store->waiters_end = &store->waiters;
    store->running = false;
    while (waiter != NULL) {
        struct waiter *next = waiter->next;
        waiter->done(waiter->context, e);
        free(waiter);
        waiter = next;
    }
    error_free(e);
}

/* A step without a good answer. What was committed by a lost one is found by the list; seals it set
 * aside are lost, which is harmless. */
static void not_done(struct key_store *store, enum database_outcome outcome, const struct error *e)
{
    if (outcome == DATABASE_UNKNOWN && store->lost++ < LOST_PER_ROUND_MAX) {
        list_keys(store);
        return;
    }
    finish(store, error_copy(e));
}

static struct error *load_row(struct key_store *store, const struct rows *rows, size_t row)
{
    struct wrapped_key key = {.kid = rows_int(rows, row, "kid")};
    const char *kek = rows_text(rows, row, "kek");
    if (kek == NULL || strcmp(kek, KEY_KEK_NAME) != 0) {
        return error_failed("kek_unknown",
                            "Data key %" PRId64 " is wrapped by a credential other than %s.",
                            key.kid, KEY_KEK_NAME);
    }
    size_t wrapped_n = 0, check_n = 0;
    uint8_t *wrapped = rows_bytes(rows, row, "wrapped", &wrapped_n);
    uint8_t *check = rows_bytes(rows, row, "check_value", &check_n);
    struct error *e = NULL;
    if (wrapped == NULL || check == NULL || wrapped_n != sizeof key.wrapped ||
        check_n != sizeof key.check_value) {
        e = error_failed("key_failed", "Data key %" PRId64 " has a wrong form.", key.kid);
    } else {
        memcpy(key.wrapped, wrapped, wrapped_n);
        memcpy(key.check_value, check, check_n);
        e = key_ring_load(store->ring, &key);
    }
    free(wrapped);
    free(check);
    if (e == NULL && key.kid > store->newest_kid) {
        store->newest_kid = key.kid;
    }
    return e;
}

static void keys_listed(void *context, enum database_outcome outcome, const struct rows *rows,
                        const struct error *e)
{
    struct key_store *store = context;
    if (outcome != DATABASE_DONE) {
        not_done(store, outcome, e);
        return;
    }
    store->newest_kid = 0;
    for (size_t row = 0; row < rows_count(rows); row++) {
        struct error *failure = load_row(store, rows, row);
        if (failure != NULL) {
            finish(store, failure);
            return;
        }
    }
    if (store->newest_kid == 0) {
        create_key(store);
    } else if (key_ring_allowance(store->ring) == 0) {
        reserve_seals(store);
    } else {
        finish(store, NULL);
    }
}

static void list_keys(struct key_store *store)
{
    database_call(store->db, &VAULT_STATEMENTS[VAULT_DATA_KEY_LIST], NULL, 0, keys_listed, store);
}

/* The newest key came back: ours, or that of a vaultd that was faster. */
static void key_created(void *context, enum database_outcome outcome, const struct rows *rows,
                        const struct error *e)
{
    struct key_store *store = context;
    if (outcome != DATABASE_DONE) {
        not_done(store, outcome, e);
        return;
    }
    assert(rows_count(rows) == 1);
    struct error *failure = load_row(store, rows, 0);
    if (failure != NULL) {
        finish(store, failure);
        return;
    }
    reserve_seals(store);
}

static void create_key(struct key_store *store)
{
    struct wrapped_key key;
    struct error *e = NULL;
    if (store->keys_made++ == KEYS_PER_ROUND_MAX) {
        e = error_failed("key_failed", "New data keys are used up as fast as they are made.");
    } else {
        e = key_ring_make(store->ring, store->newest_kid + 1, &key);
    }
    if (e != NULL) {
        finish(store, e);
        return;
    }
    char after[24], wrapped[HEX_TEXT_BYTES(KEY_WRAPPED_BYTES)];
    char check[HEX_TEXT_BYTES(KEY_CHECK_BYTES)];
    (void)snprintf(after, sizeof after, "%" PRId64, store->newest_kid);
    const char *parameters[4] = {
        after,
        KEY_KEK_NAME,
        hex_text(key.wrapped, sizeof key.wrapped, wrapped),
        hex_text(key.check_value, sizeof key.check_value, check),
    };
    database_call(store->db, &VAULT_STATEMENTS[VAULT_DATA_KEY_CREATE], parameters, 0, key_created,
                  store);
}

static void seals_reserved(void *context, enum database_outcome outcome, const struct rows *rows,
                           const struct error *e)
{
    struct key_store *store = context;
    if (outcome != DATABASE_DONE) {
        not_done(store, outcome, e);
        return;
    }
    assert(rows_count(rows) == 1);
    const int64_t granted = rows_int(rows, 0, "granted");
    if (granted == 0) {
        create_key(store);
        return;
    }
    key_ring_allow(store->ring, store->newest_kid, granted);
    finish(store, NULL);
}

static void reserve_seals(struct key_store *store)
{
    char kid[24], count[24], cap[24];
    (void)snprintf(kid, sizeof kid, "%" PRId64, store->newest_kid);
    (void)snprintf(count, sizeof count, "%" PRId64, SEALS_BLOCK);
    (void)snprintf(cap, sizeof cap, "%" PRId64, store->seals_per_key);
    const char *parameters[3] = {kid, count, cap};
    database_call(store->db, &VAULT_STATEMENTS[VAULT_SEAL_RESERVE], parameters, 0, seals_reserved,
                  store);
}
