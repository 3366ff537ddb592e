# The libraries that our own code needs besides llama.cpp: hwy::hwy, OpenMP::OpenMP_CXX, for the layer Eigen3::Eigen and
# nlohmann_json, for the program libedit::libedit if it is there, and for tests GTest and Google Benchmark.

if(CMAKE_CROSSCOMPILING AND QWEN_INFER_HIGHWAY_INCLUDE)
  # Only the headers, which are the same for every architecture: enough to compile the kernel library, not to link.
  add_library(hwy::hwy INTERFACE IMPORTED)
  target_include_directories(hwy::hwy SYSTEM INTERFACE "${QWEN_INFER_HIGHWAY_INCLUDE}")
  target_compile_definitions(hwy::hwy INTERFACE HWY_SHARED_DEFINE)
else()
  include(Highway)
  if(NOT TARGET hwy::hwy)
    message(FATAL_ERROR "Google Highway was not found. On Debian: apt-get install libhwy-dev")
  endif()
endif()

find_package(OpenMP COMPONENTS CXX)

if(QWEN_INFER_BUILD_LAYER)
  find_package(Eigen3 3.4 NO_MODULE QUIET)
  if(NOT TARGET Eigen3::Eigen)
    message(FATAL_ERROR "QWEN_INFER_BUILD_LAYER=ON needs Eigen 3.4. On Debian: apt-get install libeigen3-dev")
  endif()
  # llama.cpp brings a copy of its own, vendor::nlohmann; a program has one and not two.
  if(NOT QWEN_INFER_BUILD_LLAMA)
    find_package(nlohmann_json QUIET)
    if(NOT TARGET nlohmann_json::nlohmann_json)
      message(FATAL_ERROR "QWEN_INFER_BUILD_LAYER=ON needs nlohmann-json. On Debian: apt-get install nlohmann-json3-dev")
    endif()
  endif()
endif()

# Line editing in `qwen-infer chat`; without it, lines are edited as the terminal itself does.
if(QWEN_INFER_BUILD_LLAMA)
  find_path(LIBEDIT_INCLUDE_DIR histedit.h)
  find_library(LIBEDIT_LIBRARY edit)
  if(LIBEDIT_INCLUDE_DIR AND LIBEDIT_LIBRARY)
    add_library(libedit::libedit UNKNOWN IMPORTED)
    set_target_properties(libedit::libedit PROPERTIES IMPORTED_LOCATION "${LIBEDIT_LIBRARY}"
                                                      INTERFACE_INCLUDE_DIRECTORIES "${LIBEDIT_INCLUDE_DIR}")
  else()
    message(STATUS "libedit was not found: no line editing in qwen-infer chat. On Debian: apt-get install libedit-dev")
  endif()
endif()

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
