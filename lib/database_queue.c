/* Calls that wait: one block of memory each, in plain first-in-first-out lists.
 * Must never keep a caller's pointer: parameters are copied. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/database_lane.h"

#define PARAMETERS_MAX 64u

struct call *call_new(const struct statement *statement, const char *const *parameters)
{
    unsigned n = statement->parameters;
    size_t size = sizeof(struct call) + n * sizeof(char *);
    size_t lengths[PARAMETERS_MAX];

    assert(n <= PARAMETERS_MAX);
    for (unsigned i = 0; i < n; i++) {
        lengths[i] = parameters[i] == NULL ? 0 : strlen(parameters[i]) + 1;
        size += lengths[i];
    }
    struct call *call = malloc(size);
    assert(call != NULL);
    *call = (struct call){.statement = statement};
    const char **pointers = (const char **)(call + 1);
    char *texts = (char *)(pointers + n);
    for (unsigned i = 0; i < n; i++) {
        pointers[i] = parameters[i] == NULL ? NULL : memcpy(texts, parameters[i], lengths[i]);
        texts += lengths[i];
    }
    call->parameters = pointers;
    return call;
}

void queue_push(struct call_queue *queue, struct call *call)
{
    call->next = NULL;
    if (queue->last == NULL) {
        queue->first = call;
    } else {
        queue->last->next = call;
    }
    queue->last = call;
    queue->count++;
}

void queue_push_front(struct call_queue *queue, struct call *call)
{
    call->next = queue->first;
    queue->first = call;
    if (queue->last == NULL) {
        queue->last = call;
    }
    queue->count++;
}

struct call *queue_pop(struct call_queue *queue)
{
    struct call *call = queue->first;

    if (call != NULL) {
        queue->first = call->next;
        queue->last = queue->first == NULL ? NULL : queue->last;
        queue->count--;
    }
    return call;
}
