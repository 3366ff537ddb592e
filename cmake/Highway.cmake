# hwy::hwy, Google Highway. Debian's libhwy-dev brings a CMake package (shared library only); elsewhere pkg-config may
# know it. Used by this build and, installed beside the package topk, by the builds that link to it.
find_package(hwy CONFIG QUIET)
if(NOT TARGET hwy::hwy)
  find_package(PkgConfig QUIET)
  if(PkgConfig_FOUND)
    pkg_check_modules(libhwy QUIET IMPORTED_TARGET libhwy)
  endif()
  if(TARGET PkgConfig::libhwy)
    add_library(hwy::hwy ALIAS PkgConfig::libhwy)
  endif()
endif()
