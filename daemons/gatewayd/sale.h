/* What POS and operator ask for that moves money: each starts an attempt. */
#ifndef GATEWAYD_SALE_H
#define GATEWAYD_SALE_H

#include "ipc/server.h"

ipc_handler sale_requested;    /* MESSAGE_SALE: a sale or an authorisation */
ipc_handler capture_requested; /* MESSAGE_CAPTURE */
ipc_handler void_requested;    /* MESSAGE_VOID */
ipc_handler refund_requested;  /* MESSAGE_REFUND */

#endif
