# Writes OUTPUT from SOURCE/version.cpp.in; untouched when nothing changed.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12
                OUTPUT_VARIABLE FEWWATT_GIT_REVISION OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT FEWWATT_GIT_REVISION)
  set(FEWWATT_GIT_REVISION unknown)
endif()
configure_file(${SOURCE}/version.cpp.in ${OUTPUT} @ONLY)
