/* The Clearent connector's function table. Nothing else belongs here. */
#include "daemons/gatewayd/clearent/clearent.h"

#include "daemons/gatewayd/clearent/clearent_answer.h"
#include "daemons/gatewayd/clearent/clearent_lookup.h"
#include "daemons/gatewayd/clearent/clearent_report.h"
#include "daemons/gatewayd/clearent/clearent_request.h"

const struct connector clearent_connector = {
    .name = "clearent",
    .idempotent = false,
    .lookup_steps = 2,
    .fallback_step = 2,
    .build_money = clearent_build_money,
    .parse_money = clearent_parse_money,
    .build_lookup = clearent_build_lookup,
    .parse_lookup = clearent_parse_lookup,
    .build_original = clearent_build_original,
    .parse_original = clearent_parse_original,
    .build_open_batch = clearent_build_open_batch,
    .build_close_batch = clearent_build_close_batch,
    .parse_batch = clearent_parse_batch,
    .build_batches = clearent_build_batches,
    .parse_batches = clearent_parse_batches,
    .build_list = clearent_build_list,
    .parse_list = clearent_parse_list,
};
