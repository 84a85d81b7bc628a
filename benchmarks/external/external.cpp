#include "benchmarks/external/external.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "benchmarks/suite_keys.hpp"
#include "hw/json_text.hpp"
#include "hw/printable.hpp"
#include "learners/optimize/measured_search.hpp"

namespace fewwatt::benchmarks {
namespace {

using Json = nlohmann::ordered_json;
using learners::Checkpoint;
using learners::Prediction;
using tasks::Matrix;

constexpr std::array kKinds{"learner", "meta-learner", "search"};  // in the order of External::Kind
constexpr const char* kModel = "model";  // text of a checkpoint: what training has answered, as JSON

[[noreturn]] void refuse_answer(const std::string& expected, const std::string& found) {
  throw std::runtime_error("its program: expected " + expected + ", found " + found);
}

// The beginning of what a program answered, as it may be shown.
std::string shortened(const std::string& text) {
  constexpr std::size_t kShown = 60;
  return hw::printable(text.substr(0, kShown)) + (text.size() > kShown ? "..." : "");
}

// ---- what is sent ----

Json modes_json(std::span<const hw::PowerMode> modes) {
  auto all = Json::array();
  for (const auto& mode : modes) all.push_back(std::vector<int>(mode.begin(), mode.end()));
  return all;
}

// A list of pairs [ms, W]; NaN becomes null.
Json targets_json(const Matrix& targets) {
  auto rows = Json::array();
  for (Eigen::Index i = 0; i < targets.rows(); ++i)
    rows.push_back({targets(i, tasks::kTimeMs), targets(i, tasks::kPowerW)});
  return rows;
}

Json knobs_json(const hw::PowerModeSpace& space) {
  auto all = Json::array();
  for (const auto& knob : space.knobs())
    all.push_back({{"role", hw::to_string(knob.role)}, {"levels", knob.levels}});
  return all;
}

Json characteristics_json(const tasks::Characteristics& known) {
  Json all{{"time_of", datasets::to_string(known.time_of)}};
  for (const auto& [name, member] : tasks::kCharacteristics)
    if (known.*member) all[name] = *(known.*member);
  return all;
}

Json samples_json(const tasks::Samples& samples) {
  return {{"knobs", knobs_json(*samples.space)},
          {"characteristics", characteristics_json(samples.characteristics)},
          {"modes", modes_json(samples.modes)},
          {"targets", targets_json(samples.targets)}};
}

Json request(const char* what, Json with = Json::object()) {
  Json all{{"do", what}};
  all.update(with);
  return all;
}

// ---- what is answered ----

Json parse_answer(const std::string& line) {
  const auto shown = [&] { return "'" + shortened(line) + "'"; };
  Json answer;
  try {
    answer = Json::parse(line);
  } catch (const Json::exception&) {
    refuse_answer("a line with a JSON object", shown());
  }
  if (!answer.is_object()) refuse_answer("a line with a JSON object", shown());
  return answer;
}

const Json& member(const Json& answer, const std::string& key) {
  const auto found = answer.find(key);
  if (found == answer.end()) refuse_answer("an answer with " + key, shortened(hw::json_text(answer)));
  return *found;
}

// [rows,2] of `key`: pairs of numbers above 0, or from 0 on where that is allowed; null is NaN.
Matrix numbers_of(const Json& answer, const std::string& key, Eigen::Index rows, bool zero_allowed) {
  const auto& list = member(answer, key);
  const std::string expected = key + ": " + std::to_string(rows) + " pairs of numbers " +
                               (zero_allowed ? "from 0 on" : "above 0") + " or null";
  if (!list.is_array()) refuse_answer(expected, list.type_name());
  if (list.size() != static_cast<std::size_t>(rows)) refuse_answer(expected, std::to_string(list.size()));
  Matrix numbers(rows, tasks::kNumTargets);
  for (Eigen::Index i = 0; i < rows; ++i) {
    const auto& row = list[static_cast<std::size_t>(i)];
    const auto refuse_row = [&] {
      refuse_answer(expected, shortened(hw::json_text(row)) + " in row " + std::to_string(i));
    };
    if (!row.is_array() || row.size() != tasks::kNumTargets) refuse_row();
    for (Eigen::Index t = 0; t < tasks::kNumTargets; ++t) {
      const auto& value = row[static_cast<std::size_t>(t)];
      if (!value.is_null() && !value.is_number()) refuse_row();
      numbers(i, t) = value.is_null() ? std::nan("") : value.get<double>();
      if (numbers(i, t) < 0 || (numbers(i, t) == 0 && !zero_allowed)) refuse_row();
    }
  }
  return numbers;
}

Prediction prediction_of(const Json& answer, Eigen::Index rows) {
  auto prediction = Prediction::of_medians(numbers_of(answer, "median", rows, false));
  if (!answer.contains("log_sd")) return prediction;
  prediction.log_variance = numbers_of(answer, "log_sd", rows, true).array().square();
  prediction.latent_log_variance =
      answer.contains("latent_log_sd")
          ? Matrix(numbers_of(answer, "latent_log_sd", rows, true).array().square())
          : prediction.log_variance;
  return prediction;
}

// ---- processes ----

using Model = std::shared_ptr<const std::string>;  // JSON; nullptr where nothing is trained

// A process, and the model that it was given last.
struct Running {
  explicit Running(const ExternalCommand& command) : process(command) {}
  ExternalProcess process;
  Model model = nullptr;
};

// The processes of one command. Whoever needs one takes one that is idle, or starts one.
class Pool {
 public:
  explicit Pool(ExternalCommand command) : command_(std::move(command)) {}

