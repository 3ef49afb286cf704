#!/bin/bash
# Everything that reads the sources without running them. Fails at the end if anything was found.
# Must never change a file.
set -uo pipefail
cd "$(dirname "$0")/.."

# LINT="format walls" runs only these.
CHECKS=${LINT:-format sizes walls codes python shell page cppcheck tidy}
failed=()

mapfile -t C_FILES < <(find lib ipc daemons tests -name '*.c' | sort)
mapfile -t H_FILES < <(find lib ipc daemons tests \( -name '*.h' -o -name '*.def' \) | sort)
mapfile -t PY_FILES < <(find ipc tests -name '*.py' | sort)
mapfile -t SH_FILES < <(find tests .ci -type f \( -name '*.sh' -o -path '.ci/run' \) | sort)
FLAGS=(-std=c17 -D_GNU_SOURCE -I. -Ibuild/gen -I/usr/include/postgresql)

check_format() {
    clang-format --dry-run -Werror "${C_FILES[@]}" $(printf '%s\n' "${H_FILES[@]}" | grep '\.h$')
}

# A file of at most 500 lines; clang-tidy looks at the functions.
check_sizes() {
    local found=0 file lines
    for file in "${C_FILES[@]}" "${H_FILES[@]}"; do
        lines=$(wc -l <"$file")
        if [ "$lines" -gt 500 ]; then
            echo "$file: $lines lines, 500 are allowed"
            found=1
        fi
    done
    return $found
}

# lib knows nothing of ipc, ipc nothing of daemons, daemons nothing of each other.
check_walls() {
    local found=0 daemon
    grep -nE '#include "(ipc|daemons|tests)/' -r lib && found=1
    grep -nE '#include "(daemons|tests)/' -r ipc && found=1
    for daemon in daemons/*/; do
        daemon=$(basename "$daemon")
        grep -nE '#include "(daemons|tests)/' -r "daemons/$daemon" |
            grep -v "#include \"daemons/$daemon/" && found=1
    done
    # Every include of ours is written from the root, so that the walls can be seen.
    grep -nE '#include "' -r lib ipc daemons --include='*.[ch]' |
        grep -vE '#include "(lib|ipc|daemons/[a-z]+)/' && found=1
    return $found
}

check_python() {
    local file found=0
    for file in "${PY_FILES[@]}"; do
        /usr/bin/python3 - "$file" <<'PY' || found=1
import sys
path = sys.argv[1]
with open(path, encoding="utf-8") as source:
    compile(source.read(), path, "exec")
PY
    done
    return $found
}

check_shell() {
    local file found=0
    for file in "${SH_FILES[@]}"; do
        bash -n "$file" || found=1
    done
    return $found
}

check_codes() {
    /usr/bin/python3 tests/codes.py
}

check_page() {
    /usr/bin/python3 ipc/generate.py --messages ipc/messages.txt --protocol ipc/PROTOCOL.md --check
}

# System headers are not read, so the one macro of theirs that declares something is told. The
# programs have one thread: getpwnam() and getgrnam() are safe in them. The two
# life-time checks take a call through a struct's function pointer for an initialiser list.
check_cppcheck() {
    cppcheck --quiet --std=c11 --language=c --enable=warning,performance,portability \
        --inline-suppr --error-exitcode=1 --library=posix -I. -Ibuild/gen -D_GNU_SOURCE -D__cppcheck__=1 \
        --library=tests/cppcheck.cfg \
        --suppress=invalidLifetime --suppress=returnDanglingLifetime \
        --suppress=getpwnamCalled --suppress=getgrnamCalled \
        --suppress=missingIncludeSystem --suppress=missingInclude --suppress=checkersReport \
        -j 2 "${C_FILES[@]}"
}

check_tidy() {
    printf '%s\n' "${C_FILES[@]}" |
        xargs -P 2 -n 4 bash -c '
            clang-tidy --quiet "$@" -- '"${FLAGS[*]}"' 2>&1 |
                grep -vE "warnings? (and [0-9]+ errors? )?generated|^Suppressed |^Use -header-filter"
            exit "${PIPESTATUS[0]}"' tidy
}

for name in $CHECKS; do
    echo "lint: $name"
    if ! "check_$name"; then
        failed+=("$name")
    fi
done

if [ ${#failed[@]} -gt 0 ]; then
    echo "lint: found something in: ${failed[*]}"
    exit 1
fi
echo "lint: clean"
