/* One request's way to its answer, and what is said to a peer. Must never answer twice, nor leave a
 * request without an end when its peer has gone. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/message_table.h"
#include "ipc/server_state.h"
#include "ipc/text.h"
#include "lib/log.h"

void peer_send_error(struct client_peer *client, uint64_t correlation, const struct error *e)
{
    struct msg_error answer = {0};
    text_copy_valid(answer.code, sizeof(answer.code), e->code[0] ? e->code : "failed");
    text_copy_valid(answer.field, sizeof(answer.field), e->field);
    text_copy_valid(answer.sentence, sizeof(answer.sentence), e->sentence);
    answer.busy = error_is(e, "busy");
    answer.failed = e->kind == ERROR_FAILED;
    struct frame_header header = {
        .flags = FRAME_ANSWER, .type = MESSAGE_ERROR, .correlation = correlation};
    struct error *fault = connection_send(client->connection, header, &answer);
    assert(!fault); /* every text was made to fit */
}

void peer_send_refusal(struct client_peer *client, uint64_t correlation, const char *code,
                       const char *sentence)
{
    struct error *e = error_refused(code, "", "%s", sentence);
    peer_send_error(client, correlation, e);
    error_free(e);
}

void peer_update_hold(struct client_peer *client)
{
    connection_hold(client->connection, client->in_flight >= client->server->options.in_flight_max);
}

const void *ipc_request_message(const struct ipc_request *request)
{
    return request->message;
}

enum message_type ipc_request_type(const struct ipc_request *request)
{
    return request->type;
}

unsigned ipc_request_peers(const struct ipc_request *request)
{
    return request->peers;
}

const char *ipc_request_location(const struct ipc_request *request)
{
    return request->location;
}

const char *ipc_request_pos(const struct ipc_request *request)
{
    return request->pos;
}

int64_t ipc_request_deadline_boot_ms(const struct ipc_request *request)
{
    return request->deadline_boot_ms;
}

static void request_end(struct ipc_request *request)
{
    if (request->server) {
        LIST_REMOVE(request, link);
        request->server->in_flight--;
        peer_share_end(request->share);
    }
    if (request->client) {
        request->client->in_flight--;
        peer_update_hold(request->client);
        if (request->client->in_flight == 0) {
            server_resume_acceptors(request->client->server);
        }
    }
    message_free(request->type, request->message);
    free(request);
}

void ipc_answer(struct ipc_request *request, enum message_type type, const void *message)
{
    const struct message_row *row = message_row(request->type);
    assert(type == row->answer || type == MESSAGE_ERROR);
    if (request->client) {
        struct frame_header header = {
            .flags = FRAME_ANSWER, .type = (uint16_t)type, .correlation = request->correlation};
        struct error *e = connection_send(request->client->connection, header, message);
        if (e) {
            /* Our own answer breaks the contract. The caller must not take this for a refusal:
             * the work may have been done. */
            e = error_wrap(e, "answer to %s", row->record->name);
            log_error(LOG_REQUEST_FAILED, e, NULL);
            error_free(e);
            peer_send_refusal(request->client, request->correlation, "answer_invalid",
                              "The answer couldn't be written; ask what became of the request.");
        }
    }
    request_end(request);
}

void ipc_refuse(struct ipc_request *request, struct error *e)
{
    assert(e);
    if (request->client) {
        peer_send_error(request->client, request->correlation, e);
    }
    error_free(e);
    request_end(request);
}
