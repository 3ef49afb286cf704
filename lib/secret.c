/* Secrets: bytes in OpenSSL's secure heap (locked, guarded, kept out of cores), wiped when freed.
 * Must never offer a way to print one, and must never leave a copy behind. */
#include "lib/secret.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/memory.h"
#include "lib/supervisor.h"

#define SECRET_MAX_BYTES (64u * 1024u)
#define SECRET_BLOCK_MIN_BYTES 32
/* A certificate with its chain, a bundle of CAs, a revocation list. */
#define CREDENTIAL_MAX_BYTES SECRET_MAX_BYTES
#define CREDENTIAL_PATH_BYTES 4096
#define ACL_MAX_BYTES 512

struct secret {
    size_t n;
    char bytes[]; /* n, then a NUL */
};

static size_t heap_bytes;
static bool locked;

/* Everything we ever map is locked as soon as it is touched (MCL_ONFAULT: what is never used costs
 * nothing), if we may lock without a limit. With one, MCL_FUTURE would make ordinary allocations
 * and threads fail under load; then only the secure heap is sure never to be swapped. */
static struct error *lock_memory(void)
{
    struct rlimit limit;
    bool unlimited = getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY;
    int flags = MCL_CURRENT | MCL_ONFAULT | (unlimited ? MCL_FUTURE : 0);
    bool done = mlockall(flags) == 0;
    locked = done && unlimited;
    if (!done && unlimited && supervisor_started_us()) {
        return error_failed("secret_memory_unavailable",
                            "systemd lets us lock our memory, and it can't be locked: %s",
                            strerror(errno));
    }
    return NULL;
}

struct error *secret_memory_start(size_t bytes)
{
    assert(bytes >= 4096 && (bytes & (bytes - 1)) == 0);
    const struct rlimit no_core = {0, 0};
    if (setrlimit(RLIMIT_CORE, &no_core) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return error_failed("secret_memory_unavailable", "cores can't be turned off: %s",
                            strerror(errno));
    }
    struct error *e = memory_start();
    if (e != NULL) {
        return e;
    }
    if (CRYPTO_secure_malloc_initialized()) {
        return NULL;
    }
    int made = CRYPTO_secure_malloc_init(bytes, SECRET_BLOCK_MIN_BYTES);
    if (made == 2) { /* there, but not locked or not guarded: not good enough */
        (void)CRYPTO_secure_malloc_done();
    }
    if (made != 1) {
        return error_failed("secret_memory_unavailable",
                            "%zu bytes of locked memory can't be had: raise LimitMEMLOCK", bytes);
    }
    heap_bytes = bytes;
    return lock_memory();
}

bool secret_memory_locked(void)
{
    return locked;
}

size_t secret_memory_left(void)
{
    return heap_bytes - CRYPTO_secure_used();
}

struct secret *secret_new(const void *bytes, size_t n)
{
    assert(CRYPTO_secure_malloc_initialized()); /* secret_memory_start() comes first in main */
    assert(n <= SECRET_MAX_BYTES);
    assert(bytes != NULL || n == 0);
    struct secret *s = OPENSSL_secure_malloc(sizeof *s + n + 1);
    if (s == NULL) {
        return NULL;
    }
    s->n = n;
    if (n > 0) {
        memcpy(s->bytes, bytes, n);
    }
    s->bytes[n] = '\0';
    return s;
}

struct secret *secret_copy(const struct secret *s)
{
    return s == NULL ? NULL : secret_new(s->bytes, s->n);
}

struct secret *secret_take_text(char *text)
{
    size_t n = strlen(text);
    struct secret *s = secret_new(text, n);
    secret_wipe(text, n);
    return s;
}

size_t secret_size(const struct secret *s)
{
    assert(s != NULL);
    return s->n;
}

const char *secret_expose(const struct secret *s)
{
    assert(s != NULL);
    return s->bytes;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return a->n == b->n && CRYPTO_memcmp(a->bytes, b->bytes, a->n) == 0;
}

void secret_free(struct secret *s)
{
    if (s != NULL) {
        OPENSSL_secure_clear_free(s, sizeof *s + s->n + 1);
    }
}

void secret_wipe(void *p, size_t n)
{
    if (n > 0) {
        explicit_bzero(p, n);
    }
}

/* One entry of an access list as the kernel stores it: native little-endian after a version. */
struct acl_entry {
    uint16_t tag;
    uint16_t permissions;
    uint32_t id;
};
enum acl_tag { ACL_OWNER = 0x01, ACL_USER = 0x02, ACL_MASK = 0x10 };

