/* The processor's result codes: HTTP status, class and words of each documented row.
 * It must never invent a class: what isn't in the list of declines isn't one. */
#include "result_code.h"

#include <stddef.h>

enum { DECLINE = true, OTHER = false };

static const struct result_code CODES[] = {
    {0, 200, OTHER, "Transaction approved"},
    {1, 402, OTHER, "Unable to communicate with terminal"},
    {2, 402, OTHER, "Force approval"},
    {3, 402, DECLINE, "Card expired"},
    {4, 402, DECLINE, "Card expired"},
    {5, 402, DECLINE, "Card suspended"},
    {6, 402, DECLINE, "PIN tries exceeded"},
    {7, 402, DECLINE, "Refer to card issuer"},
    {8, 402, DECLINE, "Invalid amount"},
    {9, 400, DECLINE, "Invalid card number"},
    {10, 402, DECLINE, "Account not found"},
    {11, 400, OTHER, "Invalid set-up"},
    {12, 402, DECLINE, "Not Sufficient Funds"},
    {13, 402, DECLINE, "Transaction not permitted"},
    {14, 402, DECLINE, "Exceeds limit"},
    {15, 402, DECLINE, "Transaction not permitted to cardholder"},
    {16, 402, DECLINE, "Frequency limit exceeded"},
    {17, 402, DECLINE, "Card not active"},
    {18, 400, DECLINE, "Incorrect PIN"},
    {19, 500, OTHER, "PIN key error"},
    {20, 400, OTHER, "Invalid currency"},
    {21, 402, DECLINE, "Invalid security code"},
    {22, 400, DECLINE, "Cashback not available"},
    {23, 402, DECLINE, "Declined by issuer"},
    {24, 402, OTHER, "Previously reversed"},
    {25, 402, OTHER, "Amount exceeds the refundable amount"},
    {26, 402, DECLINE, "Invalid card number"},
    {27, 402, OTHER, "Original transaction not found"},
    {28, 402, OTHER, "Invalid terminal"},
    {29, 402, OTHER, "Invalid terminal"},
    {30, 402, OTHER, "Invalid merchant id"},
    {31, 402, OTHER, "Transaction did not complete normally"},
    {32, 402, OTHER, "Duplicate Transaction"},
    {33, 402, DECLINE, "Pick up card"},
    {34, 402, DECLINE, "Card lost"},
    {36, 200, OTHER, "Advice accepted"},
    {38, 402, OTHER, "Batch reconciled"},
    {39, 402, OTHER, "Batch not reconciled"},
    {40, 402, OTHER, "No open batch"},
    {41, 400, OTHER, "Field validation failed"},
    {42, 401, OTHER, "Invalid or missing api-key"},
    {43, 400, OTHER, "Amount is over the limit"},
    {44, 400, OTHER, "Amount is under the limit"},
    {45, 402, OTHER, "Duplicate Transaction"},
    {46, 402, DECLINE, "Address verification refused"},
    {47, 402, DECLINE, "Security code refused"},
    {48, 402, DECLINE, "Security code refused"},
    {49, 500, OTHER, "No response from server"},
    {50, 500, OTHER, "Server error"},
    {51, 500, OTHER, "Could not connect"},
    {52, 500, OTHER, "Server error"},
    {53, 500, OTHER, "Server error"},
    {54, 402, OTHER, "Data element error"},
    {55, 500, OTHER, "Configuration error"},
    {56, 402, OTHER, "Destination error"},
    {57, 402, OTHER, "Issuer timed out"},
    {58, 402, OTHER, "Issuer unavailable"},
    {59, 402, OTHER, "Duplicate transmission"},
    {60, 500, OTHER, "Server error"},
    {61, 402, OTHER, "Transaction aborted"},
    {62, 500, OTHER, "Configuration error"},
    {63, 500, OTHER, "Server error"},
    {64, 500, OTHER, "Server error"},
    {65, 500, OTHER, "Configuration error"},
    {66, 500, OTHER, "Configuration error"},
    {67, 500, OTHER, "Configuration error"},
    {68, 500, OTHER, "Configuration error"},
    {69, 500, OTHER, "Configuration error"},
    {70, 500, OTHER, "Configuration error"},
    {71, 500, OTHER, "Server error"},
    {72, 500, OTHER, "Server error"},
    {73, 500, OTHER, "Server error"},
    {74, 400, OTHER, "Invalid set-up"},
    {82, 404, OTHER, "No transaction found"},
    {86, 400, OTHER, "Invalid request"},
    {88, 400, OTHER, "Invalid request"},
    {90, 400, OTHER, "Invalid request format"},
    {91, 404, OTHER, "No batch to process"},
    {92, 405, OTHER, "Method not allowed"},
    {280, 400, OTHER, "ACH request could not be completed"},
    {289, 400, OTHER, "ACH request could not be completed"},
    {290, 400, OTHER, "ACH request could not be completed"},
    {883, 402, OTHER, "Terminal not connected"},
    {890, 400, OTHER, "Path and transaction type do not agree"},
};

/* Amounts in cents below 1.00 that the sandbox turns into a code; the rest approves. */
static const struct {
    uint8_t minor;
    uint8_t code;
} SANDBOX[] = {{1, 7},   {2, 7},   {3, 31},  {4, 4},   {5, 4},   {9, 23},  {10, 24},
               {11, 8},  {12, 18}, {13, 18}, {14, 9},  {15, 23}, {16, 22}, {17, 23},
               {21, 12}, {22, 16}, {23, 14}, {25, 16}, {29, 3},  {31, 11}, {32, 8},
               {34, 27}, {35, 11}, {36, 10}, {37, 10}, {38, 10}, {39, 11}, {40, 6},
               {43, 15}, {44, 15}, {46, 30}, {47, 18}, {48, 21}, {54, 32}, {71, 16}};

const struct result_code *result_code(unsigned code)
{
    static struct result_code unlisted = {.http = 402, .words = "Transaction not completed"};

    for (size_t i = 0; i < sizeof CODES / sizeof CODES[0]; i++) {
        if (CODES[i].code == code) {
            return &CODES[i];
        }
    }
    unlisted.code = (uint16_t)code;
    return &unlisted;
}

unsigned result_code_of_amount(int64_t minor)
{
    for (size_t i = 0; minor < 100 && i < sizeof SANDBOX / sizeof SANDBOX[0]; i++) {
        if (SANDBOX[i].minor == minor) {
            return SANDBOX[i].code;
        }
    }
    return CODE_APPROVED;
}
