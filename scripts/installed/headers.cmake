# Run by cmake --install, with `source` and `layers` set: the layers' headers go below include/fewwatt, and what they include of each
# other begins with fewwatt/ there. As written, "tasks/task.hpp" could be a file of the project that includes them.
set(folder "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/include/fewwatt")
foreach(layer IN LISTS layers)
  file(GLOB_RECURSE found RELATIVE "${source}" "${source}/${layer}/*.hpp")
  list(APPEND headers ${found})
endforeach()
# They are of programs, or need what those who link the library do without: Boost, HDF5, pagmo2, LibTorch, JSON.
list(FILTER headers EXCLUDE REGEX "/programs/")
list(REMOVE_ITEM headers hw/manual_json.hpp hw/program.hpp datasets/hdf5_handle.hpp learners/optimize/evolve.hpp meta/torch.hpp meta/torch_nets.hpp
  meta/rl/torch_policy.hpp benchmarks/blocks.hpp benchmarks/figures.hpp)
foreach(header IN LISTS headers)
  file(READ "${source}/${header}" text)
  string(REGEX REPLACE "#include \"(hw|datasets|tasks|learners|meta|benchmarks)/" "#include \"fewwatt/\\1/" text "${text}")
  file(WRITE "${folder}/${header}" "${text}")
  list(APPEND CMAKE_INSTALL_MANIFEST_FILES "${CMAKE_INSTALL_PREFIX}/include/fewwatt/${header}")
endforeach()
