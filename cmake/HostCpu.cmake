# qwen_infer_host_cpu_features(OUT): the GGML_* instruction-set switches that this machine's processor supports.
#
# GGML_NATIVE (-march=native) cannot be combined with loadable backends, because ggml checks a backend's features when
# it loads it. So the switches are read from /proc/cpuinfo and set one by one. Empty where that file does not help
# (not x86, not Linux): GGML's defaults for the architecture are valid with loadable backends too.
function(qwen_infer_host_cpu_features out)
  set(${out} "" PARENT_SCOPE)
  if(CMAKE_CROSSCOMPILING OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$"
     OR NOT EXISTS /proc/cpuinfo)
    return()
  endif()
  # file(STRINGS) cannot read files of unknown size on every kernel; cat can.
  execute_process(COMMAND grep -m 1 "^flags" /proc/cpuinfo OUTPUT_VARIABLE line OUTPUT_STRIP_TRAILING_WHITESPACE)
  string(REGEX REPLACE "^flags[ \t]*:[ \t]*" "" line "${line}")
  string(REPLACE " " ";" flags "${line}")

  # Switch = the flags it needs; ggml compiles with all of them once the switch is on.
  set(requirements
    "SSE42=sse4_2" "AVX=avx" "F16C=f16c" "FMA=fma" "AVX2=avx2" "BMI2=bmi2" "AVX_VNNI=avx_vnni"
    "AVX512=avx512f,avx512cd,avx512vl,avx512dq,avx512bw" "AVX512_VBMI=avx512vbmi" "AVX512_VNNI=avx512_vnni"
    "AVX512_BF16=avx512_bf16" "AMX_TILE=amx_tile" "AMX_INT8=amx_int8")
  set(features "")
  foreach(requirement IN LISTS requirements)
    string(REGEX MATCH "^([^=]+)=(.+)$" _ "${requirement}")
    set(feature "${CMAKE_MATCH_1}")
    string(REPLACE "," ";" needed "${CMAKE_MATCH_2}")
    set(has_all TRUE)
    foreach(flag IN LISTS needed)
      if(NOT flag IN_LIST flags)
        set(has_all FALSE)
      endif()
    endforeach()
    # The AVX-512 extensions are of no use to ggml without its base set.
    if(feature MATCHES "^AVX512_" AND NOT "AVX512" IN_LIST features)
      set(has_all FALSE)
    endif()
    if(has_all)
      list(APPEND features ${feature})
    endif()
  endforeach()
  set(${out} "${features}" PARENT_SCOPE)
endfunction()
