/* Keeps the key ring in step with the database: loads the wrapped data keys, makes the first one
 * and the next when one is used up, and sets seals aside before any is made. */
#ifndef VAULTD_KEY_STORE_H
#define VAULTD_KEY_STORE_H

#include <stdint.h>

#include "daemons/vaultd/key_ring.h"
#include "lib/database.h"
#include "lib/loop.h"

struct key_store; /* opaque */

/* NULL error: all stored keys are on the ring and at least one seal is set aside. `e` is borrowed.
 */
typedef void key_store_done(void *context, const struct error *e);

/* `ring` and `db` are borrowed for the store's life. seals_per_key: after so many a new key is
 * made, at most KEY_SEALS_MAX. */
struct key_store *key_store_new(struct database *db, struct key_ring *ring, int64_t seals_per_key);
void key_store_free(struct key_store *store); /* NULL is allowed */
/* Reads the keys again and sets seals aside if none is left; calls that come together share one
 * round. `done` is called exactly once, never from inside this call. */
void key_store_refresh(struct key_store *store, key_store_done *done, void *context);

#endif
