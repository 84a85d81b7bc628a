#include "benchmarks/sinusoid.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numbers>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "benchmarks/jobs.hpp"
#include "benchmarks/report.hpp"
#include "benchmarks/suite.hpp"
#include "benchmarks/suite_keys.hpp"
#include "benchmarks/svg.hpp"
#include "datasets/csv.hpp"
#include "datasets/ini.hpp"
#include "hw/json_text.hpp"
#include "meta/train.hpp"

namespace fewwatt::benchmarks {
namespace {

using datasets::DataError;
using datasets::IniSection;
using meta::Matrix;
using meta::Vector;
using Clock = std::chrono::steady_clock;

constexpr double kLow = -5, kHigh = 5;     // of x
constexpr double kLeast = 0.1, kMost = 5;  // of the amplitude
constexpr std::array kLearners = {"random-init", "pretrain", "reptile", "fomaml", "maml", "meta-sgd"};
constexpr double kRateClamp = 10;

Matrix draw_points(hw::Rng& rng, std::size_t count) {
  Matrix x(static_cast<Eigen::Index>(count), 1);
  for (double& value : x.reshaped()) value = rng.uniform(kLow, kHigh);
  return x;
}

// `count` points, evenly from the lowest x to the highest.
Matrix even_points(std::size_t count) {
  return Vector::LinSpaced(static_cast<Eigen::Index>(count), kLow, kHigh);
}

learners::MlpShape shape_of(const std::vector<int>& hidden, learners::Activation activation) {
  learners::MlpShape shape{{1}, activation, {}};
  shape.sizes.insert(shape.sizes.end(), hidden.begin(), hidden.end());
  shape.sizes.push_back(1);
  return shape;
}

// Weights ~ N(0, 0.01^2), those beyond two standard deviations drawn again; biases 0. As Finn's code has it.
Vector small_weights(const learners::MlpShape& shape, std::uint64_t seed) {
  auto rng = hw::Rng::stream(seed, "sinusoid/weights");
  Vector parameters = Vector::Zero(static_cast<Eigen::Index>(shape.num_parameters()));
  for (std::size_t l = 0; l < shape.num_layers(); ++l) {
    const auto start = static_cast<Eigen::Index>(shape.offset(l));
    for (auto& weight : parameters.segment(start, shape.sizes[l] * shape.sizes[l + 1])) {
      do weight = rng.normal();
      while (std::abs(weight) > 2);
      weight *= 0.01;
    }
  }
  return parameters;
}

// What a learner gives a new task: a net to start from, and gradient steps of one rate or of learned ones.
struct Start {
  learners::MlpShape shape;
  Vector weights;
  double rate = 0;
  Matrix rates = {};  // of each parameter, instead of `rate`; [0,0] for none
};

Start untrained(const SinusoidSuite& suite, std::uint64_t seed) {
  const auto shape = shape_of(suite.hidden, learners::Activation::relu);
  return {shape, small_weights(shape, seed), suite.inner.rate};
}

meta::MamlOptions maml_options(const SinusoidSuite& suite, const std::string& learner) {
  meta::MamlOptions options;
  options.inner = suite.inner;
  options.inner.first_order = learner == "fomaml";
  if (learner == "meta-sgd") options.learned_rates = meta::LearnedRates::per_parameter;
  options.rate_clamp = kRateClamp;
  options.outer_rate = suite.outer_rate;
  options.max_steps = static_cast<int>(suite.train_steps);
  options.clip_norm = suite.clip_norm;
  if (learner == "pretrain") {
    options.inner.steps = 0;
    options.clip_norm = std::numeric_limits<double>::infinity();
  }
  return options;
}

Start train(const SinusoidSuite& suite, const std::string& learner, std::size_t shots, std::uint64_t seed,
            const std::function<void(double part)>& progress) {
  auto start = untrained(suite, seed);
  if (learner == "random-init") return start;
  std::unique_ptr<meta::NetLearner> net;
  std::unique_ptr<tasks::EpisodeSource> source;
  auto steps = suite.train_steps, meta_batch = suite.meta_batch;
  if (learner == "reptile") {
    start.shape = shape_of(suite.reptile.net.hidden, suite.reptile.net.activation);
    start.rate = suite.reptile.inner_rate;
    auto rng = hw::Rng::stream(seed, "sinusoid/weights");
    net = std::make_unique<meta::Reptile>(learner, start.shape, learners::random_parameters(start.shape, rng),
                                          suite.reptile, seed);
    source = std::make_unique<EvenSineEpisodes>(seed, suite.reptile_points);
    steps = static_cast<std::size_t>(suite.reptile.max_steps);
    meta_batch = suite.reptile_batch;
  } else {
    net = std::make_unique<meta::Maml>(learner, start.shape, start.weights, maml_options(suite, learner));
    // Without inner steps only query points are learned from: all that the others see.
    source = learner == "pretrain" ? std::make_unique<SineEpisodes>(seed, 1, 2 * shots)
                                   : std::make_unique<SineEpisodes>(seed, shots, shots);
  }
  const auto all = static_cast<int>(steps);
  meta::train(
      *net, *source, {}, {.steps = all, .meta_batch = static_cast<int>(meta_batch), .validate_every = all},
      {.progress = [&](const meta::Progress& now) { progress(static_cast<double>(now.step) / all); }});
  start.weights = net->weights();
  start.rates = net->rates();
  return start;
}

// Adds the losses of one test task, and, of the first one, its curves.
void test(const Start& start, const SineTask& task, std::vector<SinusoidScore::AfterSteps>& after) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto& [support_x, support_y, query_x, query_y, name] = task.episode;
  Vector weights = start.weights;
  std::size_t done = 0;
  for (auto& at : after) {
    const learners::FineTuneOptions sgd{.optimizer = learners::Optimizer::sgd,
                                        .steps = static_cast<int>(at.steps - done),
                                        .rate = start.rates.size() > 0 ? 1.0 : start.rate,
                                        .stop_rms = 0};
    const auto net =
        learners::fine_tune<float>(start.shape, weights, sgd, 1.0, support_x, support_y, start.rates);
    weights = net.parameters().cast<double>();
    done = at.steps;
    const Matrix residual = net.forward(query_x.cast<float>()).template cast<double>() - query_y;
    const double loss = residual.squaredNorm() / static_cast<double>(residual.size());
    at.task_losses.push_back(weights.allFinite() && std::isfinite(loss) ? loss : kInfinity);
    if (at.task_losses.size() > 1) continue;
    const Matrix curve = net.forward(sinusoid_grid().cast<float>()).template cast<double>();
    at.curve.assign(curve.data(), curve.data() + curve.size());
  }
}

void summarise(SinusoidScore::AfterSteps& at) {
  const auto n = static_cast<double>(at.task_losses.size());
  at.mean = std::accumulate(at.task_losses.begin(), at.task_losses.end(), 0.0) / n;
  double squares = 0;
  for (const double loss : at.task_losses) squares += (loss - at.mean) * (loss - at.mean);
  at.ci95 = std::isfinite(at.mean) ? 1.96 * std::sqrt(squares / (n - 1) / n) : at.mean;
  at.median = median(at.task_losses);
}

// ---- the file

// Sizes of layers; other than in parse_counts(), two may be alike.
std::vector<int> hidden_layers(const IniSection& section) {
  std::vector<int> sizes;
  const std::string text = section.text("hidden");
  for (std::size_t start = 0; start <= text.size();) {
    const auto end = std::min(text.find(',', start), text.size());
    double size = 0;
    if (!datasets::parse_number(text.substr(start, end - start), size) || size < 1 || size > 4096 ||
        size != std::floor(size))
      refuse(section, "hidden", "sizes of layers as 40, 40");
    sizes.push_back(static_cast<int>(size));
    start = end + 1;
  }
  return sizes;
}

// Ascending whole numbers from 0.
std::vector<std::size_t> step_counts(const IniSection& section) {
  const char* expected = "ascending whole numbers from 0";
  std::vector<std::size_t> steps;
  for (const auto& part : parse_key(section, "test_steps", parse_list)) {
    double value = 0;
    if (!datasets::parse_number(part, value) || value < 0 || value > 1e6 || value != std::floor(value) ||
        (!steps.empty() && value <= static_cast<double>(steps.back())))
      refuse(section, "test_steps", expected);
    steps.push_back(static_cast<std::size_t>(value));
  }
  return steps;
}

void read_reptile(const IniSection& section, SinusoidSuite& suite) {
  section.check_keys({"hidden", "train_steps", "meta_batch", "points", "inner_batch", "inner_steps",
                      "inner_rate", "outer_rate"});
  auto& reptile = suite.reptile;
  reptile.net.hidden = hidden_layers(section);
  reptile.net.activation = learners::Activation::tanh;
  reptile.max_steps = static_cast<int>(count_of(section, "train_steps"));
  reptile.inner_steps = static_cast<int>(count_of(section, "inner_steps"));
  reptile.inner_batch = static_cast<int>(count_of(section, "inner_batch"));
  reptile.inner_rate = positive(section, "inner_rate");
  reptile.outer_rate = positive(section, "outer_rate");
  reptile.inner_optimizer = learners::Optimizer::sgd;
  reptile.inner_clip = std::numeric_limits<double>::infinity();
  suite.reptile_batch = count_of(section, "meta_batch");
  suite.reptile_points = count_of(section, "points");
  if (suite.reptile_points < 2) refuse(section, "points", "at least 2");
}

void check_has_reptile(const SinusoidSuite& suite) {
  const bool runs =
      std::find(suite.learners.begin(), suite.learners.end(), "reptile") != suite.learners.end();
  if (runs && suite.reptile_batch == 0)
    throw DataError(suite.path + ": the learner reptile needs a section [reptile]");
}

// ---- the outputs

std::string text(const char* format, double value) {
  if (std::isinf(value)) return "∞";
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string steps_text(std::size_t steps) {
  return std::to_string(steps) + (steps == 1 ? " step" : " steps");
}

std::string points_text(std::size_t shots) {
  return std::to_string(shots) + (shots == 1 ? " point" : " points");
}

std::vector<const SinusoidScore*> of_shots(const std::vector<SinusoidScore>& scores, std::size_t shots) {
  std::vector<const SinusoidScore*> found;
  for (const auto& score : scores)
    if (score.shots == shots) found.push_back(&score);
  return found;
}

std::string explanation(const SinusoidSuite& suite) {
  return "Mean squared error on " +
         (suite.test_query > 0 ? points_text(suite.test_query) : std::string("as many new points")) +
         " of each of " + std::to_string(suite.test_tasks) +
         " sine curves, evenly over amplitudes and phases and the same for all learners, after gradient "
         "steps on the measured points: mean ± 95 % confidence "
         "interval over the curves, and the median. One training seed.";
}

std::string curves(const SinusoidSuite& suite, const std::vector<const SinusoidScore*>& scores,
                   std::size_t shots, std::uint64_t seed) {
  const auto task = suite.draw_test_tasks(seed, shots)[0];
  const Matrix x = sinusoid_grid(), truth = task.sine(x);
  const double reach = 1.6 * task.sine.amplitude + 0.3;
  constexpr double kWidth = 1060, kHeight = 250;
  constexpr std::size_t kColumns = 3;
  const double width = kWidth / kColumns;
  std::string body;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const auto& score = *scores[i];
    const svg::Frame frame{static_cast<double>(i % kColumns) * width + 60,
                           static_cast<double>(i / kColumns) * kHeight + 24,
                           width - 74,
                           kHeight - 58,
                           {kLow, kHigh, false, ""},
                           {-reach, reach, false, ""}};
    const auto path = [&](auto value_at, const std::string& pen) {
      std::string d;
      for (Eigen::Index p = 0; p < x.rows(); ++p) {
        const double value = value_at(p);
        if (!std::isfinite(value)) return std::string();
        d += (p == 0 ? "M" : "L") + svg::number(frame.px(x(p, 0))) + ' ' +
             svg::number(frame.py(std::clamp(value, -reach, reach)));
      }
      return "<path d=\"" + d + "\" fill=\"none\" " + pen + "/>\n";
    };
    const auto position = std::find(suite.learners.begin(), suite.learners.end(), score.learner);
    const auto hue = colour_of(static_cast<std::size_t>(position - suite.learners.begin()));
    body +=
        frame.draw() + path([&](auto p) { return truth(p, 0); }, "stroke=\"#1d2329\" stroke-width=\"1.2\"");
    for (std::size_t a = 0; a < score.after.size(); ++a) {
      const auto& at = score.after[a];
      const double opacity = static_cast<double>(a + 1) / static_cast<double>(score.after.size());
      body += "<g><title>" + steps_text(at.steps) + "</title>" +
              path([&](auto p) { return at.curve[static_cast<std::size_t>(p)]; },
                   "stroke=\"" + hue + "\" stroke-width=\"1.8\" stroke-opacity=\"" + svg::number(opacity) +
                       "\"" + (a == 0 ? " stroke-dasharray=\"4 3\"" : "")) +
              "</g>\n";
    }
    for (Eigen::Index p = 0; p < task.episode.support_x.rows(); ++p)
      body += "<circle cx=\"" + svg::number(frame.px(task.episode.support_x(p, 0))) + "\" cy=\"" +
              svg::number(frame.py(task.episode.support_y(p, 0))) + "\" r=\"3.2\" fill=\"#1d2329\"/>\n";
    body += svg::text(frame.x, frame.y - 9, score.learner, "class=\"panel\" fill=\"" + hue + '"');
  }
  const double height = static_cast<double>((scores.size() + kColumns - 1) / kColumns) * kHeight;
  return "<figure>\n" + svg::document(kWidth, height, "One sine curve from a few points", body) +
         "<figcaption>The first test curve, black, and its measured points. Coloured: the net before any "
         "step, dashed, and after each number of steps of the table, darker with "
         "more.</figcaption>\n</figure>\n";
}

}  // namespace

