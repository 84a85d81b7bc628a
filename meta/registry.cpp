#include "meta/registry.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>

#include "hw/version.hpp"
#include "meta/fine_tune_search.hpp"
#include "meta/maml.hpp"
#include "meta/pretrain.hpp"
#include "meta/train.hpp"

namespace fewwatt::meta {
namespace {

using datasets::Profile;
using Profiles = std::vector<Profile>;
using Log = std::function<void(const std::string&)>;
using tasks::kNumTargets;
using tasks::kTargetNames;

// FNV-1a, 64 bit, of everything that training sees.
class Hash {
 public:
  void add(std::uint64_t value) {
    for (int byte = 0; byte < 8; ++byte) add_byte(static_cast<unsigned char>(value >> (8 * byte)));
  }
  void add(double value) { add(std::isnan(value) ? ~std::uint64_t{0} : std::bit_cast<std::uint64_t>(value)); }
  void add(std::string_view text) {
    add(static_cast<std::uint64_t>(text.size()));
    for (const char c : text) add_byte(static_cast<unsigned char>(c));
  }
  std::string hex() const {
    std::string text;
    for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[(value_ >> shift) & 15];
    return text;
  }

 private:
  void add_byte(unsigned char byte) { value_ = (value_ ^ byte) * 0x100000001b3ULL; }
  std::uint64_t value_ = 0xcbf29ce484222325ULL;
};

std::string hash_of(const Profiles& profiles) {
  Hash hash;
  for (const auto& profile : profiles) {
    hash.add(profile.device);
    hash.add(profile.workload);
    for (const auto& knob : profile.space->knobs()) {
      hash.add(hw::to_string(knob.role));
      for (const int level : knob.levels) hash.add(static_cast<std::uint64_t>(level));
    }
    for (std::size_t i = 0; i < profile.modes.size(); ++i) {
      for (const int setting : profile.modes[i]) hash.add(static_cast<std::uint64_t>(setting));
      hash.add(profile.measurements[i].time_ms);
      hash.add(profile.measurements[i].power_w);
    }
  }
  return hash.hex();
}

learners::Checkpoint train_transfer(const InitializerRequest& request, const Profiles& training,
                                    const Log& log) {
  PretrainOptions options;
  options.log_targets = request.name == "transfer-log";
  options.seed = request.seed;
  if (request.steps > 0) options.recipe.epochs = request.steps;
  return pretrain(choose_reference(training, options, log), options, log).to_checkpoint();
}

// ---- MAML ----

constexpr std::size_t kMaxFolds = 4;
constexpr int kValidationDraws = 3;  // support draws per left-out profile and number of shots

// Outer training that suits the profiles at hand.
struct Recipe {
  MamlOptions maml;
  TrainOptions train;
  tasks::TaskSourceOptions source;
};

Recipe recipe_for(const InitializerRequest& request, const Profiles& training) {
  Recipe recipe;
  recipe.maml.inner.first_order = request.name == "fomaml";
  recipe.maml.fine_tune.fill({.steps = 100, .rate = 1e-3});
  recipe.train.seed = request.seed;
  if (request.steps > 0) recipe.maml.max_steps = request.steps;
  recipe.train.steps = recipe.maml.max_steps;
  recipe.train.validate_every = std::max(1, recipe.maml.max_steps / 5);
  std::size_t fewest = SIZE_MAX;
  for (const auto& profile : training) fewest = std::min(fewest, profile.modes.size());
  recipe.source.max_shots = std::clamp<std::size_t>(fewest / 2, 1, 50);
  recipe.source.min_shots = std::min<std::size_t>(5, recipe.source.max_shots);
  recipe.source.augmentation = {.log_offset = 0, .log_scale = 0.2, .sub_grid = 0.5};
  return recipe;
}

// What the left-out workloads choose.
struct Choice {
  int steps;
  std::array<learners::FineTuneOptions, kNumTargets> fine_tune;
};

// Without the values of targets that no profile of `kept` has: nothing is trained that predicts them.
std::vector<tasks::Task> validation_tasks(const InitializerRequest& request, const Profiles& left_out,
                                          const Profiles& kept) {
  std::vector<tasks::Task> all;
  for (const auto& profile : left_out) {
    for (const auto shots : request.shots) {
      if (profile.modes.size() <= shots) continue;
      for (int draw = 0; draw < kValidationDraws; ++draw) {
        auto rng = hw::Rng::stream(request.seed, "validation " + profile.device + "/" + profile.workload,
                                   shots * 1000 + static_cast<std::size_t>(draw));
        all.push_back(tasks::sample_task(profile, shots, rng));
      }
    }
  }
  for (int t = 0; t < kNumTargets; ++t) {
    const bool trained = std::any_of(kept.begin(), kept.end(), [&](const Profile& profile) {
      return tasks::samples_of(profile).has(static_cast<tasks::Target>(t));
    });
    if (trained) continue;
    for (auto& task : all) {
      task.support.targets.col(t).setConstant(std::nan(""));
      task.query.targets.col(t).setConstant(std::nan(""));
    }
  }
  return all;
}

// Leaves out each workload in turn, or each of kMaxFolds groups of workloads.
Choice choose(const InitializerRequest& request, const Profiles& training, const Log& log) {
  std::map<std::string, std::size_t> fold_of;
  for (const auto& profile : training) fold_of.try_emplace(profile.workload, fold_of.size());
  const auto folds = std::min(kMaxFolds, fold_of.size());
  const auto defaults = recipe_for(request, training).maml;
  Choice choice{defaults.max_steps, defaults.fine_tune};
  if (folds < 2) return choice;

  const FineTuneGrid grid;
  const auto settings = grid.settings();
  std::array<std::vector<double>, kNumTargets> log_errors;
  for (auto& errors : log_errors) errors.assign(settings.size(), 0.0);
  std::array<int, kNumTargets> scored{};
  double steps = 0;
  int scored_folds = 0;
  for (std::size_t fold = 0; fold < folds; ++fold) {
    Profiles kept, left_out;
    for (const auto& profile : training) {
      (fold_of.at(profile.workload) % folds == fold ? left_out : kept).push_back(profile);
    }
    const auto recipe = recipe_for(request, kept);
    const auto tasks = validation_tasks(request, left_out, kept);
    const auto name = "fold " + std::to_string(fold + 1) + "/" + std::to_string(folds) + ": ";
    if (tasks.empty()) {
      if (log) log(name + "skipped, its workloads have no more modes than the smallest support");
      continue;
    }
    Maml maml(kept, recipe.maml, request.seed);
    const auto summary = train(maml, tasks::TaskSource(kept, recipe.source), tasks, recipe.train);
    steps += summary.best_step;
    ++scored_folds;
    if (log) {
      log(name + "best after " + std::to_string(summary.best_step) + " steps, error " +
          std::to_string(summary.best_error) + " %");
    }
    const auto model = learners::FineTuneModel::from_checkpoint(summary.best);
    for (int t = 0; t < kNumTargets; ++t) {
      if (!model.targets[t]) continue;
      for (const auto& task : tasks) {
        const auto target = static_cast<tasks::Target>(t);
        if (!task.support.has(target) || !task.query.has(target)) continue;
        const auto errors = try_fine_tuning(model, target, task, grid);
        for (std::size_t i = 0; i < errors.size(); ++i) log_errors[t][i] += std::log(errors[i] + 1e-9);
        ++scored[t];
      }
    }
  }
  if (scored_folds == 0) return choice;
  choice.steps = static_cast<int>(std::lround(steps / scored_folds));
  for (int t = 0; t < kNumTargets; ++t) {
    if (scored[t] == 0) continue;
    const auto best = std::min_element(log_errors[t].begin(), log_errors[t].end());
    if (!std::isfinite(*best)) continue;  // no setting does for all tasks
    choice.fine_tune[t] = settings[static_cast<std::size_t>(best - log_errors[t].begin())];
    if (log) {
      const auto& f = choice.fine_tune[t];
      log(std::string(kTargetNames[t]) + ": fine-tuning with " + std::to_string(f.steps) +
          " Adam steps, rate " + std::to_string(f.rate) + ", stop at " + std::to_string(f.stop_rms) +
          "; validation error " + std::to_string(std::exp(*best / scored[t])) + " %");
    }
  }
  if (log) log("outer steps: " + std::to_string(choice.steps));
  return choice;
}

learners::Checkpoint train_maml(const InitializerRequest& request, const Profiles& training, const Log& log) {
  if (const auto warning = blas_warning(); !warning.empty() && log) log("warning: " + warning);
  const auto choice = choose(request, training, log);
  auto recipe = recipe_for(request, training);
  recipe.maml.fine_tune = choice.fine_tune;
  recipe.train.steps = request.name == "random-init" ? 0 : choice.steps;
  Maml maml(training, recipe.maml, request.seed);
  auto checkpoint = train(maml, tasks::TaskSource(training, recipe.source), {}, recipe.train).best;
  checkpoint.texts["trained_by"] = request.name;
  return checkpoint;
}

// ---- the table ----

struct Entry {
  MetaLearnerFacts facts;
  learners::Checkpoint (*train)(const InitializerRequest&, const Profiles&, const Log&);
};

const auto& entries() {
  static const std::array<Entry, 5> table = {{
      {{"transfer", "the published net, trained on one reference workload", "transfer", ""}, train_transfer},
      {{"transfer-log", "transfer with log targets", "transfer-log", ""}, train_transfer},
      {{"maml", "MAML, exact second order", "fine_tune", ""}, train_maml},
      {{"fomaml", "MAML of first order", "fine_tune", ""}, train_maml},
      {{"random-init", "MAML's net and fine-tuning from random weights", "fine_tune", "maml"}, train_maml},
  }};
  return table;
}

}  // namespace

std::span<const MetaLearnerFacts> meta_learner_facts() {
  static const auto facts = [] {
    std::vector<MetaLearnerFacts> all;
    for (const auto& entry : entries()) all.push_back(entry.facts);
    return all;
  }();
  return facts;
}

learners::Checkpoint untrained(const learners::Checkpoint& maml) {
  auto model = learners::FineTuneModel::from_checkpoint(maml);
  model.trained_by = "random-init";
  for (int t = 0; t < kNumTargets; ++t) {
    if (model.targets[t]) model.targets[t]->weights = initial_weights(model.shape, maml.origin.seed, t);
  }
  auto checkpoint = model.to_checkpoint();
  checkpoint.origin = maml.origin;
  return checkpoint;
}

learners::Checkpoint train_initializer(const InitializerRequest& request,
                                       const std::vector<Profile>& training,
                                       const std::function<void(const std::string&)>& log) {
  const auto entry = std::find_if(entries().begin(), entries().end(),
                                  [&](const Entry& e) { return e.facts.name == request.name; });
  if (entry == entries().end()) {
    std::string known;
    for (const auto& e : entries()) known += (known.empty() ? "" : ", ") + std::string(e.facts.name);
    throw std::invalid_argument("unknown meta-learner " + request.name + "; known: " + known);
  }
  if (training.empty()) throw std::invalid_argument("train_initializer: no profile to train on");
  if (request.steps < 0) {
    throw std::invalid_argument("train_initializer: steps must be >= 0, got " +
                                std::to_string(request.steps));
  }
  auto sorted = training;  // the order of profiles in a file or list must not matter
  std::sort(sorted.begin(), sorted.end(), [](const Profile& a, const Profile& b) {
    return std::tie(a.device, a.workload) < std::tie(b.device, b.workload);
  });
  auto checkpoint = entry->train(request, sorted, log);
  checkpoint.origin = {request.seed, std::string(hw::git_revision()), hash_of(sorted)};
  return checkpoint;
}

}  // namespace fewwatt::meta
