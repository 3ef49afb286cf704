/* Where a TCP client comes from, for limits: an IPv4 address, or the network of an IPv6 one. */
#ifndef TERMINALD_POS_ADDRESS_H
#define TERMINALD_POS_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>

struct pos_address {
    struct in6_addr network; /* IPv4 as ::ffff:a.b.c.d; of IPv6 the first 64 bits */
    char text[INET6_ADDRSTRLEN];
};

void pos_address_of_peer(int fd, struct pos_address *out);
void pos_address_read(const struct sockaddr_storage *from, struct pos_address *out);
bool pos_address_same(const struct pos_address *a, const struct pos_address *b);

#endif
