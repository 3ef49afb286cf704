/* Addresses as limits see them: who has an IPv6 network has 2^64 addresses, and they count as one.
 * Decides nothing about trust: that is the certificate's. */
#include "daemons/terminald/pos_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define NETWORK_BYTES 8
#define V4_IN_V6_BYTES 12

void pos_address_read(const struct sockaddr_storage *from, struct pos_address *out)
{
    memset(out, 0, sizeof *out);
    if (from->ss_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, from, sizeof v4);
        out->network.s6_addr[10] = out->network.s6_addr[11] = 0xff;
        memcpy(out->network.s6_addr + V4_IN_V6_BYTES, &v4.sin_addr, sizeof v4.sin_addr);
        (void)inet_ntop(AF_INET, &v4.sin_addr, out->text, sizeof out->text);
    } else if (from->ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, from, sizeof v6);
        const bool whole = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
        memcpy(&out->network, &v6.sin6_addr, whole ? sizeof out->network : NETWORK_BYTES);
        (void)inet_ntop(AF_INET6, &v6.sin6_addr, out->text, sizeof out->text);
    } else {
        snprintf(out->text, sizeof out->text, "unknown");
    }
}

void pos_address_of_peer(int fd, struct pos_address *out)
{
    struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof from;
    (void)getpeername(fd, (struct sockaddr *)&from, &size);
    pos_address_read(&from, out);
}

bool pos_address_same(const struct pos_address *a, const struct pos_address *b)
{
    return memcmp(&a->network, &b->network, sizeof a->network) == 0;
}
