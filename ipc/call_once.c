/* One blocking call on its own connection, for the command and tests. Must never wait beyond its
 * time, nor leave the payload in memory. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/buffer.h"
#include "ipc/callee.h"
#include "ipc/client.h"
#include "ipc/frame.h"
#include "ipc/message_table.h"
#include "lib/clock.h"
#include "lib/secret.h"

static struct error *wait_for(int fd, short events, int64_t deadline_boot_ms)
{
    for (;;) {
        int64_t left_ms = deadline_boot_ms - clock_boot_ms();
        if (left_ms <= 0) {
            return callee_late();
        }
        struct pollfd poller = {.fd = fd, .events = events};
        int n = poll(&poller, 1, left_ms < 60000 ? (int)left_ms : 60000);
        if (n > 0) {
            return NULL;
        }
        if (n < 0 && errno != EINTR) {
            return callee_lost(strerror(errno));
        }
    }
}

/* All of a frame or none: what fails before the last byte left was certainly not executed. */
static struct error *send_all(int fd, const char *path, const char *bytes, size_t n,
                              int64_t deadline_boot_ms)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes += sent;
            n -= (size_t)sent;
        } else if (errno == EAGAIN) {
            struct error *e = wait_for(fd, POLLOUT, deadline_boot_ms);
            if (e) {
                error_free(e);
                return callee_unreachable(path, "it doesn't read its requests");
            }
        } else if (errno != EINTR) {
            return callee_unreachable(path, "closed by the callee");
        }
    }
    return NULL;
}

static struct error *receive_all(int fd, char *bytes, size_t n, int64_t deadline_boot_ms)
{
    while (n > 0) {
        ssize_t got = recv(fd, bytes, n, 0);
        if (got > 0) {
            bytes += got;
            n -= (size_t)got;
        } else if (got < 0 && errno == EAGAIN) {
            struct error *e = wait_for(fd, POLLIN, deadline_boot_ms);
            if (e) {
                return e;
            }
        } else if (got == 0 || errno != EINTR) {
            return callee_lost("closed by the callee");
        }
    }
    return NULL;
}

static struct error *read_answer(int fd, const struct message_row *row, int64_t deadline_boot_ms,
                                 enum message_type *type, void **answer)
{
    uint8_t head[FRAME_HEADER_BYTES];
    struct frame_header header;
    struct error *e = receive_all(fd, (char *)head, sizeof(head), deadline_boot_ms);
    if (e) {
        return e;
    }
    e = frame_parse(head, &header);
    if (e) {
        error_free(e);
        return callee_lost("the answer isn't a frame");
    }
    *type = (enum message_type)header.type;
    if (!(header.flags & FRAME_ANSWER) || (*type != row->answer && *type != MESSAGE_ERROR)) {
        return callee_lost("the answer is of another type");
    }
    struct buffer payload = {0};
    buffer_grow(&payload, header.length);
    payload.used = header.length;
    e = receive_all(fd, payload.bytes, header.length, deadline_boot_ms);
    if (!e) {
        e = message_decode(*type, payload.bytes, header.length, answer);
        if (e) {
            struct error *unread = callee_lost("the answer can't be read");
            unread = error_wrap(unread, "%s %s", e->code, e->field);
            error_free(e);
            e = unread;
        }
    }
    buffer_free(&payload);
    return e;
}

static struct error *exchange(int fd, const char *path, const struct message_row *row,
                              const void *message, int64_t deadline_boot_ms,
                              enum message_type *type, void **answer)
{
    static const char ROOM[FRAME_HEADER_BYTES];
    struct buffer out = {0};
    buffer_add(&out, ROOM, sizeof(ROOM));
    struct error *e = message_write(row->type, message, &out);
    if (!e) {
        int64_t now = clock_boot_ms();
        int64_t left_ms = deadline_boot_ms - now;
        struct frame_header header = {
            .version = FRAME_VERSION,
            .flags = FRAME_SENT_AT,
            .sent_ms = (uint32_t)now,
            .type = (uint16_t)row->type,
            .length = (uint32_t)(out.used - sizeof(ROOM)),
            .left_ms = left_ms < 1            ? 1
                       : left_ms < UINT32_MAX ? (uint32_t)left_ms
                                              : UINT32_MAX,
            .correlation = 1,
        };
        frame_write(&header, (uint8_t *)out.bytes);
        e = send_all(fd, path, out.bytes, out.used, deadline_boot_ms);
    }
    buffer_free(&out);
    return e ? e : read_answer(fd, row, deadline_boot_ms, type, answer);
}

struct error *ipc_call_once(const char *path, enum message_type type, const void *message,
                            int64_t timeout_ms, enum message_type *answer_type, void **answer)
{
    const struct message_row *row = message_row(type);
    *answer = NULL;
    *answer_type = (enum message_type)0;
    if (!row || !row->answer) {
        return error_refused("message_unknown", "", "Message %u isn't a request.", (unsigned)type);
    }
    int64_t deadline_boot_ms = clock_boot_ms() + timeout_ms;
    int fd = -1;
    struct error *e = callee_connect(path, deadline_boot_ms, &fd);
    if (e) {
        return e;
    }
    e = exchange(fd, path, row, message, deadline_boot_ms, answer_type, answer);
    close(fd);
    if (!e && *answer_type == MESSAGE_ERROR) {
        e = callee_told(*answer);
        message_free(MESSAGE_ERROR, *answer);
        *answer = NULL;
    }
    return e;
}
