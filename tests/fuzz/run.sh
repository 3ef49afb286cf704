#!/bin/bash
# Runs each fuzzer for n seconds (default 60), as many at a time as there are cores, starting from
# its corpus tests/fuzz/corpus/<name>. What it finds anew goes to build/fuzz/work/, never into the
# checked-in corpus. Fails if any fuzzer crashed, hung, outgrew its memory, or if there is none.
set -uo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "fuzz: SECONDS must be a whole number" >&2; exit 2; }
at_a_time=${FUZZ_JOBS:-$(nproc)}
shopt -s nullglob

# Words worth trying: a fuzzer's own, else those of the message table.
dictionary_of() {
    local name=$1 file
    for file in "tests/fuzz/$name.dict" build/gen/fuzz.dict; do
        if [ -f "$file" ]; then
            echo "-dict=$file"
            return
        fi
    done
}

# "cov: 764 ... corp: 221/111Kb" of a line of libFuzzer's own.
figure() {
    sed -n "s/.*[[:space:]]$2: *\([0-9]*\).*/\1/p" <<<"$1"
}

# One line about a run that ended well; false if it never ran an input.
summary() {
    local name=$1 log=$2 first last runs rss
    first=$(grep -a -m 1 'INITED' "$log")
    last=$(grep -a 'DONE' "$log" | tail -n 1)
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    rss=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
    echo "fuzz: $name: ${runs:-0} inputs in $seconds s," \
        "coverage $(figure "$first" cov) of the corpus, $(figure "$last" cov) at the end," \
        "peak ${rss:-?} MiB"
    [ "${runs:-0}" -gt 0 ] && [ -n "$(figure "$last" cov)" ]
}

# Memory: freed blocks are kept aside for a while, but few of them, so that the limit means ours.
run_one() {
    local name=$1 program=build/fuzz/fuzz_$1 log=build/fuzz/fuzz_$1.log options corpus=()
    mkdir -p "build/fuzz/work/$name" "build/fuzz/crashes/$name"
    [ -d "tests/fuzz/corpus/$name" ] && corpus=("tests/fuzz/corpus/$name")
    options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=512 -malloc_limit_mb=64
        -print_final_stats=1 -close_fd_mask=2 -artifact_prefix="build/fuzz/crashes/$name/"
        "$(dictionary_of "$name")")
    if ASAN_OPTIONS=quarantine_size_mb=16 timeout -k 10 $((seconds + 60)) "$program" \
        "${options[@]}" "build/fuzz/work/$name" "${corpus[@]}" >"$log" 2>&1; then
        summary "$name" "$log"
        return
    fi
    echo "fuzz: $name: failed (whole log: $log)"
    tail -n 60 "$log"
    return 1
}

ran=0
failed=()
declare -A name_of=()

# Waits for any one of those that run.
reap() {
    local pid status
    wait -n -p pid "${!name_of[@]}"
    status=$?
    [ "$status" -eq 0 ] || failed+=("${name_of[$pid]}")
    unset "name_of[$pid]"
}

for source in tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    name=${name#fuzz_}
    if [ ! -x "build/fuzz/fuzz_$name" ]; then
        echo "fuzz: $name is not built"
        failed+=("$name")
        continue
    fi
    [ ${#name_of[@]} -lt "$at_a_time" ] || reap
    run_one "$name" &
    name_of[$!]=$name
    ran=$((ran + 1))
done
while [ ${#name_of[@]} -gt 0 ]; do
    reap
done

if [ ${#failed[@]} -gt 0 ]; then
    echo "fuzz: failed: ${failed[*]} (inputs in build/fuzz/crashes/)"
    exit 1
fi
if [ "$ran" -eq 0 ]; then
    echo "fuzz: there is no fuzzer"
    exit 1
fi
echo "fuzz: $ran fuzzers ran, none crashed"
