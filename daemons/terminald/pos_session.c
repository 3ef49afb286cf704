/* Location and POS of a request: from the client's certificate, or from the request itself on the
 * UNIX socket. Must never let a POS act for another location. */
#include "daemons/terminald/pos_session.h"

#include <stdio.h>
#include <string.h>

struct error *pos_session_place(const struct ipc_request *request, enum pos_location_need need,
                                char location[POS_LOCATION_MAX_BYTES + 1],
                                char pos[POS_NAME_MAX_BYTES + 1])
{
    const char *certified = ipc_request_location(request);
    if (certified[0] == '\0') {
        if (location[0] == '\0' && need == POS_LOCATION_REQUIRED) {
            return error_refused("location_missing", "location", "Say which location this is for.");
        }
        snprintf(pos, POS_NAME_MAX_BYTES + 1, "%s", POS_OF_UNIX_SOCKET);
        return NULL;
    }
    if (location[0] != '\0' && strcmp(location, certified) != 0) {
        return error_refused("location_of_other_pos", "location",
                             "This POS works for location %s, not for %s.", certified, location);
    }
    snprintf(location, POS_LOCATION_MAX_BYTES + 1, "%s", certified);
    snprintf(pos, POS_NAME_MAX_BYTES + 1, "%s", ipc_request_pos(request));
    return NULL;
}
