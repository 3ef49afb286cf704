/* Turns of large frames. Must never let one who came later take the room of one who waits. */
#include "ipc/frame_room.h"

#include <assert.h>

void frame_room_start(struct frame_room *room, size_t bytes)
{
    room->left = bytes;
    TAILQ_INIT(&room->waiting);
}

bool frame_room_take(struct frame_room *room, struct frame_turn *turn, struct event *wake,
                     size_t bytes)
{
    assert(turn->bytes == 0);
    bool first = TAILQ_EMPTY(&room->waiting) || TAILQ_FIRST(&room->waiting) == turn;
    if (!first || room->left < bytes) {
        if (!turn->waiting) {
            turn->waiting = true;
            turn->wake = wake;
            TAILQ_INSERT_TAIL(&room->waiting, turn, link);
        }
        return false;
    }
    frame_room_leave(room, turn);
    room->left -= bytes;
    turn->bytes = bytes;
    return true;
}

void frame_room_leave(struct frame_room *room, struct frame_turn *turn)
{
    if (turn->waiting) {
        turn->waiting = false;
        TAILQ_REMOVE(&room->waiting, turn, link);
    }
    room->left += turn->bytes;
    turn->bytes = 0;
    if (!TAILQ_EMPTY(&room->waiting)) {
        event_active(TAILQ_FIRST(&room->waiting)->wake, EV_TIMEOUT, 0);
    }
}
