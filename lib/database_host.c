/* Hosts in turns. libpq tries a list of hosts in its order, and without blocking it has no patience
 * of its own: one silent host would hide all behind it for ever. So each try is told one host. Must
 * never resolve a name. */
#include "lib/database_host.h"

#include <assert.h>
#include <postgresql/libpq-fe.h>
#include <stdio.h>
#include <string.h>

/* An empty host in a list, as Debian's libpq has it. */
#define SOCKET_FOLDER "/var/run/postgresql"

static unsigned list_count(const char *list)
{
    unsigned count = list[0] != '\0';

    for (const char *c = list; *c != '\0'; c++) {
        count += *c == ',';
    }
    return count;
}

/* A list of one holds for every host. */
static void list_item(const char *list, unsigned n, char *out, size_t size)
{
    for (unsigned i = 0; i < n && list_count(list) > 1; i++) {
        list += strcspn(list, ",") + 1;
    }
    (void)snprintf(out, size, "%.*s", (int)strcspn(list, ","), list);
}

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword != NULL; options++) {
        if (strcmp(options->keyword, keyword) == 0 && options->val != NULL) {
            return options->val;
        }
    }
    return "";
}

unsigned database_host(unsigned n, struct database_host *out)
{
    *out = (struct database_host){0};
    PQconninfoOption *options = PQconndefaults();
    assert(options != NULL);
    const char *hosts = value_of(options, "host");
    const char *addresses = value_of(options, "hostaddr");
    const char *ports = value_of(options, "port");
    unsigned count = list_count(addresses) > 0 ? list_count(addresses) : list_count(hosts);
    /* Lists of unequal length are left to libpq, which refuses them in words. */
    if (count > 1 && (list_count(hosts) <= 1 || list_count(hosts) == count) &&
        (list_count(ports) <= 1 || list_count(ports) == count)) {
        list_item(hosts, n % count, out->host, sizeof out->host);
        list_item(addresses, n % count, out->address, sizeof out->address);
        list_item(ports, n % count, out->port, sizeof out->port);
        if (out->host[0] == '\0' && out->address[0] == '\0') {
            (void)snprintf(out->host, sizeof out->host, "%s", SOCKET_FOLDER);
        }
    }
    PQconninfoFree(options);
    return count > 1 ? count : 1;
}
