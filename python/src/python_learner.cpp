#include "python/src/python_learner.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "learners/learner.hpp"

namespace fewwatt::python {
namespace {

// A Python object that threads without the GIL may let go of.
class Held {
 public:
  explicit Held(py::object object) : object_(std::move(object)) {}
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() {
    const py::gil_scoped_acquire gil;
    object_ = py::object();
  }
  const py::object& get() const { return object_; }

 private:
  py::object object_;
};
using Keeper = std::shared_ptr<const Held>;

// What work() gives, with the GIL. What Python raises becomes a std::runtime_error with its text alone: it may be caught where there is no
// GIL.
template <class Work>
auto with_gil(const Work& work) {
  const py::gil_scoped_acquire gil;
  std::string message;
  try {
    return work();
  } catch (const py::error_already_set& e) {
    message = py::str(e.value()).cast<std::string>();
    // Ctrl-C: whoever runs the suite asks for it again between the parts of the run, which this one's failure does not end.
    if (e.matches(PyExc_KeyboardInterrupt)) PyErr_SetInterrupt();
  }
  throw std::runtime_error(message);
}

tasks::Matrix matrix_or_nothing(const py::object& value, const std::string& name) {
  return value.is_none() ? tasks::Matrix() : matrix_of(value, name);
}

class PythonPredictor final : public learners::Predictor {
 public:
  PythonPredictor(Keeper predict, std::size_t knobs) : predict_(std::move(predict)), knobs_(knobs) {}

  learners::Prediction predict(std::span<const hw::PowerMode> modes) const override {
    return with_gil([&] {
      const std::vector<hw::PowerMode> given(modes.begin(), modes.end());
      const auto logs = predict_->get()(array_of(given, knobs_)).cast<py::tuple>();
      return learners::Prediction{matrix_or_nothing(logs[0], "log_mean"),
                                  matrix_or_nothing(logs[1], "log_variance"),
                                  matrix_or_nothing(logs[2], "latent_log_variance")};
    });
  }

 private:
  Keeper predict_;
  std::size_t knobs_;
};

class PythonLearner final : public learners::Learner {
 public:
  explicit PythonLearner(Keeper adapt) : adapt_(std::move(adapt)) {}

  std::unique_ptr<const learners::Predictor> adapt(const learners::Samples& support) const override {
    return with_gil([&]() -> std::unique_ptr<const learners::Predictor> {
      auto predict = adapt_->get()(std::make_shared<learners::Samples>(support));
      return std::make_unique<PythonPredictor>(std::make_shared<const Held>(std::move(predict)),
                                               support.space->knobs().size());
    });
  }

 private:
  Keeper adapt_;
};

// What a Python meta-learner has learned stays a Python object. Checkpoints are plain numbers, so they hold its place in this list, which
// only the GIL's owner touches.
struct Learned {
  std::vector<Keeper> adapts;
};
constexpr const char* kPlace = "python object";

struct Steps {
  int steps = 0;
  void each(learners::OptionVisitor& on) {
    on.whole("steps", steps, 0, 1'000'000'000, "outer updates; 0: its own");
  }
};

learners::LearnerEntry trained_entry(const std::string& name, const std::string& about,
                                     bool gives_uncertainty, const std::shared_ptr<Learned>& learned) {
  return {.name = name,
          .about = about,
          .needs_checkpoint = true,
          .gives_uncertainty = gives_uncertainty,
          .make = [learned](const learners::Checkpoint& checkpoint, const learners::Settings&,
                            const learners::Registry&) -> std::unique_ptr<const learners::Learner> {
            const auto place = static_cast<std::size_t>(checkpoint.number(kPlace));
            return with_gil([&] { return std::make_unique<PythonLearner>(learned->adapts.at(place)); });
          }};
}

meta::MetaLearnerEntry training_entry(const std::string& name, const std::string& about, const Keeper& train,
                                      const std::shared_ptr<Learned>& learned) {
  return {.name = name,
          .about = about,
          .adapted_by = name,
          .options = [](learners::OptionVisitor& on) { Steps().each(on); },
          .train =
              [name, train, learned](const meta::InitializerRequest& request,
                                     const std::vector<datasets::Profile>& profiles, const meta::Log&,
                                     const meta::Registry&) {
                Steps steps;
                learners::set_options(request.settings, name,
                                      [&](learners::OptionVisitor& on) { steps.each(on); });
                return with_gil([&] {
                  py::list given;
                  for (const auto& profile : profiles)
                    given.append(std::make_shared<datasets::Profile>(profile));
                  auto adapt = train->get()(given, request.seed, steps.steps);
                  learned->adapts.push_back(std::make_shared<const Held>(std::move(adapt)));
                  learners::Checkpoint checkpoint;
                  checkpoint.learner = name;
                  checkpoint.numbers[kPlace] = {static_cast<double>(learned->adapts.size() - 1)};
                  checkpoint.texts["trained_by"] = name;
                  return checkpoint;
                });
              }};
}

}  // namespace

void add_python_learner(meta::Registry& registry, const py::object& adapter) {
  const auto name = adapter.attr("name").cast<std::string>();
  const auto about = adapter.attr("about").cast<std::string>();
  const bool gives_uncertainty = adapter.attr("gives_uncertainty").cast<bool>();
  if (adapter.attr("is_trained").cast<bool>()) {
    const auto learned = std::make_shared<Learned>();
    registry.learners.add(trained_entry(name, about, gives_uncertainty, learned));
    registry.meta_learners.add(training_entry(
        name, about, std::make_shared<const Held>(py::object(adapter.attr("train"))), learned));
    return;
  }
  const auto adapt = std::make_shared<const Held>(py::object(adapter.attr("adapt")));
  registry.learners.add(
      {.name = name,
       .about = about,
       .gives_uncertainty = gives_uncertainty,
       .make = [adapt](const learners::Checkpoint&, const learners::Settings&, const learners::Registry&)
           -> std::unique_ptr<const learners::Learner> { return std::make_unique<PythonLearner>(adapt); }});
}

}  // namespace fewwatt::python
