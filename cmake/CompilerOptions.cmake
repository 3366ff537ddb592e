# A compiler cache is used where there is one; everything else in this file is about our own targets only.
find_program(QWEN_INFER_CCACHE ccache)
if(QWEN_INFER_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER "${QWEN_INFER_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${QWEN_INFER_CCACHE}")
endif()

# qwen_infer_options: what every target of ours is compiled with. Link it PRIVATE; llama.cpp keeps its own flags.
add_library(qwen_infer_options INTERFACE)
target_compile_features(qwen_infer_options INTERFACE cxx_std_20)
target_compile_options(qwen_infer_options INTERFACE -Wall -Wextra -Wpedantic)
if(QWEN_INFER_WERROR)
  target_compile_options(qwen_infer_options INTERFACE -Werror)
endif()

set(_allowed_sanitizers address undefined thread)
foreach(_sanitizer IN LISTS QWEN_INFER_SANITIZE)
  if(NOT _sanitizer IN_LIST _allowed_sanitizers)
    message(FATAL_ERROR "QWEN_INFER_SANITIZE=${QWEN_INFER_SANITIZE}: unknown sanitizer '${_sanitizer}'; "
                        "use a list of address, undefined, thread")
  endif()
endforeach()
if("address" IN_LIST QWEN_INFER_SANITIZE AND "thread" IN_LIST QWEN_INFER_SANITIZE)
  message(FATAL_ERROR "QWEN_INFER_SANITIZE=${QWEN_INFER_SANITIZE}: address and thread exclude each other")
endif()
if(QWEN_INFER_SANITIZE)
  list(JOIN QWEN_INFER_SANITIZE "," _sanitizers)
  target_compile_options(qwen_infer_options INTERFACE -fsanitize=${_sanitizers} -fno-sanitize-recover=all
                                                      -fno-omit-frame-pointer)
  target_link_options(qwen_infer_options INTERFACE -fsanitize=${_sanitizers})
endif()

# GCC 12 sees overlaps in "literal" + std::string that are not there (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(qwen_infer_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
