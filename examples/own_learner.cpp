// A learner of one's own in a benchmark table beside ours: own_learner <suite file>.
#include <cmath>
#include <fewwatt/benchmarks/suite.hpp>
#include <iostream>
#include <limits>

using namespace fewwatt;

// Predicts of each mode the mean of the measured ones, each weighed by exp(-distance / width), distances being those of log
// settings. What can be set, in a suite's [learner kernel-mean] and by `make_learner("kernel-mean", {{"width", "2"}}, registry)`:
struct KernelMeanOptions {
  double width = 0.3;
  void each(learners::OptionVisitor& on) {
    on.real("width", width, 0.001, 100, "distance over which weights fall to 1/e");
  }
};

class KernelMean final : public learners::Learner {
 public:
  explicit KernelMean(KernelMeanOptions options) : options_(options) {}

  std::unique_ptr<const learners::Predictor> adapt(const learners::Samples& support) const override {
    learners::check_support("kernel-mean", support, 1);
    return std::make_unique<Adapted>(options_, support);
  }

 private:
  class Adapted final : public learners::Predictor {
   public:
    Adapted(KernelMeanOptions options, const learners::Samples& support)
        : options_(options),
          rows_{learners::rows_of(support, tasks::kTimeMs), learners::rows_of(support, tasks::kPowerW)} {}

    learners::Prediction predict(std::span<const hw::PowerMode> modes) const override {
      tasks::Matrix medians(static_cast<Eigen::Index>(modes.size()), tasks::kNumTargets);
      for (std::size_t i = 0; i < modes.size(); ++i)
        for (int target = 0; target < tasks::kNumTargets; ++target)
          medians(static_cast<Eigen::Index>(i), target) =
              of(modes[i], rows_[static_cast<std::size_t>(target)]);
      return learners::Prediction::of_medians(medians);
    }

   private:
    // NaN where the support knows nothing of the target.
    double of(const hw::PowerMode& mode, const learners::TargetRows& rows) const {
      double sum = 0, weights = 0;
      for (std::size_t i = 0; i < rows.modes.size(); ++i) {
        double squared = 0;
        for (std::size_t knob = 0; knob < mode.size(); ++knob)
          squared += std::pow(std::log(static_cast<double>(mode[knob]) / rows.modes[i][knob]), 2);
        const double weight = std::exp(-std::sqrt(squared) / options_.width);
        sum += weight * std::log(rows.values[static_cast<Eigen::Index>(i)]);
        weights += weight;
      }
      return std::exp(sum / weights);
    }

    KernelMeanOptions options_;
    std::array<learners::TargetRows, tasks::kNumTargets> rows_;
  };

  KernelMeanOptions options_;
};

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::cerr << "usage: own_learner SUITE.ini\n";
    return 2;
  }
  auto registry = meta::builtin();
  registry.learners.add(learners::with_options<KernelMeanOptions>(
      {.name = "kernel-mean", .about = "mean of the measured modes, the near ones first"},
      [](const auto&, const KernelMeanOptions& options, const auto&) {
        return std::make_unique<KernelMean>(options);
      }));

  const auto suite = benchmarks::read_suite(argv[1], registry);
  auto provenance = benchmarks::provenance_of_this_machine();
  provenance.command = std::string("own_learner ") + argv[1];
  const auto outputs = suite->run({}, provenance);
  std::cout << outputs.markdown;
  return outputs.failures.empty() ? 0 : 1;
} catch (const std::exception& e) {
  std::cerr << "own_learner: " << e.what() << '\n';
  return 1;
}
