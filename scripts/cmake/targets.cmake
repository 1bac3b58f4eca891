# SPDX-License-Identifier: Apache-2.0
# From the layers' objects: libweightfs (shared and static), the program, and one archive a layer for the unit tests.

set(library_objects)
set(program_objects)
foreach(layer IN LISTS WEIGHTFS_LAYERS)
    list(APPEND program_objects $<TARGET_OBJECTS:weightfs_${layer}>)
    if(layer IN_LIST WEIGHTFS_LIBRARY_LAYERS)
        list(APPEND library_objects $<TARGET_OBJECTS:weightfs_${layer}>)
    endif()
endforeach()

# --- libweightfs.so: hidden by default, and the version script lets out wfs_* only

set(version_script ${PROJECT_SOURCE_DIR}/scripts/cmake/weightfs.map)
add_library(weightfs_shared SHARED ${library_objects})
target_link_libraries(weightfs_shared PRIVATE $<BUILD_INTERFACE:weightfs_options> ZLIB::ZLIB PkgConfig::JSONC)
target_link_options(weightfs_shared PRIVATE -Wl,--version-script=${version_script} $<$<NOT:$<BOOL:${WEIGHTFS_SANITIZE}>>:-Wl,--no-undefined>)
set_target_properties(weightfs_shared PROPERTIES
    OUTPUT_NAME weightfs EXPORT_NAME weightfs LINKER_LANGUAGE C
    VERSION ${PROJECT_VERSION} SOVERSION 0 LINK_DEPENDS ${version_script})
target_include_directories(weightfs_shared INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
add_library(weightfs::weightfs ALIAS weightfs_shared)

# --- libweightfs.a: one object whose hidden symbols are local, so that `file_open` of ours and of a user never meet

set(combined ${PROJECT_BINARY_DIR}/weightfs-combined.o)
add_custom_command(
    OUTPUT ${combined}
    COMMAND ${CMAKE_LINKER} -r -o ${combined} ${library_objects}
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${combined}
    DEPENDS ${library_objects}
    COMMAND_EXPAND_LISTS VERBATIM)
add_library(weightfs_static STATIC ${combined})
set_source_files_properties(${combined} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
target_link_libraries(weightfs_static PRIVATE $<BUILD_INTERFACE:weightfs_options> $<LINK_ONLY:ZLIB::ZLIB>
                      $<LINK_ONLY:json-c> $<LINK_ONLY:Threads::Threads>)
set_target_properties(weightfs_static PROPERTIES OUTPUT_NAME weightfs EXPORT_NAME static LINKER_LANGUAGE C)
target_include_directories(weightfs_static INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
add_library(weightfs::static ALIAS weightfs_static)

# --- one archive a layer, each linking those below it: what the unit tests link

set(below)
foreach(layer IN LISTS WEIGHTFS_LAYERS)
    add_library(weightfs_${layer}_archive STATIC EXCLUDE_FROM_ALL $<TARGET_OBJECTS:weightfs_${layer}>)
    set_target_properties(weightfs_${layer}_archive PROPERTIES LINKER_LANGUAGE C)
    target_link_libraries(weightfs_${layer}_archive PUBLIC ${below} weightfs_options ZLIB::ZLIB PkgConfig::JSONC)
    if(layer STREQUAL mount)
        target_link_libraries(weightfs_mount_archive PUBLIC weightfs_fuse)
    endif()
    list(PREPEND below weightfs_${layer}_archive)
endforeach()

# --- the program

add_executable(weightfs ${program_objects})
target_link_libraries(weightfs PRIVATE weightfs_options weightfs_fuse ZLIB::ZLIB PkgConfig::JSONC)
set_target_properties(weightfs PROPERTIES LINKER_LANGUAGE C)
if(CMAKE_BUILD_TYPE MATCHES "^Rel|MinSizeRel")
    target_link_options(weightfs PRIVATE -pie)
endif()
