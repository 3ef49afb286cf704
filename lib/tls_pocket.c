/* Pockets of TLS tickets, the last one used on top. Must never lend one pocket to two exchanges. */
#include "lib/tls_pocket.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/memory.h"

#define POCKETS_MAX 64u /* kept; a ticket is some kilobytes */

struct tls_pocket {
    struct tls_pocket *next;
    CURLSH *tickets;
};

struct tls_pockets {
    struct tls_pocket *first;
    unsigned count;
};

struct tls_pockets *tls_pockets_new(void)
{
    return memory_new(sizeof(struct tls_pockets));
}

static void pocket_free(struct tls_pocket *pocket)
{
    CURLSHcode freed = curl_share_cleanup(pocket->tickets);

    assert(freed == CURLSHE_OK);
    (void)freed;
    free(pocket);
}

void tls_pockets_free(struct tls_pockets *pockets)
{
    while (pockets->first != NULL) {
        struct tls_pocket *pocket = pockets->first;
        pockets->first = pocket->next;
        pocket_free(pocket);
    }
    free(pockets);
}

struct tls_pocket *tls_pocket_take(struct tls_pockets *pockets)
{
    struct tls_pocket *pocket = pockets->first;

    if (pocket != NULL) {
        pockets->first = pocket->next;
        pockets->count--;
        return pocket;
    }
    pocket = memory_new(sizeof *pocket);
    pocket->tickets = curl_share_init();
    CURLSHcode set = pocket->tickets == NULL ? CURLSHE_NOMEM
                                             : curl_share_setopt(pocket->tickets, CURLSHOPT_SHARE,
                                                                 CURL_LOCK_DATA_SSL_SESSION);
    assert(set == CURLSHE_OK);
    (void)set;
    return pocket;
}

CURLSH *tls_pocket_tickets(const struct tls_pocket *pocket)
{
    return pocket->tickets;
}

void tls_pocket_give_back(struct tls_pockets *pockets, struct tls_pocket *pocket)
{
    if (pockets->count == POCKETS_MAX) {
        pocket_free(pocket);
        return;
    }
    pocket->next = pockets->first;
    pockets->first = pocket;
    pockets->count++;
}