Sine Sine::at(double amplitude_part, double phase_part) {
  return {kLeast + (kMost - kLeast) * amplitude_part, std::numbers::pi * phase_part};
}

Sine Sine::draw(hw::Rng& rng) {
  const double amplitude_part = rng.uniform();
  return at(amplitude_part, rng.uniform());
}

Matrix Sine::operator()(const Matrix& x) const {
  return (amplitude * (x.array() - phase).sin()).matrix();
}

SineTask SineTask::draw(const Sine& sine, hw::Rng& rng, std::size_t support, std::size_t query) {
  SineTask task{sine, {}};
  task.episode.name = "sine curve";
  task.episode.query_x = draw_points(rng, query);
  task.episode.support_x = draw_points(rng, support);
  task.episode.query_y = sine(task.episode.query_x);
  task.episode.support_y = sine(task.episode.support_x);
  return task;
}

tasks::Episode SineEpisodes::draw(std::uint64_t step, std::uint64_t number) const {
  return batch(step, static_cast<std::size_t>(number) + 1).back();
}

std::vector<tasks::Episode> SineEpisodes::batch(std::uint64_t step, std::size_t count) const {
  auto rng = hw::Rng::stream(seed_, "sinusoid/train", step);
  std::vector<tasks::Episode> episodes;
  for (std::size_t i = 0; i < count; ++i)
    episodes.push_back(SineTask::draw(Sine::draw(rng), rng, support_, query_).episode);
  return episodes;
}

