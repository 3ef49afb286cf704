/* A private PostgreSQL for one test program, and a plain connection to it. Included once.
 * Must never touch another cluster: everything lives in a new folder under /tmp. */
#ifndef TESTS_UNIT_CLUSTER_H
#define TESTS_UNIT_CLUSTER_H

#include <assert.h>
#include <fcntl.h>
#include <postgresql/libpq-fe.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLUSTER_PORT 54399 /* only part of the socket's name: no TCP */

static char cluster_folder[64];

__attribute__((format(printf, 1, 2))) static int cluster_shell(const char *format, ...)
{
    char command[1024];
    char whole[1200];
    va_list list;

    va_start(list, format);
    vsnprintf(command, sizeof command, format, list);
    va_end(list);
    /* The server refuses to run as root. */
    snprintf(whole, sizeof whole, "%s sh -c 'PATH=$PATH:$(pg_config --bindir); cd / && %s'",
             geteuid() == 0 ? "runuser -u postgres --" : "", command);
    /* NOLINTNEXTLINE(cert-env33-c): a test wants the shell; all its words are ours. */
    return system(whole);
}

static int cluster_start(void)
{
    snprintf(cluster_folder, sizeof cluster_folder, "/tmp/kometpay-test.XXXXXX");
    if (mkdtemp(cluster_folder) == NULL || chmod(cluster_folder, 0755) != 0) {
        return -1;
    }
    const struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
    if (user != NULL && chown(cluster_folder, user->pw_uid, user->pw_gid) != 0) {
        return -1;
    }
    if (cluster_shell("initdb -N -A trust -U postgres -D %s/data >%s/initdb.log 2>&1",
                      cluster_folder, cluster_folder) != 0) {
        return -1;
    }
    return cluster_shell("pg_ctl -w -s -D %s/data -l %s/server.log -o \"-p %d -k %s "
                         "-c listen_addresses= -c wal_writer_delay=10ms -c deadlock_timeout=100ms\""
                         " start",
                         cluster_folder, cluster_folder, CLUSTER_PORT, cluster_folder);
}

static void cluster_stop(void)
{
    (void)cluster_shell("pg_ctl -w -s -m immediate -D %s/data stop", cluster_folder);
    (void)cluster_shell("rm -rf %s/*", cluster_folder);
    (void)rmdir(cluster_folder);
}

/* Stops the cluster when this program is gone, however it went. */
static void cluster_watch(void)
{
    int ends[2];
    char byte;

    assert(pipe2(ends, O_CLOEXEC) == 0);
    pid_t child = fork();
    assert(child >= 0);
    if (child == 0) {
        (void)setsid(); /* a signal to the test's group must not reach us */
        close(ends[1]);
        while (read(ends[0], &byte, 1) > 0) {
        }
        if (access(cluster_folder, F_OK) == 0) {
            cluster_stop();
        }
        _exit(0);
    }
    close(ends[0]); /* the other end closes with us */
}

/* Runs SQL at once on a connection of its own; returns the first field in a static buffer. */
static const char *cluster_sql(const char *sql)
{
    static char text[256];
    char where[160];

    snprintf(where, sizeof where, "host=%s port=%d user=postgres dbname=postgres", cluster_folder,
             CLUSTER_PORT);
    PGconn *conn = PQconnectdb(where);
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        fprintf(stderr, "%s: %s\n", sql, PQerrorMessage(conn));
        cluster_stop();
        abort();
    }
    snprintf(text, sizeof text, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    PQfinish(conn);
    return text;
}

#endif
