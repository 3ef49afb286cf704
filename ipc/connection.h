/* One connection that carries frames, for server and client alike; private to ipc/. Frames go out
 * by one write when nothing waits, come in by a bufferevent. Must never call back from inside
 * connection_send. */
#ifndef IPC_CONNECTION_H
#define IPC_CONNECTION_H

#include <event2/bufferevent.h>
#include <stdbool.h>
#include <stdint.h>

#include "ipc/frame.h"
#include "ipc/message.h"
#include "lib/loop.h"

#define CONNECTION_OUTPUT_MAX_BYTES (1024u * 1024u)
/* A peer that lets more than this wait is not read from until it has taken all. */
#ifdef KOMETPAY_FUZZ /* so that a few answers reach it */
#define CONNECTION_OUTPUT_PAUSE_BYTES 512u
#else
#define CONNECTION_OUTPUT_PAUSE_BYTES (64u * 1024u)
#endif

struct connection;

struct connection_events {
    /* A whole frame; payload is borrowed. received_boot_ms: when its last bytes were read. */
    void (*frame)(void *context, const struct frame_header *header, const char *payload,
                  int64_t received_boot_ms);
    /* A header that can't be one of ours: may be answered; nothing more is read, and the connection
     * ends. header is zero when not even the magic was right. */
    void (*bad_frame)(void *context, const struct frame_header *header, const struct error *e);
    /* Gone, or given up; called once, from the loop. The owner frees the connection. */
    void (*broken)(void *context, const char *reason);
};

/* Takes the connected non-blocking socket. header_timeout_ms 0 = a frame may take for ever. */
struct connection *connection_new(struct loop *loop, int fd, int64_t header_timeout_ms,
                                  const struct connection_events *events, void *context);
/* Takes the stream (TLS). */
struct connection *connection_adopt(struct loop *loop, struct bufferevent *stream,
                                    int64_t header_timeout_ms,
                                    const struct connection_events *events, void *context);
/* Allowed from inside its own callbacks. */
void connection_free(struct connection *connection);
/* Encodes and sends; header's version and length are filled in. An error is the message's fault
 * (bounds) and nothing was sent; a broken stream is told by `broken` later. */
struct error *connection_send(struct connection *connection, struct frame_header header,
                              const void *message) MUST_CHECK;
/* Stops and restarts delivery of frames. */
void connection_hold(struct connection *connection, bool hold);
/* Breaks when all that was sent has left, or after the header timeout. */
void connection_end(struct connection *connection, const char *reason);
/* Bytes given to connection_send so far, and how many of them the kernel (or TLS) has taken. */
uint64_t connection_queued(const struct connection *connection);
uint64_t connection_written(const struct connection *connection);
bool connection_failed(const struct connection *connection);

#endif