tasks::Episode EvenSineEpisodes::draw(std::uint64_t step, std::uint64_t number) const {
  auto rng = tasks::episode_rng(seed_, "sinusoid/even", step, number);
  const auto sine = Sine::draw(rng);
  const Matrix x = even_points(points_), y = sine(x);
  const auto every_other = [](Eigen::Index first, Eigen::Index n) {
    return Eigen::seqN(first, (n - first + 1) / 2, 2);
  };
  const auto in_support = every_other(0, x.rows()), in_query = every_other(1, x.rows());
  return {x(in_support, Eigen::all), y(in_support, Eigen::all), x(in_query, Eigen::all),
          y(in_query, Eigen::all), "sine curve"};
}

Matrix sinusoid_grid() {
  return even_points(101);
}

std::vector<SineTask> SinusoidSuite::draw_test_tasks(std::uint64_t seed, std::size_t support) const {
  auto order = hw::Rng::stream(seed, "sinusoid/test curves");
  const auto amplitudes = order.sample(test_tasks, test_tasks), phases = order.sample(test_tasks, test_tasks);
  const auto n = static_cast<double>(test_tasks);
  std::vector<SineTask> drawn;
  for (std::size_t i = 0; i < test_tasks; ++i) {
    auto rng = hw::Rng::stream(seed, "sinusoid/test", i);
    const double amplitude_part = (static_cast<double>(amplitudes[i]) + rng.uniform()) / n;
    const auto sine = Sine::at(amplitude_part, (static_cast<double>(phases[i]) + rng.uniform()) / n);
    drawn.push_back(SineTask::draw(sine, rng, support, test_query > 0 ? test_query : support));
  }
  return drawn;
}

