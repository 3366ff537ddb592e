# Web pages that programs carry in themselves. A page of several files, put into one at build time: "@STYLE@" and
# "@SCRIPT@" in it stand for its style sheets and scripts.
#
# qwen_infer_embed_page(OUTPUT page_data.cc HEADER serve_page.h NAMESPACE qwen_infer
#                       PAGE page.html STYLES page.css ... SCRIPTS plot.js ...)
# makes a source file that defines NAMESPACE::kPageBytes, which HEADER declares.
function(qwen_infer_embed_page)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "OUTPUT;HEADER;NAMESPACE;PAGE" "STYLES;SCRIPTS")
  foreach(parts IN ITEMS PAGE STYLES SCRIPTS)
    set(${parts} "")
    foreach(part IN LISTS arg_${parts})
      cmake_path(ABSOLUTE_PATH part BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
      list(APPEND ${parts} "${part}")
    endforeach()
  endforeach()
  set(this "${CMAKE_CURRENT_FUNCTION_LIST_FILE}")
  add_custom_command(
    OUTPUT "${arg_OUTPUT}"
    COMMAND "${CMAKE_COMMAND}" "-DOUTPUT=${arg_OUTPUT}" "-DHEADER=${arg_HEADER}" "-DNAMESPACE=${arg_NAMESPACE}"
            "-DPAGE=${PAGE}" "-DSTYLES=${STYLES}" "-DSCRIPTS=${SCRIPTS}" -P "${this}"
    DEPENDS ${PAGE} ${STYLES} ${SCRIPTS} "${this}"
    COMMENT "Embedding ${arg_PAGE} of ${arg_HEADER}"
    VERBATIM)
endfunction()

if(NOT CMAKE_SCRIPT_MODE_FILE)
  return()
endif()

# All of the files, one after the other.
function(read_parts out)
  set(text "")
  foreach(part IN LISTS ARGN)
    file(READ "${part}" content)
    string(APPEND text "${content}")
  endforeach()
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

read_parts(page ${PAGE})
read_parts(style ${STYLES})
read_parts(script ${SCRIPTS})
string(REPLACE "@STYLE@" "${style}" page "${page}")
string(REPLACE "@SCRIPT@" "${script}" page "${page}")

# As hexadecimal digits, which CMake only gives for a file, and as a byte array, since compilers limit the length of a
# literal.
file(WRITE "${OUTPUT}.html" "${page}")
file(READ "${OUTPUT}.html" hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
file(WRITE "${OUTPUT}" "#include \"${HEADER}\"\n
namespace ${NAMESPACE} {\n
constexpr unsigned char kBytes[] = {${bytes}};\n
const std::span<const unsigned char> kPageBytes(kBytes);\n
}  // namespace ${NAMESPACE}\n")
