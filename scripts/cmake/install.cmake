# SPDX-License-Identifier: Apache-2.0
# cmake --install: headers, both libraries, pkg-config and CMake packages, the program, man pages.
# `mount -t fuse.weightfs` needs no helper of ours: mount.fuse calls `weightfs SRC DIR -o OPTIONS`.

include(CMakePackageConfigHelpers)

install(DIRECTORY include/weightfs DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h" PATTERN "*.def")
install(TARGETS weightfs_shared weightfs_static EXPORT weightfs
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

file(RELATIVE_PATH pc_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(scripts/cmake/weightfs.pc.in weightfs.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/weightfs.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/weightfs)
configure_package_config_file(scripts/cmake/weightfsConfig.cmake.in weightfsConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(weightfsConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/weightfsConfig.cmake ${PROJECT_BINARY_DIR}/weightfsConfigVersion.cmake
        DESTINATION ${package_dir})
install(EXPORT weightfs NAMESPACE weightfs:: FILE weightfsTargets.cmake DESTINATION ${package_dir})

install(TARGETS weightfs RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

file(GLOB man1 CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/man/*.1)
file(GLOB man3 CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/man/*.3)
install(FILES ${man1} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${man3} DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)
