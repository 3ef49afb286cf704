/* The control API of tests and benches: plain HTTP with JSON under /_sim/.
 * It can change what reports say and what faults come; it can't take a ledger row away. */
#ifndef CLEARENT_SIM_CONTROL_H
#define CLEARENT_SIM_CONTROL_H

#include <event2/event.h>
#include <stdbool.h>

/* Serves on an address like 127.0.0.1:0; the port it got in *port. */
bool control_start(struct event_base *base, const char *address, unsigned short port_wanted,
                   unsigned short *port);

#endif
