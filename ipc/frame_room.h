/* How many bytes of large frames may be on their way in at once, over all connections of a server:
 * who declares a large frame waits for its turn before more of it is read. Private to ipc/. */
#ifndef IPC_FRAME_ROOM_H
#define IPC_FRAME_ROOM_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

/* A frame up to this needs no turn. */
#define FRAME_SMALL_BYTES (16u * 1024u)
#define FRAME_ROOM_BYTES (32u * 1024u * 1024u)

/* One connection's part of the room; zeroed at first. */
struct frame_turn {
    size_t bytes; /* taken */
    bool waiting;
    struct event *wake; /* made active when there may be room */
    TAILQ_ENTRY(frame_turn) link;
};

struct frame_room {
    size_t left;
    TAILQ_HEAD(frame_turns, frame_turn) waiting; /* first come, first served */
};

void frame_room_start(struct frame_room *room, size_t bytes);
/* True: the bytes are taken. False: `wake` will be made active, then try again. */
bool frame_room_take(struct frame_room *room, struct frame_turn *turn, struct event *wake,
                     size_t bytes);
/* Gives back what was taken, or stops waiting. */
void frame_room_leave(struct frame_room *room, struct frame_turn *turn);

#endif
