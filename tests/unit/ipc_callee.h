/* A daemon that keeps its requests until the test answers them. */
#ifndef TESTS_UNIT_IPC_CALLEE_H
#define TESTS_UNIT_IPC_CALLEE_H

#include "tests/unit/ipc_parts.h"

#include "ipc/message.h"

#define HELD_MAX 8u

struct callee {
    struct loop *loop;
    struct place place;
    struct ipc_server *server;
    struct ipc_request *held[HELD_MAX];
    unsigned asked;
    struct error *refusal; /* answered at once when not NULL */
    bool at_once;
};

static inline void answer_pid(struct ipc_request *request, int64_t pid)
{
    struct msg_daemon_state state = {.daemon = "gatewayd", .version = "1", .pid = pid};
    ipc_answer(request, MESSAGE_DAEMON_STATE, &state);
}

static inline void status_asked(void *context, struct ipc_request *request, const void *message)
{
    struct callee *callee = context;
    (void)message;
    unsigned number = callee->asked++;
    if (callee->refusal) {
        ipc_refuse(request, error_copy(callee->refusal));
    } else if (callee->at_once) {
        answer_pid(request, (int64_t)number + 1);
    } else {
        assert_true(number < HELD_MAX);
        callee->held[number] = request;
    }
}

static inline void serve_on(struct callee *callee, int listen_fd)
{
    static const struct ipc_service SERVICES[] = {
        {MESSAGE_DAEMON_STATUS, status_asked}, {MESSAGE_INVOICE_LIST, status_asked}, {0, NULL}};
    const struct ipc_server_options options = {
        .daemon = "settled",
        .services = SERVICES,
        .context = callee,
        .connections_max = 8,
        .in_flight_max = 4,
        .busy_max = 6,
        .frame_timeout_ms = 10000,
    };
    callee->server = ipc_server_new(callee->loop, &options);
    ipc_server_listen(callee->server, listen_fd);
}

static inline void serve(struct callee *callee)
{
    serve_on(callee, listen_at(callee->place.path));
}

static inline void callee_new(struct callee *callee)
{
    *callee = (struct callee){.loop = loop_new()};
    place_new(&callee->place);
    everybody_is("terminald=*,operator=*");
    serve(callee);
}

static inline void callee_free(struct callee *callee)
{
    ipc_server_free(callee->server);
    error_free(callee->refusal);
    place_free(&callee->place);
    loop_free(callee->loop);
}

static inline bool has_asked(void *context)
{
    return ((const struct callee *)context)->asked > 0;
}

static inline void ask(struct ipc_client *client, int64_t deadline_boot_ms, struct told *told)
{
    struct msg_daemon_status question = {0};
    ipc_call(client, MESSAGE_DAEMON_STATUS, &question, deadline_boot_ms, note_told, told);
}

static inline void assert_failed(const struct told *told, const char *code)
{
    assert_int_equal(told->times, 1);
    assert_false(told->good);
    assert_int_equal(told->kind, ERROR_FAILED);
    assert_string_equal(told->code, code);
}

#endif
