/* A page of the processor's list as a message. */
#ifndef GATEWAYD_PROCESSOR_PAGE_H
#define GATEWAYD_PROCESSOR_PAGE_H

#include <stdbool.h>

#include "daemons/gatewayd/connector.h"
#include "ipc/message.h"

/* False when the message can't hold all rows of the list: then it is of no use. */
bool processor_page_fill(struct msg_processor_page *m, const struct processor_list *list);

#endif
