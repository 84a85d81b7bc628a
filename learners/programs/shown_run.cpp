#include "learners/programs/shown_run.hpp"

#include <cmath>

#include "hw/printable.hpp"

namespace fewwatt::view {

Json known(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

Json knobs_json(const std::vector<hw::Knob>& knobs) {
  Json json = Json::array();
  for (const auto& knob : knobs)
    json.push_back({{"role", hw::to_string(knob.role)}, {"levels", knob.levels}});
  return json;
}

Json run_part(const datasets::RunHeader& header) {
  Json chosen_by = Json::object();
  for (const auto& [name, value] : header.chosen_by) chosen_by[hw::printable(name)] = hw::printable(value);
  return {{"device", hw::printable(header.device)},
          {"workload", hw::printable(header.workload)},
          {"time_of", to_string(header.attributes.time_of)},
          {"chosen_by", chosen_by}};
}

Json run_step(const datasets::RunRecord& record) {
  const bool counts = record.status == hw::AttemptStatus::ok;
  return {{"status", hw::to_string(record.status)},
          {"detail", hw::printable(record.detail)},
          {"time_ms", counts ? known(record.measured.time_ms) : Json()},
          {"power_w", counts ? known(record.measured.power_w) : Json()},
          {"took_s", known(record.took_s)}};
}

std::string run_title(const datasets::RunHeader& header) {
  return hw::printable(header.device + '/' + header.workload);
}

}  // namespace fewwatt::view