bool is_sinusoid_suite(const std::string& path) {
  const auto file = datasets::read_ini(path);
  const auto* head = file.find("suite");
  return head != nullptr && head->text_or("kind", "") == "sinusoid";
}

void check_sinusoid_learner(const std::string& name) {
  std::string known;
  for (const auto* learner : kLearners) {
    if (name == learner) return;
    known += (known.empty() ? "" : ", ") + std::string(learner);
  }
  throw std::invalid_argument("unknown learner '" + name + "', known are: " + known);
}

SinusoidSuite read_sinusoid_suite(const std::string& path) {
  const auto file = datasets::read_ini(path);
  const auto& head = file.section("suite");
  head.check_keys({"name", "kind", "learners", "shots", "test_steps", "test_tasks", "test_query",
                   "train_steps", "meta_batch", "hidden", "inner_steps", "inner_rate", "outer_rate",
                   "clip_norm"});
  SinusoidSuite suite;
  suite.path = path;
  suite.name = head.text("name");
  suite.learners = parse_key(head, "learners", parse_list);
  for (const auto& learner : suite.learners)
    parse_key(head, "learners", [&](const auto&) { check_sinusoid_learner(learner); });
  suite.shots = parse_key(head, "shots", parse_counts);
  suite.test_steps = step_counts(head);
  suite.test_tasks = count_of(head, "test_tasks");
  if (suite.test_tasks < 2) refuse(head, "test_tasks", "at least 2, for a confidence interval");
  if (head.find("test_query") != nullptr) suite.test_query = count_of(head, "test_query");
  suite.train_steps = count_of(head, "train_steps");
  suite.meta_batch = count_of(head, "meta_batch");
  suite.hidden = hidden_layers(head);
  suite.inner.steps = static_cast<int>(count_of(head, "inner_steps"));
  suite.inner.rate = positive(head, "inner_rate");
  suite.outer_rate = positive(head, "outer_rate");
  if (head.find("clip_norm") != nullptr) suite.clip_norm = positive(head, "clip_norm");
  for (const auto& section : file.sections) {
    if (section.name == "suite") continue;
    if (section.name != "reptile") throw DataError(section.where + ": expected [suite] or [reptile]");
    read_reptile(section, suite);
  }
  check_has_reptile(suite);
  return suite;
}