/* With an access list the mode's group bits are only its mask. systemd hands credentials to a
 * service's user by such a list, so the list itself is looked at: nobody but us may be on it. */
static bool acl_lets_others_read(int fd)
{
    unsigned char list[ACL_MAX_BYTES];
    ssize_t size = fgetxattr(fd, "system.posix_acl_access", list, sizeof list);
    if (size < (ssize_t)sizeof(uint32_t)) {
        return true; /* no list: the group bits mean the group */
    }
    for (size_t at = sizeof(uint32_t); at + sizeof(struct acl_entry) <= (size_t)size;
         at += sizeof(struct acl_entry)) {
        struct acl_entry entry;
        memcpy(&entry, list + at, sizeof entry);
        bool ours = entry.tag == ACL_OWNER || entry.tag == ACL_MASK ||
                    (entry.tag == ACL_USER && entry.id == geteuid());
        if (!ours && entry.permissions != 0) {
            return true;
        }
    }
    return false;
}

static bool mode_is_safe(int fd, const struct stat *st)
{
    if ((st->st_mode & S_IRWXO) != 0) {
        return false;
    }
    return (st->st_mode & S_IRWXG) == 0 || !acl_lets_others_read(fd);
}

/* Reads up to `size` bytes; -1 with errno. */
static ssize_t read_whole(int fd, char *buffer, size_t size)
{
    size_t n = 0;
    while (n < size) {
        ssize_t got = read(fd, buffer + n, size - n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            break;
        }
        n += (size_t)got;
    }
    return (ssize_t)n;
}

static struct error *credential_read(int fd, const char *name, struct secret **out)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        return error_failed("credential_missing", "credential %s is not a file", name);
    }
    if (!mode_is_safe(fd, &st)) {
        return error_failed("credential_unsafe_mode",
                            "credential %s can be read by group or others", name);
    }
    char buffer[CREDENTIAL_MAX_BYTES + 1];
    struct error *e = NULL;
    ssize_t n = read_whole(fd, buffer, sizeof buffer);
    if (n < 0 || n > (ssize_t)CREDENTIAL_MAX_BYTES) {
        e = error_failed("credential_missing", "credential %s %s", name,
                         n < 0 ? "can't be read" : "is larger than 64 KiB");
    } else {
        size_t size = (size_t)n;
        if (size > 0 && buffer[size - 1] == '\n') {
            size--;
        }
        *out = secret_new(buffer, size);
        if (*out == NULL) {
            e = error_failed("secret_memory_unavailable", "no locked memory for credential %s",
                             name);
        }
    }
    secret_wipe(buffer, sizeof buffer);
    return e;
}

const char *secret_credential_folder(void)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (folder == NULL || folder[0] == '\0') {
        folder = getenv("KOMETPAY_CREDENTIALS");
    }
    return folder != NULL && folder[0] != '\0' ? folder : NULL;
}

static struct error *credential_path(const char *name, char path[CREDENTIAL_PATH_BYTES])
{
    assert(name[0] != '\0' && strchr(name, '/') == NULL);
    const char *folder = secret_credential_folder();
    if (folder == NULL) {
        return error_failed("credential_missing",
                            "credential %s: neither CREDENTIALS_DIRECTORY nor "
                            "KOMETPAY_CREDENTIALS is set",
                            name);
    }
    int printed = snprintf(path, CREDENTIAL_PATH_BYTES, "%s/%s", folder, name);
    if (printed < 0 || printed >= CREDENTIAL_PATH_BYTES) {
        return error_failed("credential_missing", "credential %s: the path is too long", name);
    }
    return NULL;
}

bool secret_credential_given(const char *name)
{
    char path[CREDENTIAL_PATH_BYTES];
    struct error *e = credential_path(name, path);
    if (e != NULL) {
        error_free(e);
        return false;
    }
    return access(path, F_OK) == 0 || errno != ENOENT;
}

struct error *secret_credential(const char *name, struct secret **out)
{
    *out = NULL;
    char path[CREDENTIAL_PATH_BYTES];
    struct error *e = credential_path(name, path);
    if (e != NULL) {
        return e;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return error_failed("credential_missing", "credential %s: %s", name, strerror(errno));
    }
    e = credential_read(fd, name, out);
    (void)close(fd);
    return e;
}
