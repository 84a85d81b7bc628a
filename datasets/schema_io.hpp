#pragma once

#include <span>
#include <string>
#include <vector>

#include "datasets/hdf5_file.hpp"
#include "datasets/profile.hpp"

namespace fewwatt::datasets {

// Parts that files of profiles and files of models share. Functions that read throw DataError naming the file and the object.

// Read and write a workload's attributes: a group with text attributes kind and time_of, and those of kTextAttributes and
// kNumberAttributes that are known.
WorkloadAttributes read_attributes(const Hdf5Reader& file, const std::string& group);
void write_attributes(Hdf5Writer& file, const std::string& group, const WorkloadAttributes& attributes);

// Read and write modes: int32 [n,k], one column per knob.
std::vector<hw::PowerMode> read_modes(const Hdf5Reader& file, const std::string& dataset, std::size_t knobs);
void write_modes(Hdf5Writer& file, const std::string& dataset, std::size_t knobs,
                 std::span<const hw::PowerMode> modes);

// Read and write a space: a group with attributes roles ("cpu_khz gpu_khz", the order of the columns of modes) and grid (1: every
// combination of levels is a mode; 0: only those of the dataset `listed_modes`), and a dataset <role> int32 [levels] per knob. A grid of
// more than `max_modes` is refused. write_space() does not write the list of modes.
hw::PowerModeSpace read_space(const Hdf5Reader& file, const std::string& group,
                              const std::string& listed_modes, std::size_t max_modes = hw::kMostModes);
void write_space(Hdf5Writer& file, const std::string& group, const hw::PowerModeSpace& space);

}  // namespace fewwatt::datasets
