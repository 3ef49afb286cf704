/* Questions about payments, and the wish to cancel one. */
#ifndef GATEWAYD_QUESTION_H
#define GATEWAYD_QUESTION_H

#include "ipc/server.h"

ipc_handler status_requested; /* MESSAGE_PAYMENT_STATUS */
ipc_handler cancel_requested; /* MESSAGE_CANCEL */
ipc_handler daemon_requested; /* MESSAGE_DAEMON_STATUS */

#endif
