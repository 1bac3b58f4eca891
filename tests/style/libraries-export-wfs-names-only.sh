# SPDX-License-Identifier: Apache-2.0
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires nm

shared=$WEIGHTFS_BUILD/libweightfs.so
static=$WEIGHTFS_BUILD/libweightfs.a
[ -e "$shared" ] || fail "$shared is not built"

exported() { nm --defined-only --extern-only --format=posix "$@" | awk 'NF > 1 && $2 != "A" {print $1}' | sed 's/@.*//' | sort -u; }
exported -D "$shared" >shared
exported "$static" >static

# Sanitizers and gcov add names of their own to an archive.
foreign=$(cat shared static | grep -Ev '^wfs_|^(__asan|__odr_asan|__ubsan|__tsan|__gcov|asan\.)' || true)
[ -z "$foreign" ] || fail "exported besides wfs_*: $foreign"

# Everything that the installed headers declare is there.
grep -hoE 'WFS_API[^;(]*\b(wfs_[a-z0-9_]+)\(' "$WEIGHTFS_SOURCE"/include/weightfs/*.h | grep -oE 'wfs_[a-z0-9_]+\($' | tr -d '(' | sort -u >declared
missing=$(comm -23 declared shared)
[ -z "$missing" ] || fail "declared in include/weightfs, not exported: $missing"
