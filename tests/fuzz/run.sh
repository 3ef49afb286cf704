#!/bin/bash
# Runs each fuzzer for n seconds (default 60), starting from its corpus tests/fuzz/corpus/<name>.
# What it finds anew goes to build/fuzz/work/, never into the checked-in corpus. Fails if any
# fuzzer crashed, hung, outgrew its memory, or if there is none.
set -uo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "fuzz: SECONDS must be a whole number" >&2; exit 2; }
shopt -s nullglob
ran=0
crashed=()

for source in tests/fuzz/fuzz_*.c; do
    fuzzer=$(basename "$source" .c)
    name=${fuzzer#fuzz_}
    program=build/fuzz/$fuzzer
    if [ ! -x "$program" ]; then
        echo "fuzz: $fuzzer is not built"
        crashed+=("$fuzzer")
        continue
    fi
    work=build/fuzz/work/$name
    mkdir -p "$work" "build/fuzz/crashes/$name"
    corpus=()
    [ -d "tests/fuzz/corpus/$name" ] && corpus=("tests/fuzz/corpus/$name")
    options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=512 -print_final_stats=1
        -artifact_prefix="build/fuzz/crashes/$name/")
    for dictionary in "tests/fuzz/$name.dict" build/gen/fuzz.dict; do
        if [ -f "$dictionary" ]; then
            options+=(-dict="$dictionary")
            break
        fi
    done
    echo "fuzz: $fuzzer for $seconds s"
    log=build/fuzz/$fuzzer.log
    ran=$((ran + 1))
    if timeout -k 10 $((seconds + 60)) "$program" "${options[@]}" "$work" "${corpus[@]}" >"$log" 2>&1; then
        grep -E "number_of_executed_units|peak_rss_mb" "$log"
    else
        tail -n 60 "$log"
        crashed+=("$fuzzer")
    fi
done

if [ ${#crashed[@]} -gt 0 ]; then
    echo "fuzz: failed: ${crashed[*]} (inputs in build/fuzz/crashes/)"
    exit 1
fi
if [ "$ran" -eq 0 ]; then
    echo "fuzz: there is no fuzzer"
    exit 1
fi
echo "fuzz: $ran fuzzers ran, none crashed"
