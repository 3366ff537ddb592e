# qwen_infer_bundle_libraries(MODULE DESTINATION NAMES...): installs beside a Python module, in the component "python",
# those of the shared libraries that it is linked to whose names begin with one of NAMES: wheels run where those are not
# installed. A wheel has no symbolic links, so each is one file, with the name by which it is looked up.
function(qwen_infer_bundle_libraries module destination)
  list(TRANSFORM ARGN PREPEND "^" OUTPUT_VARIABLE wanted)
  list(TRANSFORM wanted APPEND "[.]so")
  install(CODE "
    file(GET_RUNTIME_DEPENDENCIES
      MODULES \"$<TARGET_FILE:${module}>\"
      PRE_INCLUDE_REGEXES ${wanted}
      PRE_EXCLUDE_REGEXES \".*\"
      RESOLVED_DEPENDENCIES_VAR libraries)
    set(folder \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${destination}\")
    file(MAKE_DIRECTORY \"\${folder}\")
    foreach(library IN LISTS libraries)
      get_filename_component(name \"\${library}\" NAME)
      file(REAL_PATH \"\${library}\" library)
      file(COPY_FILE \"\${library}\" \"\${folder}/\${name}\")
    endforeach()" COMPONENT python EXCLUDE_FROM_ALL)
endfunction()
