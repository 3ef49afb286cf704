/* Who asks, as far as a request is concerned: the location it works for and the POS's name. */
#ifndef TERMINALD_POS_SESSION_H
#define TERMINALD_POS_SESSION_H

#include "daemons/terminald/pos_certificate.h"
#include "ipc/server.h"
#include "lib/error.h"

#define POS_OF_UNIX_SOCKET "local"

/* Whether a request may leave the location open: one that names a payment may, for the payment
 * knows its own. */
enum pos_location_need {
    POS_LOCATION_REQUIRED,
    POS_LOCATION_OPTIONAL,
};

/* `location` holds what the request asks for (may be "") and becomes the location it works for;
 * `pos` becomes the POS's name. A TLS client's certificate decides both, and any other location is
 * refused. Errors refused: location_of_other_pos, location_missing. */
struct error *pos_session_place(const struct ipc_request *request, enum pos_location_need need,
                                char location[POS_LOCATION_MAX_BYTES + 1],
                                char pos[POS_NAME_MAX_BYTES + 1]) MUST_CHECK;

#endif
