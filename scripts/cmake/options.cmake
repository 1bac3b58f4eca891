# SPDX-License-Identifier: Apache-2.0
# weightfs_options: the language, the warnings, the include directories and the instrumentation of every target.

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

add_library(weightfs_options INTERFACE)
target_compile_features(weightfs_options INTERFACE c_std_11)
target_compile_definitions(weightfs_options INTERFACE
    _GNU_SOURCE _FILE_OFFSET_BITS=64
    WFS_VERSION="${PROJECT_VERSION}"
    $<$<BOOL:${WEIGHTFS_MOUNT}>:WFS_MOUNT>
    $<$<BOOL:${WEIGHTFS_FAULTS}>:WFS_FAULTS>)
target_include_directories(weightfs_options INTERFACE
    ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_compile_options(weightfs_options INTERFACE
    -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wvla -Wundef
    -Wwrite-strings -Wpointer-arith
    $<$<BOOL:${WEIGHTFS_WERROR}>:-Werror>)
target_link_libraries(weightfs_options INTERFACE Threads::Threads)

if(WEIGHTFS_SANITIZE)
    list(JOIN WEIGHTFS_SANITIZE "," sanitizers)
    target_compile_options(weightfs_options INTERFACE
        -fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(weightfs_options INTERFACE -fsanitize=${sanitizers})
elseif(WEIGHTFS_COVERAGE)
    target_compile_options(weightfs_options INTERFACE --coverage -fprofile-update=atomic)
    target_link_options(weightfs_options INTERFACE --coverage)
elseif(CMAKE_BUILD_TYPE MATCHES "^Rel|MinSizeRel")
    target_compile_options(weightfs_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong)
    target_link_options(weightfs_options INTERFACE -Wl,-z,relro,-z,now)
endif()

# What the mount layer sees besides: the only place that knows libfuse.
add_library(weightfs_fuse INTERFACE)
if(WEIGHTFS_MOUNT)
    target_compile_definitions(weightfs_fuse INTERFACE FUSE_USE_VERSION=314)
    target_link_libraries(weightfs_fuse INTERFACE PkgConfig::FUSE3)
endif()
