# Toolchain of the preset aarch64: Debian's GCC 11 for arm64, and arm64 packages that scripts/test-aarch64 and
# scripts/package unpack into build/aarch64/sysroot. C library and libstdc++ are the cross compiler's own. Everything is
# linked statically (FEWWATT_STATIC), so tests and programs run under qemu-aarch64 without the libraries of a board.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc-11)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++-11)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64)
get_filename_component(sysroot "${CMAKE_CURRENT_LIST_DIR}/../build/aarch64/sysroot" ABSOLUTE)
set(CMAKE_FIND_ROOT_PATH "${sysroot}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
foreach(what LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${what} ONLY)
endforeach()
