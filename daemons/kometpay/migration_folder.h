/* The folder of numbered migrations, NNNN_name.sql. */
#ifndef KOMETPAY_MIGRATION_FOLDER_H
#define KOMETPAY_MIGRATION_FOLDER_H

#include <stddef.h>

#include "lib/error.h"

#define MIGRATION_FOLDER_INSTALLED "/usr/share/kometpay/sql/migrations"
#define MIGRATION_FOLDER_OF_SOURCE "./sql/migrations"
#define MIGRATIONS_MAX 2000u

struct migration_file {
    int number;
    char name[128];  /* "payment_sale" */
    char sha256[65]; /* of the file's bytes, hexadecimal */
    char *text;      /* owned */
    size_t size;
};

struct migration_folder {
    struct migration_file *files; /* by number, owned */
    size_t count;
};

/* Reads all of `path`; NULL = the installed folder, or the source's when that isn't there.
 * Errors refused: migrations_missing, migration_name, migration_number_twice,
 * migration_unreadable. */
struct error *migration_folder_read(const char *path, struct migration_folder *out) MUST_CHECK;
void migration_folder_free(struct migration_folder *folder);

#endif
