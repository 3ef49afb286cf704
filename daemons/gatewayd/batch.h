/* The processor's side of the day's close, asked for by settled. */
#ifndef GATEWAYD_BATCH_H
#define GATEWAYD_BATCH_H

#include "ipc/server.h"

ipc_handler batch_close_requested; /* MESSAGE_BATCH_CLOSE */
ipc_handler batch_find_requested;  /* MESSAGE_BATCH_FIND */
ipc_handler items_requested;       /* MESSAGE_PROCESSOR_ITEMS */

#endif