  // Throws std::runtime_error where one has hung: the others would as well, and each would take the whole time.
  std::unique_ptr<Running> take() {
    {
      const std::lock_guard lock(mutex_);
      if (!hung_.empty()) throw std::runtime_error(hung_);
      if (!idle_.empty()) {
        auto running = std::move(idle_.back());
        idle_.pop_back();
        return running;
      }
    }
    return std::make_unique<Running>(command_);
  }
  void give_back(std::unique_ptr<Running> running) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(running));
  }
  void note_hung(const std::string& message) {
    const std::lock_guard lock(mutex_);
    hung_ = message;
  }

 private:
  const ExternalCommand command_;
  std::mutex mutex_;  // of what follows
  std::vector<std::unique_ptr<Running>> idle_;
  std::string hung_;  // what the first one that hung threw
};

// A process for one user, given back at the end unless it has failed.
class Session {
 public:
  explicit Session(std::shared_ptr<Pool> pool) : pool_(std::move(pool)), running_(pool_->take()) {}
  ~Session() {
    if (running_) pool_->give_back(std::move(running_));
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Throws std::runtime_error with what the program says is wrong, or what is wrong with the program.
  Json ask(const Json& question) {
    if (!running_) throw std::runtime_error("its program has failed before");
    Json answer;
    try {
      answer = parse_answer(running_->process.ask(hw::json_text(question)));
    } catch (const std::exception& e) {
      if (running_->process.timed_out()) pool_->note_hung(e.what());
      running_.reset();
      throw;
    }
    if (const auto error = answer.find("error"); error != answer.end())
      throw std::runtime_error("its program says: " + hw::printable(error->is_string()
                                                                        ? error->get<std::string>()
                                                                        : hw::json_text(*error)));
    return answer;
  }

  // Gives it a model, unless it has that one.
  void load(const Model& model) {
    if (!model || !running_ || running_->model == model) return;
    ask(request("load", {{"model", Json::parse(*model)}}));
    running_->model = model;
  }

 private:
  std::shared_ptr<Pool> pool_;
  std::unique_ptr<Running> running_;  // nullptr once it has failed
};

// ---- what stands in a registry ----

class Adapted final : public learners::Predictor {
 public:
  Adapted(std::unique_ptr<Session> session, const tasks::Samples& support) : session_(std::move(session)) {
    for (const auto target : {tasks::kTimeMs, tasks::kPowerW})
      known_[static_cast<std::size_t>(target)] = support.has(target);
  }

  Prediction predict(std::span<const hw::PowerMode> modes) const override {
    const std::lock_guard lock(mutex_);
    const auto answer = session_->ask(request("predict", {{"modes", modes_json(modes)}}));
    auto prediction = prediction_of(answer, static_cast<Eigen::Index>(modes.size()));
    for (Eigen::Index t = 0; t < tasks::kNumTargets; ++t) {
      if (known_[static_cast<std::size_t>(t)]) continue;
      for (auto* part : {&prediction.log_mean, &prediction.log_variance, &prediction.latent_log_variance})
        if (part->size() > 0) part->col(t).setConstant(std::nan(""));
    }
    return prediction;
  }

 private:
  mutable std::mutex mutex_;  // of the session
  std::unique_ptr<Session> session_;
  learners::Wanted known_{};  // targets that the support has
};

class ExternalLearner final : public learners::Learner {
 public:
  ExternalLearner(std::string name, std::shared_ptr<Pool> pool, Model model)
      : name_(std::move(name)), pool_(std::move(pool)), model_(std::move(model)) {}

  std::unique_ptr<const learners::Predictor> adapt(const tasks::Samples& support) const override {
    learners::check_support(name_, support, 1);
    std::vector<std::size_t> order(support.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return support.modes[a] < support.modes[b]; });
    auto session = std::make_unique<Session>(pool_);
    session->load(model_);
    session->ask(request("adapt", samples_json(support.subset(order))));
    return std::make_unique<Adapted>(std::move(session), support);
  }

 private:
  std::string name_;
  std::shared_ptr<Pool> pool_;
  Model model_;
};

Checkpoint train(const std::string& name, const std::shared_ptr<Pool>& pool,
                 const meta::InitializerRequest& asked, const std::vector<datasets::Profile>& profiles) {
  auto all = Json::array();
  for (const auto& profile : profiles) {
    Json one{{"device", profile.device}, {"workload", profile.workload}};
    one.update(samples_json(tasks::samples_of(profile)));
    all.push_back(std::move(one));
  }
  Session session(pool);
  const auto answer = session.ask(
      request("train", {{"seed", asked.seed}, {"shots", asked.shots}, {"profiles", std::move(all)}}));
  Checkpoint checkpoint;
  checkpoint.learner = name;
  checkpoint.texts["trained_by"] = name;
  checkpoint.texts[kModel] = hw::json_text(member(answer, "model"));
  return checkpoint;
}

