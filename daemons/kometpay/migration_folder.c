/* Reads the migrations' files and their checksums. Must never skip a .sql file because its name is
 * odd: that is an error. */
#include "daemons/kometpay/migration_folder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/memory.h"

#define NUMBER_DIGITS 4u
#define FILE_MAX_BYTES (4 * 1024 * 1024)
#define SHA256_BYTES 32u

static int is_sql(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 4 && strcmp(entry->d_name + n - 4, ".sql") == 0 && entry->d_name[0] != '.';
}

static struct error *parse_name(const char *file, struct migration_file *out)
{
    size_t n = strlen(file) - strlen(".sql");
    bool good = n > NUMBER_DIGITS + 1 && file[NUMBER_DIGITS] == '_' &&
                n - NUMBER_DIGITS - 1 < sizeof out->name;
    for (size_t i = 0; good && i < NUMBER_DIGITS; i++) {
        good = isdigit((unsigned char)file[i]) != 0;
        out->number = out->number * 10 + (file[i] - '0');
    }
    if (!good) {
        return error_refused("migration_name", "sql-dir", "%s isn't called NNNN_name.sql.", file);
    }
    memcpy(out->name, file + NUMBER_DIGITS + 1, n - NUMBER_DIGITS - 1);
    return NULL;
}

static struct error *checksum(struct migration_file *file)
{
    unsigned char digest[SHA256_BYTES];
    size_t n = 0;
    if (EVP_Q_digest(NULL, "SHA256", NULL, file->text, file->size, digest, &n) != 1 ||
        n != sizeof digest) {
        return error_failed("checksum", "SHA-256 isn't available.");
    }
    for (size_t i = 0; i < n; i++) {
        snprintf(&file->sha256[i * 2], 3, "%02x", digest[i]);
    }
    return NULL;
}

static struct error *read_text(int folder_fd, const char *name, struct migration_file *out)
{
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX_BYTES) {
        if (fd >= 0) {
            close(fd);
        }
        return error_refused("migration_unreadable", "sql-dir", "%s can't be read.", name);
    }
    size_t wanted = (size_t)st.st_size;
    out->text = memory_new(wanted + 1);
    while (out->size < wanted) {
        ssize_t got = read(fd, out->text + out->size, wanted - out->size);
        if (got <= 0) {
            break;
        }
        out->size += (size_t)got;
    }
    close(fd);
    if (out->size != wanted || strlen(out->text) != wanted) {
        return error_refused("migration_unreadable", "sql-dir", "%s can't be read whole as text.",
                             name);
    }
    return checksum(out);
}

static struct error *read_files(const char *path, struct dirent **entries, size_t count,
                                struct migration_folder *out)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct error *e =
        fd < 0 ? error_refused("migrations_missing", "sql-dir", "%s: %s", path, strerror(errno))
               : NULL;
    for (size_t i = 0; e == NULL && i < count; i++) {
        struct migration_file *file = &out->files[out->count++];
        e = parse_name(entries[i]->d_name, file);
        if (e == NULL) {
            e = read_text(fd, entries[i]->d_name, file);
        }
        if (e == NULL && i > 0 && file->number == out->files[i - 1].number) {
            e = error_refused("migration_number_twice", "sql-dir",
                              "Two migrations have the number %04d.", file->number);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return e;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* not the locale's order: numbers must come first */
}

struct error *migration_folder_read(const char *path, struct migration_folder *out)
{
    *out = (struct migration_folder){0};
    if (path == NULL) {
        path = access(MIGRATION_FOLDER_INSTALLED, R_OK) == 0 ? MIGRATION_FOLDER_INSTALLED
                                                             : MIGRATION_FOLDER_OF_SOURCE;
    }
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_sql, by_name);
    if (count <= 0 || (unsigned)count > MIGRATIONS_MAX) {
        free(entries);
        return error_refused("migrations_missing", "sql-dir",
                             "There are no migrations in %s; say --sql-dir DIR.", path);
    }
    out->files = memory_new((size_t)count * sizeof *out->files);
    struct error *e = read_files(path, entries, (size_t)count, out);
    for (int i = 0; i < count; i++) {
        free(entries[i]);
    }
    free(entries);
    if (e != NULL) {
        migration_folder_free(out);
    }
    return e;
}

void migration_folder_free(struct migration_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++) {
        free(folder->files[i].text);
    }
    free(folder->files);
    *folder = (struct migration_folder){0};
}