std::vector<SinusoidScore> run_sinusoid(const SinusoidSuite& suite, const RunOptions& options,
                                        const Progress& progress) {
  check_has_reptile(suite);
  std::vector<SinusoidScore> scores;
  for (const auto shots : suite.shots)
    for (const auto& learner : suite.learners) {
      auto& score = scores.emplace_back();
      score.learner = learner;
      score.shots = shots;
    }

  constexpr std::size_t kParts = 100;  // of a job, for progress
  std::mutex mutex;
  std::size_t done = 0;
  const auto threads =
      options.threads > 0 ? options.threads : std::max<std::size_t>(1, std::thread::hardware_concurrency());
  run_jobs(scores.size(), threads, [&](std::size_t i) {
    auto& score = scores[i];
    std::size_t parts = 0;
    const auto report = [&](double part) {
      const auto now = static_cast<std::size_t>(part * kParts);
      const std::lock_guard lock(mutex);
      for (; parts < now; ++parts)
        if (++done; progress.jobs) progress.jobs(done, scores.size() * kParts);
    };
    const auto begin = Clock::now();
    Start start;
    try {
      start = train(suite, score.learner, score.shots, options.seed, report);
    } catch (const std::runtime_error& e) {
      throw std::runtime_error(points_text(score.shots) + ": " + e.what());
    }
    score.train_seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    for (const auto steps : suite.test_steps) score.after.emplace_back().steps = steps;
    for (const auto& task : suite.draw_test_tasks(options.seed, score.shots)) test(start, task, score.after);
    for (auto& at : score.after) summarise(at);
    report(1);
    if (progress.log && score.train_seconds > 1) {
      const std::lock_guard lock(mutex);
      progress.log(score.learner + ", " + points_text(score.shots) + ": trained in " +
                   text("%.0f", score.train_seconds) + " s, error after " +
                   steps_text(score.after.back().steps) + " " + text("%.3f", score.after.back().mean));
    }
  });
  return scores;
}

