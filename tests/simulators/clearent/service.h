/* From a request to its answer: route, script of faults, checks of the head, operation, damage.
 * It knows nothing of sockets. */
#ifndef CLEARENT_SIM_SERVICE_H
#define CLEARENT_SIM_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "answer.h"
#include "fault.h"

/* Borrowed from the exchange; NULL for a header that isn't there. */
struct request {
    const char *method;
    const char *path;  /* without the query */
    const char *query; /* NULL when there is none */
    const char *api_key;
    const char *accept;
    const char *content_type;
    const char *body;
    size_t body_size;
};

/* Whether a fault strikes as soon as the headers are here. */
bool service_fault_on_headers(const struct request *request, struct fault_hit *hit);
/* Fills the answer, which must be empty. */
void service_answer(const struct request *request, struct answer *answer);

#endif
