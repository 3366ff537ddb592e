# Puts the parts of the web page into one file of C++: a byte array, since compilers limit the length of a literal.
#   cmake -DFOLDER=page -DOUTPUT=page_data.cc -P embed.cmake
function(read_part name out)
  file(READ "${FOLDER}/${name}" text)
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

read_part(page.html page)
read_part(page.css style)
set(script "")
foreach(name IN ITEMS plot.js answer.js chat.js)
  read_part(${name} part)
  string(APPEND script "${part}")
endforeach()
string(REPLACE "@STYLE@" "${style}" page "${page}")
string(REPLACE "@SCRIPT@" "${script}" page "${page}")

# As hexadecimal digits, which CMake only gives for a file.
file(WRITE "${OUTPUT}.html" "${page}")
file(READ "${OUTPUT}.html" hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
file(WRITE "${OUTPUT}" "#include \"serve_page.h\"\n
namespace qwen_infer {\n
constexpr unsigned char kBytes[] = {${bytes}};\n
const std::span<const unsigned char> kPageBytes(kBytes);\n
}  // namespace qwen_infer\n")
