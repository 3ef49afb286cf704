/* Location and POS of a request: from the client's certificate, or from the request itself on the
 * UNIX socket. Must never let a POS with a certificate act for another location or POS. */
#include "daemons/terminald/pos_session.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* They separate nothing in the scope of a key, and read the same everywhere. */
static const char NAME_LETTERS[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

struct error *pos_session_place(const struct ipc_request *request, enum pos_location_need need,
                                char location[POS_LOCATION_MAX_BYTES + 1],
                                char pos[POS_NAME_MAX_BYTES + 1])
{
    const char *certified = ipc_request_location(request);
    if (certified[0] == '\0') {
        if (location[0] == '\0' && need == POS_LOCATION_REQUIRED) {
            return error_refused("location_missing", "location", "Say which location this is for.");
        }
        if (pos[strspn(pos, NAME_LETTERS)] != '\0') {
            return error_refused("pos_invalid", "pos",
                                 "A POS's name has letters, digits, '.', '_' and '-' only.");
        }
        if (pos[0] == '\0') {
            snprintf(pos, POS_NAME_MAX_BYTES + 1, "%s", POS_OF_UNIX_SOCKET);
        }
        return NULL;
    }
    if (location[0] != '\0' && strcmp(location, certified) != 0) {
        return error_refused("location_of_other_pos", "location",
                             "This POS works for location %s, not for %s.", certified, location);
    }
    if (pos[0] != '\0' && strcmp(pos, ipc_request_pos(request)) != 0) {
        return error_refused("pos_fixed", "pos", "This POS is %s by its certificate, not %s.",
                             ipc_request_pos(request), pos);
    }
    snprintf(location, POS_LOCATION_MAX_BYTES + 1, "%s", certified);
    snprintf(pos, POS_NAME_MAX_BYTES + 1, "%s", ipc_request_pos(request));
    return NULL;
}

void pos_session_actor(const struct ipc_request *request, char actor[POS_ACTOR_MAX_BYTES + 1])
{
    const char *location = ipc_request_location(request);
    int n = snprintf(actor, POS_ACTOR_MAX_BYTES + 1, "%s%s%s", location,
                     location[0] != '\0' ? "/" : "", ipc_request_pos(request));
    assert(n > 0 && n <= (int)POS_ACTOR_MAX_BYTES);
}
