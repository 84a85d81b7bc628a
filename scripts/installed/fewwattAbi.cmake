# fewwatt_abi(<variable> <option>...): a list of NAME=VALUE, what the compiler makes of the flags here and these options that code which
# is linked together must agree on. Used where fewwatt is compiled, and by find_package(fewwatt) where it is linked.
function(fewwatt_abi variable)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  separate_arguments(flags UNIX_COMMAND "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}}")
  get_directory_property(options COMPILE_OPTIONS)
  get_directory_property(definitions COMPILE_DEFINITIONS)
  list(TRANSFORM definitions PREPEND -D)
  list(APPEND flags ${options} ${definitions})
  list(FILTER flags EXCLUDE REGEX "\\$<")  # known when it is compiled, not now
  set(file ${CMAKE_BINARY_DIR}/CMakeFiles/fewwatt_abi.cpp)
  file(WRITE ${file} "#include <string>\n")
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} ${flags} ${ARGN} -std=c++20 -dM -E ${file}
                  OUTPUT_VARIABLE macros ERROR_VARIABLE error RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "fewwatt: ${CMAKE_CXX_COMPILER} does not say its macros: ${error}")
  endif()
  set(all "")
  foreach(name __x86_64__ __aarch64__ _LIBCPP_VERSION _GLIBCXX_USE_CXX11_ABI _GLIBCXX_DEBUG __FAST_MATH__
               # What Eigen computes with.
               __SSE3__ __SSSE3__ __SSE4_1__ __SSE4_2__ __AVX__ __FMA__ __AVX2__ __AVX512F__ __AVX512DQ__ __ARM_FEATURE_SVE)
    set(value none)
    if(macros MATCHES "#define ${name} ([^\n]*)")
      set(value "${CMAKE_MATCH_1}")
    elseif(macros MATCHES "#define ${name}\n")
      set(value 1)
    endif()
    list(APPEND all "${name}=${value}")
  endforeach()
  set(${variable} "${all}" PARENT_SCOPE)
endfunction()
