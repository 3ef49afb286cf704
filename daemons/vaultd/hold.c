/* The table of holds: found by reference, aged in order. Must never grow above its bound, write
 * anything to a disk, or give a hold twice. */
#include "daemons/vaultd/hold.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/clock.h"

#define BUCKETS 1024u

struct entry {
    LIST_ENTRY(entry) in_bucket;
    TAILQ_ENTRY(entry) by_age;
    char ref[ID_MAX];
    int64_t expires_boot_ms;
    struct hold hold;
};

struct holds {
    LIST_HEAD(, entry) buckets[BUCKETS];
    TAILQ_HEAD(age_list, entry) ages; /* all live equally long: the first expires first */
    struct timer *timer;              /* of the hold that expires next; NULL without a loop */
    size_t count, count_max;
    int64_t life_ms;
};

void hold_wipe(struct hold *hold)
{
    secret_free(hold->pan);
    secret_free(hold->cvv);
    secret_wipe(hold, sizeof *hold);
}

/* References are random, so any mix of their characters spreads them. */
static size_t bucket_of(const char *ref)
{
    uint32_t mixed = 2166136261u;
    for (; *ref != '\0'; ref++) {
        mixed = (mixed ^ (uint8_t)*ref) * 16777619u;
    }
    return mixed % BUCKETS;
}

static void end_entry(struct holds *holds, struct entry *entry)
{
    LIST_REMOVE(entry, in_bucket);
    TAILQ_REMOVE(&holds->ages, entry, by_age);
    assert(holds->count > 0);
    holds->count--;
    hold_wipe(&entry->hold);
    free(entry);
}

void holds_free(struct holds *holds)
{
    if (holds == NULL) {
        return;
    }
    struct entry *first = TAILQ_FIRST(&holds->ages);
    while (first != NULL) {
        struct entry *next = TAILQ_NEXT(first, by_age);
        end_entry(holds, first);
        first = next;
    }
    assert(holds->count == 0);
    timer_free(holds->timer);
    free(holds);
}

/* Wipes what has expired and waits for the next. */
static void sweep(void *context)
{
    struct holds *holds = context;
    const int64_t now = clock_boot_ms();
    struct entry *first = TAILQ_FIRST(&holds->ages);
    while (first != NULL && first->expires_boot_ms <= now) {
        struct entry *next = TAILQ_NEXT(first, by_age);
        end_entry(holds, first);
        first = next;
    }
    if (first != NULL && holds->timer != NULL) {
        timer_arm(holds->timer, first->expires_boot_ms - now);
    }
}

struct holds *holds_new(struct loop *loop, size_t count_max, int64_t life_ms)
{
    assert(count_max > 0 && life_ms > 0);
    struct holds *holds = calloc(1, sizeof *holds);
    assert(holds != NULL);
    TAILQ_INIT(&holds->ages);
    holds->timer = loop == NULL ? NULL : timer_new(loop, sweep, holds);
    holds->count_max = count_max;
    holds->life_ms = life_ms;
    return holds;
}

struct error *holds_take(struct holds *holds, struct hold *hold, char ref[ID_MAX])
{
    sweep(holds);
    struct entry *entry = NULL;
    if (holds->count < holds->count_max) {
        entry = calloc(1, sizeof *entry);
    }
    if (entry == NULL) {
        hold_wipe(hold);
        return error_refused("busy", "", "Too many cards are being typed at once. Try again.");
    }
    id_new("hold_", entry->ref);
    entry->expires_boot_ms = clock_boot_ms() + holds->life_ms;
    entry->hold = *hold;
    secret_wipe(hold, sizeof *hold);
    LIST_INSERT_HEAD(&holds->buckets[bucket_of(entry->ref)], entry, in_bucket);
    TAILQ_INSERT_TAIL(&holds->ages, entry, by_age);
    holds->count++;
    sweep(holds); /* arms the timer when this is the only one */
    memcpy(ref, entry->ref, ID_MAX);
    return NULL;
}

static struct entry *find(struct holds *holds, const char *ref)
{
    sweep(holds); /* a late timer must not lengthen a hold's life */
    struct entry *entry;
    LIST_FOREACH(entry, &holds->buckets[bucket_of(ref)], in_bucket)
    {
        if (strcmp(entry->ref, ref) == 0) {
            return entry;
        }
    }
    return NULL;
}

const struct hold *holds_find(struct holds *holds, const char *ref)
{
    const struct entry *entry = find(holds, ref);
    return entry == NULL ? NULL : &entry->hold;
}

bool holds_remove(struct holds *holds, const char *ref, struct hold *out)
{
    struct entry *entry = find(holds, ref);
    if (entry == NULL) {
        return false;
    }
    *out = entry->hold;
    entry->hold = (struct hold){0}; /* `out` owns the secrets now */
    end_entry(holds, entry);
    return true;
}

size_t holds_count(const struct holds *holds)
{
    return holds->count;
}

bool holds_full(struct holds *holds)
{
    sweep(holds);
    return holds->count == holds->count_max;
}
