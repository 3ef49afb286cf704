/* TLS tickets for fresh connections. A ticket is good for one connection: OpenSSL drops it once
 * used, and the server gives the next one. So each exchange takes a pocket of its own and leaves in
 * it the ticket for a later one; with one pocket for all, whoever starts before a used ticket is
 * replaced shakes hands in full. */
#ifndef LIB_TLS_POCKET_H
#define LIB_TLS_POCKET_H

#include <curl/curl.h>

struct tls_pocket;  /* opaque */
struct tls_pockets; /* opaque */

struct tls_pockets *tls_pockets_new(void); /* never NULL */
/* All pockets must have been given back. */
void tls_pockets_free(struct tls_pockets *pockets);
/* The pocket that was given back last, whose ticket is the freshest, or a new one. Never NULL. */
struct tls_pocket *tls_pocket_take(struct tls_pockets *pockets);
/* For CURLOPT_SHARE; borrowed while the pocket is taken. */
CURLSH *tls_pocket_tickets(const struct tls_pocket *pocket);
/* After the easy handle that used it is gone. Takes the pocket. */
void tls_pocket_give_back(struct tls_pockets *pockets, struct tls_pocket *pocket);

#endif
