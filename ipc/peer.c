/* Who speaks, by what the kernel says of the socket's other end, and who may send what, by the
 * table of messages. Must never ask a name service while serving. */
#include "ipc/peer.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ipc/message_table.h"
#include "lib/memory.h"

#define RULES_MAX 32
#define GROUPS_USUAL 64
#define ANY_ID UINT32_MAX /* (uid_t)-1 is never a user */

enum rule_kind {
    RULE_USER,
    RULE_GROUP,
};

struct rule {
    enum rule_kind kind;
    uint32_t id; /* or ANY_ID */
    unsigned peers;
};

static const struct {
    const char *name;
    enum peer peer;
} PEER_NAMES[] = {
    {"pos", PEER_POS},           {"operator", PEER_OPERATOR}, {"terminald", PEER_TERMINALD},
    {"gatewayd", PEER_GATEWAYD}, {"vaultd", PEER_VAULTD},     {"settled", PEER_SETTLED},
    {"night", PEER_NIGHT},
};
#define PEER_NAME_COUNT (sizeof(PEER_NAMES) / sizeof(PEER_NAMES[0]))

static struct rule rules[RULES_MAX];
static size_t rule_count;

static void add_rule(enum rule_kind kind, uint32_t id, enum peer peer)
{
    assert(rule_count < RULES_MAX);
    rules[rule_count++] = (struct rule){.kind = kind, .id = id, .peers = peer};
}

static enum peer peer_of_name(const char *name, size_t n)
{
    for (size_t i = 0; i < PEER_NAME_COUNT; i++) {
        if (strlen(PEER_NAMES[i].name) == n && memcmp(PEER_NAMES[i].name, name, n) == 0) {
            return PEER_NAMES[i].peer;
        }
    }
    return PEER_NONE;
}

static struct error *add_rule_text(const char *text, size_t n)
{
    const char *equals = memchr(text, '=', n);
    enum peer peer = equals ? peer_of_name(text, (size_t)(equals - text)) : PEER_NONE;
    if (peer == PEER_NONE || rule_count == RULES_MAX) {
        return error_refused("setting_invalid", "KOMETPAY_PEERS",
                             "KOMETPAY_PEERS is a list such as gatewayd=64002,pos=*.");
    }
    const char *value = equals + 1;
    const char *end = text + n;
    if (end - value == 1 && *value == '*') {
        add_rule(RULE_USER, ANY_ID, peer);
        return NULL;
    }
    char *stop;
    errno = 0;
    unsigned long id = strtoul(value, &stop, 10);
    if (value == end || *value < '0' || *value > '9' || stop != end || errno || id >= ANY_ID) {
        return error_refused("setting_invalid", "KOMETPAY_PEERS",
                             "KOMETPAY_PEERS needs a user's number or * after each =.");
    }
    add_rule(RULE_USER, (uint32_t)id, peer);
    return NULL;
}

static struct error *rules_from_text(const char *text)
{
    while (*text) {
        size_t n = strcspn(text, ",");
        struct error *e = add_rule_text(text, n);
        if (e) {
            return e;
        }
        text += n + (text[n] == ',');
    }
    return NULL;
}

/* A daemon or group that isn't installed here simply matches nobody. */
static void rules_from_system(void)
{
    static const struct {
        const char *user;
        enum peer peer;
    } USERS[] = {
        {"kometpay-terminald", PEER_TERMINALD}, {"kometpay-gatewayd", PEER_GATEWAYD},
        {"kometpay-vaultd", PEER_VAULTD},       {"kometpay-settled", PEER_SETTLED},
        {"kometpay-night", PEER_NIGHT},
    };
    for (size_t i = 0; i < sizeof(USERS) / sizeof(USERS[0]); i++) {
        const struct passwd *user = getpwnam(USERS[i].user);
        if (user) {
            add_rule(RULE_USER, user->pw_uid, USERS[i].peer);
        }
    }
    add_rule(RULE_USER, 0, PEER_OPERATOR);
    const struct group *group = getgrnam("kometpay-operator");
    if (group) {
        add_rule(RULE_GROUP, group->gr_gid, PEER_OPERATOR);
    }
    group = getgrnam("kometpay-pos");
    if (group) {
        add_rule(RULE_GROUP, group->gr_gid, PEER_POS);
    }
}

struct error *peers_start(void)
{
    rule_count = 0;
    const char *text = getenv("KOMETPAY_PEERS");
    if (text) {
        return rules_from_text(text);
    }
    rules_from_system();
    return NULL;
}

unsigned peers_of_socket(int fd)
{
    struct ucred who;
    socklen_t size = sizeof(who);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0 || size != sizeof(who)) {
        return PEER_NONE;
    }
    gid_t some[GROUPS_USUAL];
    gid_t *groups = some;
    size = sizeof(some);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) != 0) {
        /* ERANGE: more than that; size says how much. */
        groups = errno == ERANGE ? memory_new(size) : some;
        if (groups == some || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) != 0) {
            size = 0;
        }
    }
    size_t count = size / sizeof(groups[0]);
    unsigned peers = PEER_NONE;
    for (size_t i = 0; i < rule_count; i++) {
        const struct rule *rule = &rules[i];
        bool match = false;
        if (rule->kind == RULE_USER) {
            match = rule->id == ANY_ID || rule->id == who.uid;
        } else {
            match = rule->id == who.gid;
            for (size_t g = 0; g < count && !match; g++) {
                match = rule->id == groups[g];
            }
        }
        peers |= match ? rule->peers : 0;
    }
    if (groups != some) {
        free(groups);
    }
    return peers;
}

bool peer_may_send(unsigned peers, enum message_type type, const char *daemon)
{
    const struct message_row *row = message_row(type);
    unsigned to = peer_of_name(daemon, strlen(daemon));
    for (unsigned i = 0; row && i < MESSAGE_RIGHTS_MAX; i++) {
        if ((row->rights[i].senders & peers) && (row->rights[i].to & to)) {
            return true;
        }
    }
    return false;
}
