#!/bin/bash
# The systemd units, without a running systemd: staged as they are installed, verified, and their
# exposure measured (at most 1.2). At the end the checks prove on spoiled units that they can fail.
#   tests/system/units.sh [ROOT]   ROOT: a folder that `make install DESTDIR=` wrote; else staged here
set -u
cd "$(dirname "$0")/../.." || exit 2
exposure_max=12 # tenths
daemons=(terminald gatewayd vaultd settled)
root=$(mktemp -d /tmp/kometpay-units.XXXXXX)
trap 'rm -rf "$root"' EXIT
faults=0

fault() {
    echo "FAULT: $*" >&2
    faults=$((faults + 1))
}

# The host's own units first (sysinit.target and so on), then ours.
stage() {
    mkdir -p "$root/usr/lib/systemd/system" "$root/usr/libexec/kometpay" "$root/usr/bin" "$root/etc"
    ln -s usr/lib "$root/lib"
    cp -r /lib/systemd/system/. "$root/usr/lib/systemd/system/"
    rm -f "$root"/usr/lib/systemd/system/kometpay*
    local from=${1:-}
    if [ -n "$from" ]; then
        cp "$from"/lib/systemd/system/kometpay* "$root/usr/lib/systemd/system/" || exit 2
    else
        cp systemd/*.service systemd/*.socket systemd/*.timer systemd/*.target \
            "$root/usr/lib/systemd/system/" || exit 2
    fi
    local program
    for program in usr/bin/kometpay usr/bin/systemd-tmpfiles \
        "${daemons[@]/#/usr/libexec/kometpay/}"; do
        printf '#!/bin/true\n' >"$root/$program"
        chmod 755 "$root/$program"
    done
}

units() {
    (cd "$root/usr/lib/systemd/system" && ls kometpay*)
}

# systemd-analyze says "Unknown key" and exits 0: any line about a unit of ours is a fault.
verify() {
    local unit=$1 said status
    said=$(systemd-analyze verify --root="$root" --man=no "$unit" 2>&1)
    status=$?
    said=$(grep -i kometpay <<<"$said")
    [ $status -eq 0 ] && [ -z "$said" ] && return 0
    echo "$said"
    return 1
}

exposure() {
    systemd-analyze security --root="$root" --offline=true --threshold=$exposure_max --no-pager \
        "$1" >"$root/exposure" 2>&1
    local status=$?
    grep -h 'Overall exposure' "$root/exposure" | sed 's/^[^O]*//'
    return $status
}

# Every user and group that a unit or socket names is made by our sysusers file.
check_users() {
    systemd-sysusers --root="$root" "$PWD/systemd/kometpay.sysusers" >/dev/null 2>"$root/said" ||
        fault "kometpay.sysusers: $(cat "$root/said")"
    local name
    while read -r name; do
        [ "$name" = root ] || grep -q "^$name:" "$root/etc/group" ||
            fault "no user or group $name in kometpay.sysusers"
    done < <(sed -n -E 's/^(User|Group|SocketGroup|SupplementaryGroups)=//p' \
        "$root"/usr/lib/systemd/system/kometpay* | tr ' ' '\n' | sort -u)
    local operators
    operators=$(sed -n 's/^kometpay-operator:.*://p' "$root/etc/group")
    [ -z "$operators" ] || fault "operators by our own hand: $operators"
}

# Reaching a socket is its group's right: who may, for each, and nobody else.
check_access() {
    local want have owner
    want="gatewayd: settled terminald
settled: terminald
terminald:
vaultd: gatewayd terminald"
    have=$(for owner in $(printf '%s\n' "${daemons[@]}" | sort); do
        echo "$owner:$(grep -lE "^SupplementaryGroups=.*\bkometpay-$owner\b" \
            "$root"/usr/lib/systemd/system/kometpay-*.service |
            sed -E 's|.*/kometpay-(.*)\.service|\1|' | sort | sed 's/^/ /' | tr -d '\n')"
    done)
    [ "$want" = "$have" ] || fault "socket access is not as meant:
$have"
    for owner in "${daemons[@]}"; do
        grep -qx 'SocketMode=0660' "$root/usr/lib/systemd/system/kometpay-$owner.socket" ||
            fault "kometpay-$owner.socket isn't 0660"
        grep -q "^a+ /run/kometpay/$owner.sock .*group:kometpay-operator:rw" \
            systemd/kometpay.tmpfiles || fault "operators can't reach $owner.sock"
    done
    have=$(sed -n 's|^a+ /run/kometpay/\(.*\)\.sock .*user:kometpay-night:rw$|\1|p' \
        systemd/kometpay.tmpfiles)
    [ "$have" = settled ] || fault "the night's close reaches: $have"
}

# gatewayd reads the boot's id under /proc/sys, which ProcSubset=pid hides.
check_boot_id() {
    grep -q '^ProcSubset=pid' "$root/usr/lib/systemd/system/kometpay-gatewayd.service" &&
        fault "gatewayd can't read /proc/sys/kernel/random/boot_id"
}

check_all() {
    local unit
    for unit in $(units); do
        verify "$unit" || fault "$unit is not verified"
    done
    for unit in $(units | grep '\.service$'); do
        echo "$unit: $(exposure "$unit")"
        exposure "$unit" >/dev/null || fault "$unit is exposed above 1.2"
    done
}

# The two checks on units that are spoiled in ways that happen: a typing error, a lost line, a
# program that isn't there.
check_the_checks() {
    local unit=kometpay-vaultd.service
    local file=$root/usr/lib/systemd/system/$unit good=$root/good
    cp "$file" "$good"
    sed 's/^ProtectSystem=/ProtectSytem=/' "$good" >"$file"
    verify "$unit" >/dev/null && fault "a misspelt directive went unseen"
    sed 's/^ExecStart=.*/&-of-nobody/' "$good" >"$file"
    verify "$unit" >/dev/null && fault "a missing program went unseen"
    sed '/^CapabilityBoundingSet=/d' "$good" >"$file"
    exposure "$unit" >/dev/null && fault "lost CapabilityBoundingSet= went unseen"
    sed '/^SystemCallFilter=/d' "$good" >"$file"
    exposure "$unit" >/dev/null && fault "lost SystemCallFilter= went unseen"
    cp "$good" "$file"
}

stage "${1:-}"
check_all
check_users
check_access
check_boot_id
check_the_checks
if [ $faults -gt 0 ]; then
    echo "units: $faults faults" >&2
    exit 1
fi
echo "units: $(units | wc -l) verified"
