/* Failing accounts and their probes. Must never hold work back: it only brings it forward. */
#include "daemons/gatewayd/processor_health.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/gatewayd/payment_store.h"
#include "daemons/gatewayd/resolver.h"
#include "lib/log.h"
#include "lib/text_copy.h"

struct health {
    char processor[21], account[41];
    char probe[ID_MAX]; /* "" while it answers */
    struct health *next;
};
static struct health *accounts;

static struct health *health_of(const char *processor, const char *account)
{
    for (struct health *h = accounts; h; h = h->next) {
        if (strcmp(h->processor, processor) == 0 && strcmp(h->account, account) == 0) {
            return h;
        }
    }
    struct health *h = calloc(1, sizeof *h);
    assert(h);
    TEXT_COPY(h->processor, processor);
    TEXT_COPY(h->account, account);
    h->next = accounts;
    accounts = h;
    return h;
}

bool processor_failed(struct gatewayd *g, const char *processor, const char *account,
                      const char *ref)
{
    (void)g;
    struct health *h = health_of(processor, account);
    if (!*h->probe) {
        log_event(LOG_PROCESSOR_UNREACHABLE, {"KOMETPAY_PROCESSOR", processor},
                  {"KOMETPAY_ACCOUNT", account});
        TEXT_COPY(h->probe, ref);
    }
    return strcmp(h->probe, ref) == 0;
}

static void woken(void *context, enum database_outcome outcome, const struct rows *rows,
                  const struct error *e)
{
    (void)rows, (void)e;
    if (outcome == DATABASE_DONE) {
        resolver_expect(((struct gatewayd *)context)->resolver);
    }
}

void processor_answered(struct gatewayd *g, const char *processor, const char *account)
{
    struct health *h = health_of(processor, account);
    if (*h->probe) {
        *h->probe = 0;
        payment_store_wake(g->db, processor, account, woken, g);
    }
}
