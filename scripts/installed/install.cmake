# What others link, docs/library.md: headers below include/fewwatt, libraries, and what find_package() and pkg-config read. With
# `cmake --install BUILD --component development` it is all that is installed.
include(CMakePackageConfigHelpers)
include(${CMAKE_CURRENT_LIST_DIR}/fewwattAbi.cmake)
set(installed ${PROJECT_BINARY_DIR}/installed)
set(package lib/cmake/fewwatt)

set(board_layers hw datasets tasks learners)
set(torch_layers "")
if(FEWWATT_TORCH)
  set(torch_layers meta benchmarks)
endif()
foreach(layer ${board_layers} hdf5_load ${torch_layers})
  set_target_properties(fewwatt_${layer} PROPERTIES EXPORT_NAME ${layer})
endforeach()
list(TRANSFORM board_layers PREPEND fewwatt_ OUTPUT_VARIABLE board_targets)
list(TRANSFORM torch_layers PREPEND fewwatt_ OUTPUT_VARIABLE torch_targets)

# What a consumer is compiled with too: the same C++, and where Eigen is, the same vectors, so that whichever copy of a template the
# linker keeps computes the same.
set(FEWWATT_CONSUMER_OPTIONS -ffp-contract=off)
if(FEWWATT_CPU)
  list(APPEND FEWWATT_CONSUMER_OPTIONS -march=${FEWWATT_CPU})
endif()
target_compile_features(fewwatt_hw PUBLIC cxx_std_20)
target_compile_definitions(fewwatt_tasks INTERFACE $<INSTALL_INTERFACE:${FEWWATT_EIGEN_ALIGN}>)
target_compile_options(fewwatt_tasks INTERFACE "$<INSTALL_INTERFACE:${FEWWATT_CONSUMER_OPTIONS}>")
fewwatt_abi(FEWWATT_ABI)
string(REPLACE ";" " " FEWWATT_CONSUMER_OPTIONS_TEXT "${FEWWATT_CONSUMER_OPTIONS}")

install(TARGETS ${board_targets} fewwatt_hdf5_load EXPORT fewwatt ARCHIVE DESTINATION lib COMPONENT development INCLUDES DESTINATION include)
install(EXPORT fewwatt NAMESPACE fewwatt:: DESTINATION ${package} FILE fewwattTargets.cmake COMPONENT development)
if(FEWWATT_TORCH)
  install(TARGETS ${torch_targets} EXPORT fewwattTorch ARCHIVE DESTINATION lib COMPONENT development INCLUDES DESTINATION include)
  install(EXPORT fewwattTorch NAMESPACE fewwatt:: DESTINATION ${package} FILE fewwattTorchTargets.cmake COMPONENT development)
endif()
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/fewwattConfig.cmake.in ${installed}/fewwattConfig.cmake
                              INSTALL_DESTINATION ${package})
write_basic_package_version_file(${installed}/fewwattConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${installed}/fewwattConfig.cmake ${installed}/fewwattConfigVersion.cmake
              ${CMAKE_CURRENT_LIST_DIR}/fewwattAbi.cmake DESTINATION ${package} COMPONENT development)

install(CODE "set(source \"${PROJECT_SOURCE_DIR}\")\nset(layers \"${board_layers};${torch_layers}\")" COMPONENT development)
install(SCRIPT ${CMAKE_CURRENT_LIST_DIR}/headers.cmake COMPONENT development)
configure_file(${CMAKE_CURRENT_LIST_DIR}/version.hpp.in ${installed}/version.hpp @ONLY)
install(FILES ${installed}/version.hpp DESTINATION include/fewwatt COMPONENT development)

# pkg-config: one file for what the board runs, one for what needs LibTorch.
string(REPLACE ";" " " pc_options "-D${FEWWATT_EIGEN_ALIGN};${FEWWATT_CONSUMER_OPTIONS}")
string(REPLACE ";" " " pc_hdf5 "${FEWWATT_HDF5_INSTALLED}")
configure_file(${CMAKE_CURRENT_LIST_DIR}/fewwatt.pc.in ${installed}/fewwatt.pc @ONLY)
install(FILES ${installed}/fewwatt.pc DESTINATION lib/pkgconfig COMPONENT development)
if(FEWWATT_TORCH)
  find_package(BLAS REQUIRED)
  get_filename_component(pc_torch "${TORCH_LIBRARY}" DIRECTORY)
  string(REPLACE ";" " " pc_blas "${BLAS_LIBRARIES}")
  configure_file(${CMAKE_CURRENT_LIST_DIR}/fewwatt-meta.pc.in ${installed}/fewwatt-meta.pc @ONLY)
  install(FILES ${installed}/fewwatt-meta.pc DESTINATION lib/pkgconfig COMPONENT development)
endif()
