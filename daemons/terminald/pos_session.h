/* Who asks, as far as a request is concerned: the location it works for, the POS's name, and whom
 * the books name as the one who did it. */
#ifndef TERMINALD_POS_SESSION_H
#define TERMINALD_POS_SESSION_H

#include "daemons/terminald/pos_certificate.h"
#include "ipc/server.h"
#include "lib/error.h"

#define POS_ACTOR_MAX_BYTES 80u

/* Whether a request may leave the location open: one that names a payment may, for the payment
 * knows its own. */
enum pos_location_need {
    POS_LOCATION_REQUIRED,
    POS_LOCATION_OPTIONAL,
};

/* `location` and `pos` hold what the request asks for (may be "") and become the location it works
 * for and the POS's name. A TLS client's certificate decides both, and any other is refused; on the
 * UNIX socket a POS that doesn't say its name is POS_OF_UNIX_SOCKET.
 * Errors refused: location_of_other_pos, location_missing, pos_fixed, pos_invalid. */
struct error *pos_session_place(const struct ipc_request *request, enum pos_location_need need,
                                char location[POS_LOCATION_MAX_BYTES + 1],
                                char pos[POS_NAME_MAX_BYTES + 1]) MUST_CHECK;
/* "MIA/counter1" by certificate, "uid:1000" on the UNIX socket: never what the client says. */
void pos_session_actor(const struct ipc_request *request, char actor[POS_ACTOR_MAX_BYTES + 1]);

#endif
