# Unit tests and benchmarks that live beside the code they check. All of these do nothing in builds without
# QWEN_INFER_BUILD_TESTS, so folders call them without a condition.

# Targets to build for "everything that has a unit test", so that llama.cpp's own tests are left out.
if(QWEN_INFER_BUILD_TESTS)
  add_custom_target(unit-tests)
  add_custom_target(benchmarks)
endif()

# qwen_infer_add_unit_test(NAME select_test SOURCES select_test.cc ... LIBRARIES topk ... [ENVIRONMENT NAME=VALUE ...])
# One GoogleTest program (main comes from gtest_main), registered with CTest under its name and the label "unit".
function(qwen_infer_add_unit_test)
  if(NOT QWEN_INFER_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;LIBRARIES;ENVIRONMENT")
  add_executable(${arg_NAME} ${arg_SOURCES})
  target_link_libraries(${arg_NAME} PRIVATE qwen_infer_options ${arg_LIBRARIES} GTest::gtest_main)
  set_target_properties(${arg_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_test(NAME ${arg_NAME} COMMAND ${arg_NAME})
  set_tests_properties(${arg_NAME} PROPERTIES LABELS unit TIMEOUT 900 ENVIRONMENT "${arg_ENVIRONMENT}")
  add_dependencies(unit-tests ${arg_NAME})
endfunction()

# qwen_infer_add_benchmark(NAME select_bench SOURCES select_bench.cc ... LIBRARIES topk ...)
# One Google Benchmark program, if that library is there.
function(qwen_infer_add_benchmark)
  if(NOT QWEN_INFER_BUILD_TESTS OR NOT benchmark_FOUND)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;LIBRARIES")
  add_executable(${arg_NAME} ${arg_SOURCES})
  target_link_libraries(${arg_NAME} PRIVATE qwen_infer_options ${arg_LIBRARIES} benchmark::benchmark_main)
  set_target_properties(${arg_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bench")
  add_dependencies(benchmarks ${arg_NAME})
endfunction()
