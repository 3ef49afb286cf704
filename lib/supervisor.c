/* Whether this process is a service of systemd. Must never be asked for a choice of behaviour, only
 * for a refusal or a warning: what is tested must be what runs. */
#include "lib/supervisor.h"

#include <stdlib.h>
#include <unistd.h>

bool supervisor_started_us(void)
{
    const char *pid = getenv("SYSTEMD_EXEC_PID"); /* of the process that systemd executed */
    return getenv("CREDENTIALS_DIRECTORY") != NULL ||
           (pid != NULL && strtol(pid, NULL, 10) == (long)getpid());
}
