/* The table of faults by name: effect, phase, operations, whether the truth happens.
 * A new fault is a line here and a case where its effect is done. */
#include "fault_kind.h"

#include <stddef.h>
#include <string.h>

enum {
    ANY = (1 << OP_COUNT) - 1,
    MONEY = (1 << OP_MONEY_COUNT) - 1,
    SEARCH = 1 << OP_SEARCH,
    CLOSE = 1 << OP_BATCH_CLOSE,
    VOID = 1 << OP_VOID,
    REFUND = 1 << OP_REFUND
};

static const int64_t HOUR_MS = 3600000;

static const struct fault_kind KINDS[] = {
    {"tls_silent", FAULT_TLS_SILENT, PHASE_CONNECT, ANY, NEVER_EXECUTED, 0, 0, HOUR_MS},
    {"tls_close", FAULT_TLS_CLOSE, PHASE_CONNECT, ANY, NEVER_EXECUTED, 0, 0, 0},
    {"accept_close", FAULT_ACCEPT_CLOSE, PHASE_CONNECT, ANY, NEVER_EXECUTED, 0, 0, 0},
    {"reset_after_headers", FAULT_RESET_AFTER_HEADERS, PHASE_HEADERS, ANY, NEVER_EXECUTED, 0, 0, 0},
    {"reset_mid_request", FAULT_RESET_MID_REQUEST, PHASE_HEADERS, ANY, NEVER_EXECUTED, 0, 0, 0},
    {"reset_before", FAULT_RESET, PHASE_REQUEST, ANY, NOT_EXECUTED, 0, 0, 0},
    {"answer_lost", FAULT_CLOSE, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 0},
    {"answer_reset", FAULT_RESET, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 0},
    {"reset_mid_answer", FAULT_RESET_MID_ANSWER, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 0},
    {"silent", FAULT_SILENT, PHASE_REQUEST, ANY, EXECUTED, 0, 0, HOUR_MS},
    {"slow_first_byte", FAULT_SLOW_FIRST_BYTE, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 5000},
    {"byte_per_second", FAULT_BYTE_PER_SECOND, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 1000},
    {"headers_then_pause", FAULT_HEADERS_THEN_PAUSE, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 5000},
    {"late_execution", FAULT_LATE_EXECUTION, PHASE_REQUEST, MONEY, NEVER_EXECUTED, 0, 0, 60000},
    {"500_after_charge", FAULT_HTTP_500, PHASE_REQUEST, ANY, ALWAYS_EXECUTED, 0, 0, 0},
    {"500_not_executed", FAULT_HTTP_500, PHASE_REQUEST, ANY, NEVER_EXECUTED, 0, 0, 0},
    {"502_html", FAULT_HTML_ERROR, PHASE_REQUEST, ANY, NOT_EXECUTED, 0, 502, 0},
    {"503_html", FAULT_HTML_ERROR, PHASE_REQUEST, ANY, NOT_EXECUTED, 0, 503, 0},
    {"504_html", FAULT_HTML_ERROR, PHASE_REQUEST, ANY, EXECUTED, 0, 504, 0},
    {"429", FAULT_HTTP_429, PHASE_REQUEST, ANY, NOT_EXECUTED, 0, 0, 0},
    {"302", FAULT_HTTP_302, PHASE_REQUEST, ANY, NOT_EXECUTED, 0, 0, 0},
    {"400", FAULT_HTTP_400, PHASE_REQUEST, ANY, NEVER_EXECUTED, 0, 0, 0},
    {"401", FAULT_HTTP_401, PHASE_REQUEST, ANY, NEVER_EXECUTED, 0, 0, 0},
    {"html_200", FAULT_HTML_200, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 0},
    {"empty_200", FAULT_EMPTY_200, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 0},
    {"big_body", FAULT_BIG_BODY, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 0},
    {"gzip_bomb", FAULT_GZIP_BOMB, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 0},
    {"deep_nesting", FAULT_DEEP_NESTING, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 0},
    {"code:", FAULT_CODE, PHASE_REQUEST, ANY, NOT_EXECUTED, 0, 0, 0},
    {"duplicate_402", FAULT_CODE, PHASE_REQUEST, MONEY, NOT_EXECUTED, 32, 402, 0},
    {"previously_approved_other_card", FAULT_PREVIOUS_OTHER_CARD, PHASE_REQUEST, MONEY,
     NOT_EXECUTED, 0, 0, 0},
    {"truncated_json", FAULT_TRUNCATED_JSON, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 0},
    {"wrong_length", FAULT_WRONG_LENGTH, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 0},
    {"bad_chunk", FAULT_BAD_CHUNK, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 0},
    {"bom", FAULT_BOM, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 0},
    {"nan", FAULT_NAN, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 0},
    {"duplicate_keys", FAULT_DUPLICATE_KEYS, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 0},
    {"invalid_utf8", FAULT_INVALID_UTF8, PHASE_REQUEST, ANY, EXECUTED, 0, 0, 0},
    {"foreign_answer", FAULT_FOREIGN_ANSWER, PHASE_REQUEST, MONEY | SEARCH, EXECUTED, 0, 0, 0},
    {"amount_differs", FAULT_AMOUNT_DIFFERS, PHASE_REQUEST, MONEY | SEARCH, EXECUTED, 0, 0, 0},
    {"last_four_differs", FAULT_LAST_FOUR_DIFFERS, PHASE_REQUEST, MONEY | SEARCH, EXECUTED, 0, 0,
     0},
    {"pending_result", FAULT_PENDING_RESULT, PHASE_REQUEST, MONEY | SEARCH, EXECUTED, 0, 0, 0},
    {"search_lag", FAULT_SEARCH_LAG, PHASE_REQUEST, SEARCH, ALWAYS_EXECUTED, 0, 0, 60000},
    {"not_found_though_executed", FAULT_NOT_FOUND, PHASE_REQUEST, SEARCH, ALWAYS_EXECUTED, 0, 0, 0},
    {"not_found_then_found", FAULT_NOT_FOUND_THEN_FOUND, PHASE_REQUEST, SEARCH, ALWAYS_EXECUTED, 0,
     0, 0},
    {"two_rows", FAULT_TWO_ROWS, PHASE_REQUEST, SEARCH | 1 << OP_SALE | 1 << OP_AUTH,
     ALWAYS_EXECUTED, 0, 0, 0},
    {"page_repeated", FAULT_PAGE_REPEATED, PHASE_REQUEST, SEARCH, ALWAYS_EXECUTED, 0, 0, 0},
    {"wrong_page_end", FAULT_WRONG_PAGE_END, PHASE_REQUEST, SEARCH, ALWAYS_EXECUTED, 0, 0, 0},
    {"search_500", FAULT_HTTP_500, PHASE_REQUEST, SEARCH, NEVER_EXECUTED, 0, 0, 0},
    {"void_answer_lost", FAULT_CLOSE, PHASE_REQUEST, VOID, EXECUTED, 0, 0, 0},
    {"void_unknown", FAULT_CODE, PHASE_REQUEST, VOID, EXECUTED, 31, 402, 0},
    {"void_refused_batch_closed", FAULT_CODE, PHASE_REQUEST, VOID, NEVER_EXECUTED, 40, 402, 0},
    {"refund_answer_lost", FAULT_CLOSE, PHASE_REQUEST, REFUND, EXECUTED, 0, 0, 0},
    {"batch_close_answer_lost", FAULT_CLOSE, PHASE_REQUEST, CLOSE, EXECUTED, 0, 0, 0},
    {"batch_pending", FAULT_BATCH_PENDING, PHASE_REQUEST, CLOSE, ALWAYS_EXECUTED, 0, 0, 3600000},
    {"batch_failed", FAULT_BATCH_FAILED, PHASE_REQUEST, CLOSE, ALWAYS_EXECUTED, 0, 0, 0},
};

const struct fault_kind *fault_kind_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        bool code = KINDS[i].name[strlen(KINDS[i].name) - 1] == ':';

        if (code ? strncmp(name, KINDS[i].name, strlen(KINDS[i].name)) == 0
                 : strcmp(name, KINDS[i].name) == 0) {
            return &KINDS[i];
        }
    }
    return NULL;
}