class ExternalSearch final : public learners::MeasuredSearch {
 public:
  ExternalSearch(std::shared_ptr<Pool> pool, std::shared_ptr<const hw::PowerModeSpace> space,
                 const learners::Goal& goal, const learners::SearchOptions& options)
      : MeasuredSearch(std::move(space), goal, options), pool_(std::move(pool)) {
    check(goal);
  }

  void tell(const hw::PowerMode& mode, const hw::Measurement& m) override {
    MeasuredSearch::tell(mode, m);
    const auto index = space_->index_of(mode);
    if (!index || m.throttled) return;
    session().ask(request("tell", {{"mode", *index}, {"time_ms", m.time_ms}, {"power_w", m.power_w}}));
  }

  void aim(const learners::Goal& goal) override {
    check(goal);
    if (session_) throw std::invalid_argument("a search by a program of others keeps its first goal");
    MeasuredSearch::aim(goal);
  }

 protected:
  std::optional<hw::PowerMode> next() override {
    const auto answer = session().ask(request("ask"));
    const auto& index = member(answer, "mode");
    if (index.is_null()) return std::nullopt;
    const bool good = index.is_number_unsigned() && index.get<std::uint64_t>() < space_->size();
    if (!good)
      refuse_answer("mode: null or a whole number below " + std::to_string(space_->size()),
                    shortened(hw::json_text(index)));
    return space_->at(index.get<std::size_t>());
  }

 private:
  static void check(const learners::Goal& goal) {
    const auto& limits = goal.limits;
    if (!(goal.objective == learners::Objective::time) || !std::isfinite(limits.max_power_w) ||
        std::isfinite(limits.max_time_ms) || std::isfinite(limits.max_energy_j))
      throw std::invalid_argument(
          "a search by a program of others: expected the goal least time within a power limit");
  }

  // It begins when it is first needed.
  Session& session() {
    if (session_) return *session_;
    session_ = std::make_unique<Session>(pool_);
    session_->ask(request("search", {{"knobs", knobs_json(*space_)},
                                     {"characteristics", characteristics_json(options_.characteristics)},
                                     {"modes", modes_json(space_->modes())},
                                     {"max_power_w", goal_.limits.max_power_w},
                                     {"planned", options_.planned},
                                     {"seed", options_.seed}}));
    return *session_;
  }

  std::shared_ptr<Pool> pool_;
  std::unique_ptr<Session> session_;
};

void add(const External& external, meta::Registry& registry) {
  const auto& name = external.name;
  const auto pool = std::make_shared<Pool>(external.command);
  const std::string about = "a program of others";
  if (external.kind == External::Kind::search) {
    registry.searches.add({.name = name,
                           .about = about,
                           .make = [pool](auto space, auto, const auto& goal, const auto& options) {
                             return std::make_unique<ExternalSearch>(pool, std::move(space), goal, options);
                           }});
    return;
  }
  const bool trained = external.kind == External::Kind::meta_learner;
  registry.learners.add({.name = name,
                         .about = about,
                         .needs_checkpoint = trained,
                         .make = [=](const Checkpoint& checkpoint, const auto&, const auto&) {
                           auto model = trained ? std::make_shared<const std::string>(checkpoint.text(kModel))
                                                : nullptr;
                           return std::make_unique<ExternalLearner>(name, pool, std::move(model));
                         }});
  if (!trained) return;
  registry.meta_learners.add(
      {.name = name,
       .about = about,
       .adapted_by = name,
       .train = [=](const meta::InitializerRequest& asked, const auto& profiles, const auto&, const auto&) {
         return train(name, pool, asked, profiles);
       }});
}

}  // namespace

External parse_external(const datasets::IniSection& section, const std::string& suite) {
  section.check_keys({"kind", "command", "timeout_s"});
  External external;
  external.name = trim(std::string_view(section.name).substr(std::string_view("external").size()));
  const auto kind = std::find(kKinds.begin(), kKinds.end(), section.text("kind"));
  if (kind == kKinds.end()) refuse(section, "kind", "learner, meta-learner or search");
  external.kind = static_cast<External::Kind>(kind - kKinds.begin());
  std::istringstream words(section.text("command"));
  for (std::string word; words >> word;) external.command.words.push_back(word);
  if (external.command.words.empty()) refuse(section, "command", "a program and its arguments");
  external.command.folder = std::filesystem::absolute(suite).parent_path().string();
  if (section.find("timeout_s") != nullptr) external.command.timeout_s = positive(section, "timeout_s");
  if (external.command.timeout_s > kMostTimeoutS) refuse(section, "timeout_s", "at most 1000000 seconds");
  return external;
}

meta::Registry with_externals(const std::vector<External>& externals, const meta::Registry& registry) {
  auto all = registry;
  for (const auto& external : externals) add(external, all);
  return all;
}

}  // namespace fewwatt::benchmarks
