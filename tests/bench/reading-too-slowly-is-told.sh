# SPDX-License-Identifier: Apache-2.0
# scripts/bench reading ends with 0 where every goal is met, with 1 where one is missed, and with 2 and a sentence where nothing could
# be measured. The row is the one that needs no large file: exec to the first byte of a model of 300 tensors, at most 10 ms.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires fuse

cc -std=gnu11 -D_GNU_SOURCE -O2 -o reader "$WEIGHTFS_SOURCE/tests/bench/reading.c"
export BENCH_READER=$PWD/reader BENCH_DATA=$PWD

# measure PROGRAM: its exit code, its output in `table` and `told`
measure() {
    local code=0
    python3 "$WEIGHTFS_SOURCE/tests/bench/reading.py" --only startup --rounds 3 --program "$1" >table 2>told || code=$?
    ! grep -q Traceback told || { cat told; fail "a traceback"; }
    echo "$code"
}

# a program in place of weightfs: LINES of shell before the real one
instead() { # NAME LINES
    printf '#!/bin/sh\n%s\nexec "%s" "$@"\n' "$2" "$WEIGHTFS" >"$1"
    chmod +x "$1"
}

instead slow 'sleep 0.1'
assert_eq "$(measure "$PWD/slow")" 1
grep -q '^MISSED exec to first byte, 300 tensors: .* of weightfs, at most 10 ms' table || fail "$(cat table)"

instead broken 'echo "no such thing" >&2; exit 4'
assert_eq "$(measure "$PWD/broken")" 2
grep -q '^scripts/bench reading: cannot measure: ' told || fail "$(cat told)"

# the real one: met or missed as the machine allows, and told accordingly
code=$(measure "$WEIGHTFS")
assert_eq "$code" "$(grep -q 'at most 10 ms: met' table && echo 0 || echo 1)"
assert_eq "$(find . -name 'data.*')" ""
