#!/bin/bash
# The Debian packages of this project and why each is needed. Installs only those that are missing.
# Must never touch a machine that has them all, nor start a PostgreSQL cluster of its own.
set -euo pipefail

PACKAGES=(
    "gcc                        compiler of the release"
    "libc6-dev                  headers of the C library"
    "binutils                   linker and ar; nm and objdump in tests"
    "pkg-config                 finds the libraries below"
    "libevent-dev               event loop, and TLS under it"
    "libpq-dev                  PostgreSQL client, pipeline mode"
    "libssl-dev                 TLS, encryption of cards, secure heap"
    "libcurl4-openssl-dev       HTTPS to processors"
    "libjansson-dev             JSON"
    "libsystemd-dev             journal, socket activation, watchdog"
    "libcmocka-dev              unit tests"
    "postgresql-15              the tests' private clusters"
    "postgresql-15-pgtap        tests of the SQL functions"
    "python3                    code generator, test runners, demo"
    "python3-pytest             end-to-end tests"
    "python3-psycopg2           end-to-end tests look into the database"
    "openssl                    certificates of the tests"
    "strace                     tests read every write for card numbers"
    "gdb                        tests take cores (gcore) and search them for card numbers"
    "clang                      fuzzers"
    "libclang-rt-14-dev         libFuzzer and sanitizer run time for clang"
    "clang-tidy                 make lint"
    "clang-format               make lint"
    "cppcheck                   make lint"
    "systemd                    system test; systemd-analyze"
    "procps                     ps in tests"
    "git                        make lint asks which files are ours"
)

missing=()
reasons=()
for entry in "${PACKAGES[@]}"; do
    read -r name reason <<<"$entry"
    state=$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)
    if [ "$state" != installed ]; then
        missing+=("$name")
        reasons+=("  $name: $reason")
    fi
done

if [ ${#missing[@]} -eq 0 ]; then
    echo "deps: all ${#PACKAGES[@]} packages are installed"
    exit 0
fi

echo "deps: missing"
printf '%s\n' "${reasons[@]}"
if [ "$(id -u)" -ne 0 ]; then
    echo "deps: not root; type:  sudo apt-get update && sudo apt-get install --no-install-recommends -y ${missing[*]}" >&2
    exit 1
fi

# The server's package makes and starts a cluster 'main' unless told not to. A file that is there
# already (of postgresql-common) gets the line only while we install.
createcluster=${CREATECLUSTER:-/etc/postgresql-common/createcluster.conf}
if [[ " ${missing[*]} " == *" postgresql-15 "* ]]; then
    mkdir -p "$(dirname "$createcluster")"
    if [ -e "$createcluster" ]; then
        before=$(mktemp)
        cp -p "$createcluster" "$before"
        trap 'cp -p "$before" "$createcluster"; rm -f "$before"' EXIT
    fi
    echo "create_main_cluster = false" >>"$createcluster"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# Keeps createcluster.conf without a question.
apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confold "${missing[@]}"
echo "deps: installed ${missing[*]}"
