# SPDX-License-Identifier: Apache-2.0
# The short form of scripts/bench, with this build: 10,000 tensors, the median of a few rounds. A ratio within a round holds on a
# busy machine, too.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires python:safetensors python:numpy

grep -q '^WEIGHTFS_SANITIZE:STRING=$' "$WEIGHTFS_BUILD/CMakeCache.txt" || skip "a build with sanitizers is slow on purpose"
grep -q '^WEIGHTFS_COVERAGE:BOOL=OFF$' "$WEIGHTFS_BUILD/CMakeCache.txt" || skip "a build with coverage is slow on purpose"

export BENCH_DATA=$TEST_TMP
"$WEIGHTFS_SOURCE/scripts/bench" format --quick --program "$WEIGHTFS_BUILD/tests/bench/weightfs" >table || { cat table; fail "too slow"; }
cat table
grep -q '10,000 tensors.*weightfs' table
grep -q 'at most 0.5: met' table
