#pragma once

// What fewwatt inspect tells of checkpoints beyond their attributes.

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace fewwatt::checkpoints {

// The objects that add_details() adds, and their titles for people.
inline constexpr std::array<std::pair<const char*, const char*>, 2> kDetails = {
    {{"agent", "agent"}, {"training_state", "state of a training run"}}};

// Adds to what is told of the checkpoint of that learner at `path`: of an agent "agent", what it was trained for; of the state of a training
// run "training_state", which run it is of, and of that of an agent where it stands. Both have the names that the file has for them. Nothing
// for others. Throws datasets::DataError naming the file where it is damaged.
void add_details(nlohmann::json& object, const std::string& path, const std::string& learner);

}  // namespace fewwatt::checkpoints
