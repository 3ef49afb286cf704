/* Who we are, and whose unfinished work we may take: only that of an instance proved dead. The
 * proof is the kernel's: each instance holds a lock on a file of its own as long as it lives. */
#ifndef GATEWAYD_INSTANCE_H
#define GATEWAYD_INSTANCE_H

#include "daemons/gatewayd/gatewayd.h"

/* Makes this instance's id and takes its lock in `state_dir`, which must outlive a restart.
 * Errors: instance_lock. */
struct error *instance_lock(struct gatewayd *g, const char *state_dir) MUST_CHECK;
/* Registers with the database and ends the instances that are proved dead; then calls `ready`.
 * Repeats by itself until the database answered. */
void instance_register(struct gatewayd *g, void (*ready)(struct gatewayd *g));
/* The database has come: a registration that waits for it is tried at once. */
void instance_database_ready(void);

/* Looks at once whether this instance still lives: after a refusal `instance_ended`. */
void instance_look(void);

#endif
