/* Whether this process is a service of systemd: then it is production, and what only tests may do
 * is refused. */
#ifndef LIB_SUPERVISOR_H
#define LIB_SUPERVISOR_H

#include <stdbool.h>

/* True when systemd itself executed us, or gave us credentials; an environment that was merely
 * inherited from a service does not count. */
bool supervisor_started_us(void);

#endif
