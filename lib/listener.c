/* Listening sockets, passed by systemd or made here.
 * Must never take a socket file away from a listener that is alive. */
#include "lib/listener.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "lib/memory.h"

#define PASSED_MAX 32
#define MADE_MAX 8

struct made {
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    dev_t device;
    ino_t inode;
};

struct listeners {
    int passed;   /* descriptors SD_LISTEN_FDS_START ... */
    char **names; /* from libsystemd: `passed` texts and the array, all to be freed */
    bool taken[PASSED_MAX];
    struct made made[MADE_MAX];
    size_t made_count;
};

struct error *listeners_new(struct listeners **out)
{
    char **names = NULL;
    int passed = sd_listen_fds_with_names(1, &names);
    if (passed < 0 || passed > PASSED_MAX) {
        return error_failed("listen_failed", "the passed sockets can't be taken over");
    }
    *out = memory_new(sizeof **out);
    (*out)->passed = passed;
    (*out)->names = names;
    return NULL;
}

void listeners_free(struct listeners *listeners)
{
    if (listeners == NULL) {
        return;
    }
    for (int i = 0; i < listeners->passed; i++) {
        if (!listeners->taken[i]) {
            (void)close(SD_LISTEN_FDS_START + i);
        }
        free(listeners->names[i]);
    }
    free(listeners->names);
    for (size_t i = 0; i < listeners->made_count; i++) {
        const struct made *made = &listeners->made[i];
        struct stat st;
        /* Our successor may have replaced it while we drained: then it is not ours to remove. */
        if (lstat(made->path, &st) == 0 && st.st_dev == made->device && st.st_ino == made->inode) {
            (void)unlink(made->path);
        }
    }
    free(listeners);
}

static struct error *failed(const char *what, const char *where)
{
    return error_failed("listen_failed", "%s %s: %s", what, where, strerror(errno));
}

static bool set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* The passed descriptor of that name, -1 if there is none. */
static struct error *take_passed(struct listeners *listeners, const char *fd_name, int family,
                                 int *out)
{
    *out = -1;
    for (int i = 0; i < listeners->passed; i++) {
        if (listeners->taken[i] || strcmp(listeners->names[i], fd_name) != 0) {
            continue;
        }
        int fd = SD_LISTEN_FDS_START + i;
        if (sd_is_socket(fd, family, SOCK_STREAM, 1) <= 0 || !set_nonblocking(fd)) {
            return error_failed("listen_failed", "the passed socket %s is not of the right kind",
                                fd_name);
        }
        listeners->taken[i] = true;
        *out = fd;
        return NULL;
    }
    return NULL;
}

/* Removes the socket file of a listener that is gone; refuses if it is alive or no socket. */
static struct error *clear_stale(const struct sockaddr_un *address)
{
    struct stat st;
    if (lstat(address->sun_path, &st) != 0) {
        return errno == ENOENT ? NULL : failed("can't look at", address->sun_path);
    }
    if (!S_ISSOCK(st.st_mode)) {
        return error_failed("listen_failed", "%s is there and is not a socket", address->sun_path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return failed("no socket for", address->sun_path);
    }
    bool gone = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                (errno == ECONNREFUSED || errno == ENOENT);
    (void)close(fd);
    if (!gone) {
        return error_failed("listen_failed", "another process listens at %s", address->sun_path);
    }
    if (unlink(address->sun_path) != 0 && errno != ENOENT) {
        return failed("can't remove the stale", address->sun_path);
    }
    return NULL;
}

static struct error *bind_unix(struct listeners *listeners, int fd,
                               const struct sockaddr_un *address, unsigned mode)
{
    /* By the mask, so that nobody can connect before the mode is right. */
    mode_t mask = umask(0777 & ~(mode_t)mode);
    int bound = bind(fd, (const struct sockaddr *)address, sizeof *address);
    (void)umask(mask);
    struct stat st;
    if (bound != 0 || listen(fd, SOMAXCONN) != 0 || lstat(address->sun_path, &st) != 0) {
        return failed("can't listen at", address->sun_path);
    }
    assert(listeners->made_count < MADE_MAX);
    struct made *made = &listeners->made[listeners->made_count++];
    memcpy(made->path, address->sun_path, sizeof made->path);
    made->device = st.st_dev;
    made->inode = st.st_ino;
    return NULL;
}

struct error *listeners_unix(struct listeners *listeners, const char *fd_name, const char *path,
                             unsigned mode, int *out)
{
    struct error *e = take_passed(listeners, fd_name, AF_UNIX, out);
    if (e != NULL || *out >= 0) {
        return e;
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof address.sun_path) {
        return error_failed("listen_failed", "the path of socket %s is empty or too long", fd_name);
    }
    memcpy(address.sun_path, path, n);
    e = clear_stale(&address);
    if (e != NULL) {
        return e;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return failed("no socket for", path);
    }
    e = bind_unix(listeners, fd, &address, mode);
    if (e != NULL) {
        (void)close(fd);
        return e;
    }
    *out = fd;
    return NULL;
}

/* Splits "address:port" or "[address]:port"; false if it is neither. */
static bool split_address(const char *address, char *host, size_t size, const char **port)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || colon[1] == '\0') {
        return false;
    }
    const char *start = address;
    size_t n = (size_t)(colon - address);
    if (address[0] == '[') {
        if (n < 3 || address[n - 1] != ']') {
            return false;
        }
        start++;
        n -= 2;
    }
    if (n >= size) {
        return false;
    }
    memcpy(host, start, n);
    host[n] = '\0';
    *port = colon + 1;
    return true;
}

static int bind_tcp(const struct addrinfo *address)
{
    const int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, SOMAXCONN) != 0) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

struct error *listeners_tcp(struct listeners *listeners, const char *fd_name, const char *address,
                            int *out)
{
    struct error *e = take_passed(listeners, fd_name, AF_UNSPEC, out);
    if (e != NULL || *out >= 0 || address[0] == '\0') {
        return e;
    }
    char host[64];
    const char *port = NULL;
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    if (!split_address(address, host, sizeof host, &port) ||
        getaddrinfo(host, port, &hints, &found) != 0) {
        return error_failed("listen_failed", "%s is not a numeric address:port", address);
    }
    *out = bind_tcp(found);
    if (*out < 0) {
        e = failed("can't listen at", address);
    }
    freeaddrinfo(found);
    return e;
}
