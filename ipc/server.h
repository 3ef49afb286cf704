/* Serves messages on listening sockets (UNIX, or streams handed over such as TLS bufferevents).
 * Many requests in flight per connection, answers in any order; bounded both ways: above
 * in_flight_max the connection isn't read; a peer that doesn't read its answers is not read from,
 * and is dropped when it takes nothing for frame_timeout_ms. Above busy_max in flight over all, a
 * request is answered error "busy" before its handler runs. Deadlines are carried and obeyed. */
#ifndef IPC_SERVER_H
#define IPC_SERVER_H

#include <event2/bufferevent.h>

#include "ipc/message.h"
#include "ipc/peer.h"
#include "lib/loop.h"

struct ipc_server;
struct ipc_request; /* one request being handled; lives until answered */

typedef void ipc_handler(void *context, struct ipc_request *request, const void *message);

struct ipc_service {
    enum message_type type;
    ipc_handler *handle;
};

struct ipc_server_options {
    const char *daemon;                 /* "gatewayd": for rights; borrowed */
    const struct ipc_service *services; /* ends with handle NULL; read at once */
    void *context;
    unsigned connections_max;      /* a new one then takes the place of the longest idle */
    unsigned peer_connections_max; /* of one peer (user, or certificate); 0 = no limit of its own */
    unsigned in_flight_max;        /* per connection */
    unsigned busy_max;             /* over all */
    unsigned peer_busy_max;        /* of one peer, over all its connections; 0 = no own limit */
    int64_t frame_timeout_ms;      /* for a frame to end, and for waiting answers to move */
};

struct ipc_server *ipc_server_new(struct loop *loop, const struct ipc_server_options *options);
/* Takes the listening UNIX socket: its peers are known by SO_PEERCRED. */
void ipc_server_listen(struct ipc_server *server, int listen_fd);
/* A connected stream of a peer known by other means (TLS). Takes `stream`. `location` and `pos`,
 * by certificate, are copied. */
void ipc_server_adopt(struct ipc_server *server, struct bufferevent *stream, unsigned peers,
                      const char *location, const char *pos);
/* No new connections; requests that come are answered busy. Calls `done` once, from the loop, when
 * every request is answered and every answer has left, or after max_ms. */
typedef void ipc_drained(void *context);
void ipc_server_drain(struct ipc_server *server, int64_t max_ms, ipc_drained *done, void *context);
unsigned ipc_server_in_flight(const struct ipc_server *server);
unsigned ipc_server_connections(const struct ipc_server *server);
/* Closes all. Requests not yet answered may still be answered later (to nobody). Not to be called
 * from inside a handler. */
void ipc_server_free(struct ipc_server *server);

/* The message handed to the handler is borrowed until the request is answered. */
const void *ipc_request_message(const struct ipc_request *request);
enum message_type ipc_request_type(const struct ipc_request *request);
/* Who asks: bits of enum peer. */
unsigned ipc_request_peers(const struct ipc_request *request);
const char *ipc_request_location(const struct ipc_request *request);     /* "" on UNIX sockets */
const char *ipc_request_pos(const struct ipc_request *request);          /* or "uid:1000" */
int64_t ipc_request_deadline_boot_ms(const struct ipc_request *request); /* 0 = none */
/* Each answers once and ends the request (also when the peer has gone). ipc_answer borrows
 * `message`; ipc_refuse takes `e`. */
void ipc_answer(struct ipc_request *request, enum message_type type, const void *message);
void ipc_refuse(struct ipc_request *request, struct error *e);

#endif
