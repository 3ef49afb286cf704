/* Requests that are passed on as they are: capture, void, refund, cancel, payment_status to
 * gatewayd; log and location_list to settled. Location, POS and actor are filled in, and a POS with
 * a certificate is told of its own location only. */
#ifndef TERMINALD_POS_REQUEST_H
#define TERMINALD_POS_REQUEST_H

#include "ipc/server.h"

/* Handlers of ipc_service; `context` is the struct terminald. */
ipc_handler pos_request_capture;
ipc_handler pos_request_void;
ipc_handler pos_request_refund;
ipc_handler pos_request_cancel;
ipc_handler pos_request_status;
ipc_handler pos_request_log;
ipc_handler pos_request_locations;
ipc_handler pos_request_daemon_status;

#endif
