# What `cmake --install` puts into a prefix, which may be moved afterwards:
#
#   component program   bin/qwen-infer, a link into lib/qwen-infer; lib/qwen-infer: the program with llama.cpp's
#                       libraries and CPU modules, which are looked for beside it, and the plugin
#   component devel     headers, static libraries, the CMake package topk and pkg-config files
#
# ("python", the content of a wheel, is python/native's.) Debian's libhwy, OpenMP's runtime and libedit stay the system's.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

foreach(_folder IN ITEMS BINDIR DOCDIR INCLUDEDIR LIBDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${_folder}}")
    message(FATAL_ERROR "CMAKE_INSTALL_${_folder}=${CMAKE_INSTALL_${_folder}}: give a folder within the prefix, such as "
                        "lib; the parts of an installation find each other by their place in it")
  endif()
endforeach()

set(_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/topk")
set(_pkgconfig_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

# qwen_infer_install_pkg_config(NAME): NAME.pc, whose prefix is where the file is.
function(qwen_infer_install_pkg_config name)
  file(RELATIVE_PATH prefix_from_file "${CMAKE_INSTALL_PREFIX}/${_pkgconfig_dir}" "${CMAKE_INSTALL_PREFIX}")
  configure_file("${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in" "${PROJECT_BINARY_DIR}/${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${name}.pc" DESTINATION "${_pkgconfig_dir}" COMPONENT devel)
endfunction()

# The kernel library.
install(TARGETS topk EXPORT topk-targets ARCHIVE COMPONENT devel INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT topk-targets NAMESPACE topk:: DESTINATION "${_package_dir}" COMPONENT devel)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/topk" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT devel
        FILES_MATCHING PATTERN "*.h" PATTERN layer.h EXCLUDE PATTERN safetensors.h EXCLUDE)
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/topk-config.cmake.in" "${PROJECT_BINARY_DIR}/topk-config.cmake"
                              INSTALL_DESTINATION "${_package_dir}" NO_SET_AND_CHECK_MACRO)
# Before 1.0, minor versions may break programs.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/topk-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/topk-config.cmake" "${PROJECT_BINARY_DIR}/topk-config-version.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/Highway.cmake"
        DESTINATION "${_package_dir}" COMPONENT devel)
qwen_infer_install_pkg_config(topk)

# What the libraries below write files with; not for others.
if(TARGET qwen-infer-files)
  set_target_properties(qwen-infer-files PROPERTIES EXPORT_NAME files)
  install(TARGETS qwen-infer-files EXPORT topk-targets ARCHIVE COMPONENT devel)
endif()

# The layer, the package's component "layer".
if(QWEN_INFER_BUILD_LAYER)
  set_target_properties(topk-layer PROPERTIES EXPORT_NAME layer)
  install(TARGETS topk-layer EXPORT topk-layer-targets ARCHIVE COMPONENT devel)
  install(EXPORT topk-layer-targets NAMESPACE topk:: DESTINATION "${_package_dir}" COMPONENT devel)
  install(FILES "${PROJECT_SOURCE_DIR}/include/topk/layer.h" "${PROJECT_SOURCE_DIR}/include/topk/safetensors.h"
          DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/topk" COMPONENT devel)
  qwen_infer_install_pkg_config(topk-layer)
endif()

install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT devel)

# Program and plugin. Not in bin and lib themselves, where the system or the user may have another llama.cpp. The program
# is a link because llama.cpp looks for its CPU modules where the file of the running program really is.
if(QWEN_INFER_BUILD_LLAMA)
  set(_program_dir "${CMAKE_INSTALL_LIBDIR}/qwen-infer")
  set_target_properties(ggml-topk PROPERTIES INSTALL_RPATH "$ORIGIN")
  install(TARGETS qwen-infer ggml-topk ${QWEN_INFER_LLAMA_CPU_MODULES} ${QWEN_INFER_LLAMA_TOOLS}
          RUNTIME DESTINATION "${_program_dir}" COMPONENT program
          LIBRARY DESTINATION "${_program_dir}" COMPONENT program NAMELINK_SKIP)
  file(RELATIVE_PATH _program "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}/qwen-infer/qwen-infer")
  file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/installed-link")
  file(CREATE_LINK "${_program}" "${PROJECT_BINARY_DIR}/installed-link/qwen-infer" SYMBOLIC)
  install(FILES "${PROJECT_BINARY_DIR}/installed-link/qwen-infer" DESTINATION "${CMAKE_INSTALL_BINDIR}"
          COMPONENT program)
  install(FILES "${QWEN_INFER_LLAMA_CPP}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT program
          RENAME LICENSE.llama.cpp)

  # The engine, the package's component "engine": static, with the libraries of the program.
  set_target_properties(qwen-infer-engine PROPERTIES EXPORT_NAME engine)
  install(TARGETS qwen-infer-engine ggml-topk-static ggml-topk-objects ${QWEN_INFER_LLAMA_LIBRARIES}
          EXPORT topk-engine-targets
          ARCHIVE COMPONENT devel
          LIBRARY DESTINATION "${_program_dir}" COMPONENT program NAMELINK_SKIP)
  install(EXPORT topk-engine-targets NAMESPACE topk:: DESTINATION "${_package_dir}" COMPONENT devel)
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/qwen_infer" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT devel)
endif()
