# Adds llama.cpp, unmodified and with its own compile flags: libraries, tools, and loadable CPU modules in build/bin.
# Only what our targets (or a target named on the command line, such as llama-bench) need is built.
include(HostCpu)

if(NOT EXISTS "${QWEN_INFER_LLAMA_CPP}/ggml/include/ggml.h")
  message(FATAL_ERROR "QWEN_INFER_LLAMA_CPP='${QWEN_INFER_LLAMA_CPP}' is not a llama.cpp source tree. "
                      "Run scripts/setup.sh, which fetches one and configures, "
                      "or pass -DQWEN_INFER_LLAMA_CPP=DIR with a checkout of yours.")
endif()
# llama.cpp watches files beside its sources; a path through a symbolic link would make it configure again each time.
file(REAL_PATH "${QWEN_INFER_LLAMA_CPP}" _llama_cpp_dir)

# Normal variables take precedence over llama.cpp's option() defaults and leave no trace in the cache.
set(BUILD_SHARED_LIBS ON)
set(GGML_BACKEND_DL ON)
set(GGML_NATIVE OFF)
set(LLAMA_BUILD_COMMON ON)
set(LLAMA_BUILD_TOOLS ON)
set(LLAMA_BUILD_SERVER ON)
set(LLAMA_BUILD_TESTS OFF)  # tests/CMakeLists.txt builds the one that we run
set(LLAMA_BUILD_EXAMPLES OFF)
set(LLAMA_BUILD_APP OFF)
set(LLAMA_BUILD_UI OFF)
set(LLAMA_USE_PREBUILT_UI OFF)  # would download
set(LLAMA_OPENSSL OFF)
set(LLAMA_TOOLS_INSTALL OFF)
set(LLAMA_TESTS_INSTALL OFF)

if(QWEN_INFER_CPU STREQUAL "all")
  set(GGML_CPU_ALL_VARIANTS ON)
elseif(QWEN_INFER_CPU MATCHES "^(native|avx2)$")
  set(GGML_CPU_ALL_VARIANTS OFF)
  qwen_infer_host_cpu_features(_host_features)
  if(QWEN_INFER_CPU STREQUAL "avx2")
    list(FILTER _host_features EXCLUDE REGEX "^(AVX512|AVX_VNNI|AMX)")
  endif()
  foreach(_feature IN ITEMS SSE42 AVX F16C FMA AVX2 BMI2 AVX_VNNI AVX512 AVX512_VBMI AVX512_VNNI AVX512_BF16
                            AMX_TILE AMX_INT8 AMX_BF16)
    if(_feature IN_LIST _host_features)
      set(GGML_${_feature} ON)
    else()
      set(GGML_${_feature} OFF)
    endif()
  endforeach()
  message(STATUS "CPU features for ggml: ${_host_features}")
else()
  message(FATAL_ERROR "QWEN_INFER_CPU=${QWEN_INFER_CPU}: use native, avx2 or all")
endif()

foreach(_sanitizer IN LISTS QWEN_INFER_SANITIZE)
  string(TOUPPER "${_sanitizer}" _upper)
  set(GGML_SANITIZE_${_upper} ON)
  set(LLAMA_SANITIZE_${_upper} ON)
endforeach()

# Its messages name source files; without the folder, what is installed says nothing of the machine that built it.
# (Flags in variables, for add_compile_options would hold for the folders that come after this one, too.)
set(_c_flags "${CMAKE_C_FLAGS}")
set(_cxx_flags "${CMAKE_CXX_FLAGS}")
if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  string(APPEND CMAKE_C_FLAGS " \"-fmacro-prefix-map=${_llama_cpp_dir}/=\"")
  string(APPEND CMAKE_CXX_FLAGS " \"-fmacro-prefix-map=${_llama_cpp_dir}/=\"")
endif()
add_subdirectory("${_llama_cpp_dir}" "${CMAKE_BINARY_DIR}/llama.cpp" EXCLUDE_FROM_ALL SYSTEM)
set(CMAKE_C_FLAGS "${_c_flags}")
set(CMAKE_CXX_FLAGS "${_cxx_flags}")

# GCC 12's _tile_loadconfig tells the compiler that it reads 8 of the 64 bytes that it reads. The stores of the others are
# then dead and go, and the first product on AMX is an illegal instruction.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set_source_files_properties("${_llama_cpp_dir}/ggml/src/ggml-cpu/amx/mmq.cpp" TARGET_DIRECTORY ggml-base
                              PROPERTIES COMPILE_OPTIONS -fno-dse)
endif()

# Two thirds of the build are argument parsing, chat templates and HTTP. They compute nothing, and -O1, which takes
# precedence over -O3 as it comes later, compiles them in two thirds of the time.
if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
  foreach(_target IN ITEMS llama-common mtmd server-context llama-server-impl cpp-httplib)
    if(TARGET ${_target})
      target_compile_options(${_target} PRIVATE $<$<CONFIG:Release>:-O1>)
    endif()
  endforeach()
endif()

# What is installed of it: libraries that programs link to, modules that ggml loads by their file names (one, or one for
# each processor generation), and the tools that qwen-infer runs. Each finds the others beside it.
set(QWEN_INFER_LLAMA_LIBRARIES llama llama-common ggml ggml-base)
get_target_property(_ggml_dir ggml-base SOURCE_DIR)
get_property(QWEN_INFER_LLAMA_CPU_MODULES DIRECTORY "${_ggml_dir}" PROPERTY BUILDSYSTEM_TARGETS)
list(FILTER QWEN_INFER_LLAMA_CPU_MODULES INCLUDE REGEX "^ggml-cpu")
list(FILTER QWEN_INFER_LLAMA_CPU_MODULES EXCLUDE REGEX "-feats$")  # an object library in each
set(QWEN_INFER_LLAMA_TOOLS llama-bench-impl llama-completion-impl llama-perplexity-impl llama-quantize-impl
                           llama-server-impl mtmd)
set_target_properties(${QWEN_INFER_LLAMA_LIBRARIES} ${QWEN_INFER_LLAMA_CPU_MODULES} ${QWEN_INFER_LLAMA_TOOLS} PROPERTIES
                      INSTALL_RPATH "$ORIGIN" PUBLIC_HEADER "" PRIVATE_HEADER "")
# Its headers are not installed, nor what they need.
foreach(_library IN LISTS QWEN_INFER_LLAMA_LIBRARIES)
  foreach(_property IN ITEMS INTERFACE_INCLUDE_DIRECTORIES INTERFACE_LINK_LIBRARIES)
    get_target_property(_value ${_library} ${_property})
    if(_value)
      set_target_properties(${_library} PROPERTIES ${_property} "$<BUILD_INTERFACE:${_value}>")
    endif()
  endforeach()
endforeach()
