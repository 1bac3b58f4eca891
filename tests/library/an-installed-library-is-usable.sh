# SPDX-License-Identifier: Apache-2.0
# cmake --install, then a foreign program: by pkg-config (shared and static), by find_package, each header alone, in C and C++.
. "$WEIGHTFS_SOURCE/tests/lib/common.sh"
requires cmake cc pkg-config

grep -q '^WEIGHTFS_SANITIZE:STRING=$' "$WEIGHTFS_BUILD/CMakeCache.txt" || skip "a build with sanitizers is not for installing"
grep -q '^WEIGHTFS_COVERAGE:BOOL=OFF$' "$WEIGHTFS_BUILD/CMakeCache.txt" || skip "a build with coverage is not for installing"

cmake --install "$WEIGHTFS_BUILD" --prefix "$PWD/prefix" >log || { cat log; fail "cmake --install"; }
weightfs_installed=$PWD/prefix/bin/weightfs
"$weightfs_installed" version
[ -e prefix/include/weightfs/rules.def ] || fail "rules.def is not installed"

for header in prefix/include/weightfs/*.h; do
    echo "#include <weightfs/${header##*/}>" >alone.c
    cc -std=c11 -Wall -Wextra -Wpedantic -Werror -Iprefix/include -fsyntax-only alone.c
    if command -v c++ >/dev/null; then
        c++ -x c++ -std=c++17 -Wall -Wextra -Werror -Iprefix/include -fsyntax-only alone.c
    fi
done

cat >program.c <<'END'
#include <stdio.h>
#include <string.h>
#include <weightfs/header.h>

int main(void)
{
    static const char file[] = "\x40\0\0\0\0\0\0\0{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}          12345678";
    struct wfs_header *header = NULL;
    struct wfs_error err;
    if (wfs_header_parse(file, 72, 80, &header, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    struct wfs_tensor tensor = wfs_header_tensor(header, 0);
    printf("%zu %s %s %s\n", wfs_header_count(header), tensor.name, wfs_dtype_name(tensor.dtype), wfs_code_name(WFS_CODE_INVALID_OFFSET));
    wfs_header_free(header);
    return 0;
}
END
expected="1 x F32 InvalidOffset"
PKG_CONFIG_PATH=$(dirname "$(find "$PWD/prefix" -name weightfs.pc)")
export PKG_CONFIG_PATH
libdir=$(pkg-config --variable=libdir weightfs)

# shellcheck disable=SC2046 # the flags are words
cc -o shared program.c $(pkg-config --cflags --libs weightfs)
assert_eq "$(LD_LIBRARY_PATH=$libdir ./shared)" "$expected"
assert_contains "$(readelf -d shared)" 'NEEDED.*libweightfs\.so\.0\]'
# shellcheck disable=SC2046
cc -o static program.c $(pkg-config --cflags weightfs) "$libdir/libweightfs.a" $(pkg-config --static --libs-only-l weightfs | sed 's/-lweightfs//')
assert_eq "$(./static)" "$expected"
assert_eq "$(pkg-config --modversion weightfs)" "$("$weightfs_installed" version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1)"

cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(foreign C)
find_package(weightfs 0.1 REQUIRED)
add_executable(by_shared program.c)
target_link_libraries(by_shared weightfs::weightfs)
add_executable(by_static program.c)
target_link_libraries(by_static weightfs::static)
END
{ cmake -S . -B build -DCMAKE_PREFIX_PATH="$PWD/prefix" && cmake --build build; } >log 2>&1 || { cat log; fail "find_package"; }
assert_eq "$(build/by_shared)" "$expected"
assert_eq "$(build/by_static)" "$expected"
