/* Which of several hosts a connection tries: private to lib/database*.c. */
#ifndef LIB_DATABASE_HOST_H
#define LIB_DATABASE_HOST_H

struct database_host {
    char host[256], address[64], port[16]; /* "" = libpq's default */
};

/* The nth host, in turns, of the lists that libpq's own variables name (PGHOST, PGHOSTADDR, PGPORT,
 * a service). Returns how many there are; with one, `out` is empty and libpq reads it by itself. */
unsigned database_host(unsigned n, struct database_host *out);

#endif
