/* One connection that carries frames, for server and client alike; private to ipc/. Frames go out
 * by one write when nothing waits, come in by a bufferevent. Must never call back from inside
 * connection_send. */
#ifndef IPC_CONNECTION_H
#define IPC_CONNECTION_H

#include <event2/bufferevent.h>
#include <stdbool.h>
#include <stdint.h>

#include "ipc/frame.h"
#include "ipc/frame_room.h"
#include "ipc/message.h"
#include "lib/loop.h"

/* A caller who lets more than this wait is not read from until it has taken all. */
#ifdef KOMETPAY_FUZZ /* so that a few answers reach it */
#define CONNECTION_OUTPUT_PAUSE_BYTES 512u
#else
#define CONNECTION_OUTPUT_PAUSE_BYTES (64u * 1024u)
#endif
/* Against memory, not against slowness: what requests read before the pause can still produce. */
#define CONNECTION_OUTPUT_MAX_BYTES (32u * 1024u * 1024u)

/* Which end we are. Only the serving end may stop reading while its answers wait: if both ends did,
 * neither would ever take what the other has to send. */
enum connection_side {
    CONNECTION_SERVES,
    CONNECTION_CALLS,
};

struct connection;

struct connection_options {
    enum connection_side side;
    /* A frame that has begun to come must be whole in this time, and of answers that wait some must
     * leave; 0 = they may take for ever. */
    int64_t frame_timeout_ms;
    struct frame_room *room; /* borrowed; NULL: a frame needs no turn */
};

struct connection_events {
    /* The header of a frame that isn't whole yet. False: refused (and answered), its payload is
     * thrown away as it comes. NULL: all are taken. */
    bool (*begun)(void *context, const struct frame_header *header);
    /* A whole frame; payload is borrowed. received_boot_ms: when its last bytes were read. */
    void (*frame)(void *context, const struct frame_header *header, const char *payload,
                  int64_t received_boot_ms);
    /* A header that can't be one of ours: may be answered; nothing more is read, and the connection
     * ends. header is zero when not even the magic was right. */
    void (*bad_frame)(void *context, const struct frame_header *header, const struct error *e);
    /* Gone, or given up; called once, from the loop. The owner frees the connection. */
    void (*broken)(void *context, const char *reason);
};

/* Takes the connected non-blocking socket. `options` are copied. */
struct connection *connection_new(struct loop *loop, int fd,
                                  const struct connection_options *options,
                                  const struct connection_events *events, void *context);
/* Takes the stream (TLS). */
struct connection *connection_adopt(struct loop *loop, struct bufferevent *stream,
                                    const struct connection_options *options,
                                    const struct connection_events *events, void *context);
/* Allowed from inside its own callbacks. */
void connection_free(struct connection *connection);
/* Encodes and sends; header's version and length are filled in. An error is the message's fault
 * (bounds) and nothing was sent; a broken stream is told by `broken` later. */
struct error *connection_send(struct connection *connection, struct frame_header header,
                              const void *message) MUST_CHECK;
/* Stops and restarts delivery of frames. */
void connection_hold(struct connection *connection, bool hold);
/* Breaks when all that was sent has left, or after some seconds. */
void connection_end(struct connection *connection, const char *reason);
/* Bytes given to connection_send so far, and how many of them the kernel (or TLS) has taken. */
uint64_t connection_queued(const struct connection *connection);
uint64_t connection_written(const struct connection *connection);
/* Bytes that wait to leave. */
size_t connection_waiting(const struct connection *connection);
/* Nothing more can be sent: `broken` is due. */
bool connection_over(const struct connection *connection);

#endif
