/* What the portal of the real processor would set, plus which of its undocumented faces we show.
 * A name it does not know is refused, so that a test can't set nothing by a slip. */
#include "settings.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

struct settings settings = {
    .duplicates_enabled = true,
    .duplicates_criterion = DUPLICATE_INVOICE_INSTEAD_OF_CARD,
    .duplicates_minutes = 60,
    .duplicates_merchant_level = true,
    .duplicates_respond_with_error = false,
    .duplicates_code = 32,
    .duplicates_follow_ups_collide = true,
    .sandbox_amounts = true,
    .void_amount_required = true,
    .void_closed_code = 40,
    .auth_life_days = 7,
    .card_as_mask = true,
    .page_size = 20,
    .auto_close_minute = -1,
};

enum kind { KIND_BOOL, KIND_INT, KIND_WORD };

static const char *const CRITERIA[] = {"last_four", "include_invoice", "invoice_instead_of_card",
                                       NULL};
static const char *const NOT_FOUND[] = {"empty", "204", "404", NULL};

static const struct setting {
    const char *name;
    enum kind kind;
    size_t offset;
    int minimum, maximum;
    const char *const *words;
} SETTINGS[] = {
#define BOOL(field)                                                                                \
    {                                                                                              \
#field, KIND_BOOL, offsetof(struct settings, field), 0, 1, NULL                            \
    }
#define INT(field, low, high)                                                                      \
    {                                                                                              \
#field, KIND_INT, offsetof(struct settings, field), low, high, NULL                        \
    }
#define WORD(field, list)                                                                          \
    {                                                                                              \
#field, KIND_WORD, offsetof(struct settings, field), 0, 0, list                            \
    }
    BOOL(duplicates_enabled),
    WORD(duplicates_criterion, CRITERIA),
    INT(duplicates_minutes, 1, 60),
    BOOL(duplicates_merchant_level),
    BOOL(duplicates_respond_with_error),
    INT(duplicates_code, 1, 999),
    BOOL(duplicates_declined_block),
    BOOL(duplicates_follow_ups_collide),
    BOOL(sandbox_amounts),
    BOOL(unmatched_refund),
    BOOL(void_amount_required),
    INT(void_closed_code, 1, 999),
    INT(auth_life_days, 1, 365),
    BOOL(count_auths),
    BOOL(numbers_variant),
    BOOL(decline_as_transaction),
    BOOL(card_as_mask),
    WORD(not_found, NOT_FOUND),
    BOOL(no_batch_204),
    INT(created_offset_minutes, -840, 840),
    INT(search_lag_ms, 0, 3600000),
    INT(page_base, 0, 1),
    INT(page_size, 1, 100),
    INT(close_pending_seconds, 0, 864000),
    INT(auto_close_minute, -1, 1439),
#undef BOOL
#undef INT
#undef WORD
};

static int *int_of(struct settings *in, const struct setting *setting)
{
    return (int *)(void *)((char *)in + setting->offset);
}

static bool *bool_of(struct settings *in, const struct setting *setting)
{
    return (bool *)(void *)((char *)in + setting->offset);
}

static bool setting_take(struct settings *into, const struct setting *setting, json_t *value)
{
    if (setting->kind == KIND_BOOL) {
        if (!json_is_boolean(value)) {
            return false;
        }
        *bool_of(into, setting) = json_is_true(value);
        return true;
    }
    if (setting->kind == KIND_INT) {
        json_int_t number = json_integer_value(value);

        if (!json_is_integer(value) || number < setting->minimum || number > setting->maximum) {
            return false;
        }
        *int_of(into, setting) = (int)number;
        return true;
    }
    for (int i = 0; json_is_string(value) && setting->words[i] != NULL; i++) {
        if (strcmp(setting->words[i], json_string_value(value)) == 0) {
            *int_of(into, setting) = i;
            return true;
        }
    }
    return false;
}

const char *settings_change(json_t *object)
{
    struct settings changed = settings;
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value)
    {
        const struct setting *setting = NULL;

        for (size_t i = 0; i < sizeof SETTINGS / sizeof SETTINGS[0]; i++) {
            if (strcmp(SETTINGS[i].name, name) == 0) {
                setting = &SETTINGS[i];
            }
        }
        if (setting == NULL) {
            return "there is no setting of that name; GET /_sim/settings lists them";
        }
        if (!setting_take(&changed, setting, value)) {
            return "a setting's value has the wrong type or is out of bounds";
        }
    }
    settings = changed;
    return NULL;
}

json_t *settings_show(void)
{
    json_t *shown = json_object();

    for (size_t i = 0; i < sizeof SETTINGS / sizeof SETTINGS[0]; i++) {
        const struct setting *setting = &SETTINGS[i];
        json_t *value;

        if (setting->kind == KIND_BOOL) {
            value = json_boolean(*bool_of(&settings, setting));
        } else if (setting->kind == KIND_INT) {
            value = json_integer(*int_of(&settings, setting));
        } else {
            value = json_string(setting->words[*int_of(&settings, setting)]);
        }
        json_object_set_new(shown, setting->name, value);
    }
    return shown;
}