std::string sinusoid_jsonl(const SinusoidSuite& suite, const std::vector<SinusoidScore>& scores,
                           const Provenance& provenance) {
  std::string lines;
  const auto add = [&](const SinusoidScore& score, const char* metric, double value, const char* unit,
                       nlohmann::ordered_json options) {
    nlohmann::ordered_json line{
        {"suite", suite.name}, {"device", "none"},     {"workload", "sine"}, {"learner", score.learner},
        {"sampler", "random"}, {"shots", score.shots}, {"seed", 0},          {"metric", metric}};
    if (std::isinf(value))
      line["value"] = "inf";
    else
      line["value"] = value;
    line["unit"] = unit;
    line["seconds"] = score.train_seconds;
    line["options"] = std::move(options);
    line["git"] = provenance.git;
    line["host"] = provenance.host;
    line["cpu"] = provenance.cpu;
    lines += hw::json_text(line) + '\n';
  };
  const auto run_options = nlohmann::ordered_json::parse(provenance.options_json);
  for (const auto& score : scores) {
    for (const auto& at : score.after) {
      auto options = run_options;
      options["steps"] = at.steps;
      add(score, "query_mse", at.mean, "1", options);
      add(score, "query_mse_ci95", at.ci95, "1", options);
      add(score, "query_mse_median", at.median, "1", options);
    }
    add(score, "train_seconds", score.train_seconds, "s", run_options);
  }
  return lines;
}

std::string sinusoid_markdown(const SinusoidSuite& suite, const std::vector<SinusoidScore>& scores,
                              const Provenance& provenance) {
  std::string page = "# " + suite.name + "\n\n`" + provenance.command + "`, revision " + provenance.git +
                     ", " + provenance.host + ", " + provenance.cpu + ".\n\n" + explanation(suite) + "\n";
  for (const auto shots : suite.shots) {
    std::string head = "| learner |", rule = "|---|";
    for (const auto steps : suite.test_steps) {
      head += ' ' + steps_text(steps) + " | median |";
      rule += "---:|---:|";
    }
    page += "\n## From " + points_text(shots) + "\n\n" + head + " training, s |\n" + rule + "---:|\n";
    for (const auto* score : of_shots(scores, shots)) {
      page += "| " + score->learner + " |";
      for (const auto& at : score->after)
        page += ' ' + text("%.3f", at.mean) + " ± " + text("%.3f", at.ci95) + " | " +
                text("%.3f", at.median) + " |";
      page += ' ' + text("%.1f", score->train_seconds) + " |\n";
    }
  }
  return page;
}

std::string sinusoid_csv(const std::vector<SinusoidScore>& scores) {
  std::string table = "shots,learner,steps,mean,ci95,median\n";
  const auto number = [](double value) { return std::isinf(value) ? "inf" : text("%.6g", value); };
  for (const auto& score : scores)
    for (const auto& at : score.after)
      table += std::to_string(score.shots) + ',' + score.learner + ',' + std::to_string(at.steps) + ',' +
               number(at.mean) + ',' + number(at.ci95) + ',' + number(at.median) + '\n';
  return table;
}

std::string sinusoid_html(const SinusoidSuite& suite, const std::vector<SinusoidScore>& scores,
                          const Provenance& provenance) {
  std::string body =
      "<h1>" + svg::escape(suite.name) + "</h1>\n<p class=\"lead\">" + explanation(suite) + "</p>\n";
  for (const auto shots : suite.shots) {
    const auto group = of_shots(scores, shots);
    body += "<h2>From " + points_text(shots) + "</h2>\n<div class=\"scroll\"><table>\n<tr><th>learner</th>";
    for (const auto steps : suite.test_steps) body += "<th>" + steps_text(steps) + "</th><th>median</th>";
    body += "<th>training, s</th></tr>\n";
    for (const auto* score : group) {
      body += "<tr><td>" + score->learner + "</td>";
      for (const auto& at : score->after)
        body += "<td>" + text("%.3f", at.mean) + " <small>± " + text("%.3f", at.ci95) + "</small></td><td>" +
                text("%.3f", at.median) + "</td>";
      body += "<td>" + text("%.1f", score->train_seconds) + "</td></tr>\n";
    }
    body += "</table></div>\n" + curves(suite, group, shots, provenance.seed);
  }
  body += "<h2>Where this comes from</h2>\n<dl>\n";
  for (const auto& [name, value] : {std::pair<std::string, std::string>{"command", provenance.command},
                                    {"revision", provenance.git},
                                    {"host", provenance.host},
                                    {"processor", provenance.cpu},
                                    {"seed", std::to_string(provenance.seed)}})
    body += "<dt>" + name + "</dt><dd>" + svg::escape(value) + "</dd>\n";
  return html_page(suite.name, body + "</dl>\n");
}

}  // namespace fewwatt::benchmarks
