/* Requests that are answered now and executed later, on the simulated clock.
 * It must never execute one before its time, nor one twice. */
#include "late.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "transaction_request.h"

static struct late {
    struct transaction asked;
    int64_t due_us;
} * waiting;
static size_t waiting_count;

void late_add(const struct transaction *asked, int64_t due_us)
{
    waiting = realloc(waiting, (waiting_count + 1) * sizeof *waiting);
    if (waiting == NULL) {
        abort();
    }
    waiting[waiting_count++] = (struct late){.asked = *asked, .due_us = due_us};
}

static size_t earliest(void)
{
    size_t first = 0;

    for (size_t i = 1; i < waiting_count; i++) {
        first = waiting[i].due_us < waiting[first].due_us ? i : first;
    }
    return first;
}

void late_execute(void)
{
    while (waiting_count > 0) {
        size_t first = earliest();
        struct late late = waiting[first];
        struct outcome unheard;

        if (late.due_us > clock_now_us()) {
            return;
        }
        waiting_count--;
        memmove(&waiting[first], &waiting[first + 1], (waiting_count - first) * sizeof *waiting);
        transaction_execute(&late.asked, "late", &unheard);
        transaction_forget(&late.asked);
    }
}

int64_t late_next_us(void)
{
    return waiting_count == 0 ? INT64_MAX : waiting[earliest()].due_us;
}

size_t late_count(void)
{
    return waiting_count;
}
