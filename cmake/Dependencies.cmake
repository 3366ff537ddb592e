# The libraries that our own code needs besides llama.cpp: hwy::hwy, OpenMP::OpenMP_CXX, and for tests GTest and
# Google Benchmark.

# Highway: Debian's libhwy-dev brings a CMake package (shared library only); elsewhere pkg-config may know it.
if(CMAKE_CROSSCOMPILING AND QWEN_INFER_HIGHWAY_INCLUDE)
  # Only the headers, which are the same for every architecture: enough to compile the kernel library, not to link.
  add_library(hwy::hwy INTERFACE IMPORTED)
  target_include_directories(hwy::hwy SYSTEM INTERFACE "${QWEN_INFER_HIGHWAY_INCLUDE}")
  target_compile_definitions(hwy::hwy INTERFACE HWY_SHARED_DEFINE)
else()
  find_package(hwy CONFIG QUIET)
  if(NOT TARGET hwy::hwy)
    find_package(PkgConfig QUIET)
    if(PkgConfig_FOUND)
      pkg_check_modules(libhwy QUIET IMPORTED_TARGET libhwy)
    endif()
    if(NOT TARGET PkgConfig::libhwy)
      message(FATAL_ERROR "Google Highway was not found. On Debian: apt-get install libhwy-dev")
    endif()
    add_library(hwy::hwy ALIAS PkgConfig::libhwy)
  endif()
endif()

find_package(OpenMP COMPONENTS CXX)

if(QWEN_INFER_BUILD_TESTS)
  find_package(GTest)
  if(NOT GTest_FOUND)
    message(FATAL_ERROR "QWEN_INFER_BUILD_TESTS=ON needs GoogleTest. On Debian: apt-get install libgtest-dev")
  endif()
  find_package(benchmark QUIET)
  if(NOT benchmark_FOUND)
    message(STATUS "Google Benchmark was not found: no *_bench programs. On Debian: apt-get install libbenchmark-dev")
  endif()
endif()
