#include <algorithm>
#include <cmath>

#include "benchmarks/blocks.hpp"
#include "benchmarks/episode_suites.hpp"
#include "benchmarks/sinusoid.hpp"

namespace fewwatt::benchmarks {
namespace {

using meta::Matrix;

std::vector<const SinusoidScore*> of_shots(const std::vector<SinusoidScore>& scores, std::size_t shots) {
  std::vector<const SinusoidScore*> found;
  for (const auto& score : scores)
    if (score.shots == shots) found.push_back(&score);
  return found;
}

std::string explanation(const SinusoidSuite& suite) {
  return "Mean squared error on " +
         (suite.test_query > 0 ? counted(suite.test_query, "point") : std::string("as many new points")) +
         " of each of " + std::to_string(suite.test_tasks) +
         " sine curves, evenly over amplitudes and phases and the same for all learners, after gradient "
         "steps on the measured points: mean ± 95 % confidence "
         "interval over the curves, and the median. One training seed.";
}

// Figures of the first test curve, one for each learner.
blocks::Json curves(const SinusoidSuite& suite, const std::vector<const SinusoidScore*>& scores,
                    std::size_t shots, std::uint64_t seed) {
  using blocks::Json;
  const auto task = suite.draw_test_tasks(seed, shots)[0];
  const Matrix x = sinusoid_grid(), truth = task.sine(x);
  const double reach = 1.6 * task.sine.amplitude + 0.3;
  Json figures = Json::array();
  for (const auto* score : scores) {
    Json across = blocks::axis(""), up = blocks::axis("");
    across["range"] = {x(0, 0), x(x.rows() - 1, 0)};
    up["range"] = {-reach, reach};
    Json figure = blocks::figure(score->learner, std::move(across), std::move(up));
    const auto add_curve = [&](auto value_at, Json line) {
      for (Eigen::Index p = 0; p < x.rows(); ++p) {
        const double value = value_at(p);
        if (!std::isfinite(value)) return;
        blocks::add_point(line, x(p, 0), std::clamp(value, -reach, reach));
      }
      figure["lines"].push_back(std::move(line));
    };
    add_curve([&](auto p) { return truth(p, 0); }, blocks::line("", "text"));
    const auto position = std::find(suite.learners.begin(), suite.learners.end(), score->learner);
    for (std::size_t a = 0; a < score->after.size(); ++a) {
      const auto& at = score->after[a];
      Json line = blocks::line(counted(at.steps, "step"), position - suite.learners.begin());
      line["alpha"] = static_cast<double>(a + 1) / static_cast<double>(score->after.size());
      line["isDashed"] = a == 0;
      add_curve([&](auto p) { return at.curve[static_cast<std::size_t>(p)]; }, std::move(line));
    }
    Json measured = blocks::dots("", "text");
    for (Eigen::Index p = 0; p < task.episode.support_x.rows(); ++p)
      blocks::add_point(measured, task.episode.support_x(p, 0), task.episode.support_y(p, 0));
    figure["dots"].push_back(std::move(measured));
    figures.push_back(std::move(figure));
  }
  return blocks::figures(
      std::move(figures),
      "The first test curve and its measured points, in the colour of the text. Coloured: the net before any "
      "step, dashed, and after each number of steps of the table, stronger with more.");
}

}  // namespace

std::string sinusoid_jsonl(const SinusoidSuite& suite, const std::vector<SinusoidScore>& scores,
                           const Provenance& provenance) {
  std::string lines;
  for (const auto& score : scores) {
    const auto add = [&](const char* metric, double value, const char* unit,
                         std::optional<std::size_t> steps) {
      lines +=
          to_jsonl({suite.name, "sine", score.learner, score.shots, metric, value, unit, score.train_seconds},
                   steps, provenance);
    };
    for (const auto& at : score.after) {
      add("query_mse", at.mean, "1", at.steps);
      add("query_mse_ci95", at.ci95, "1", at.steps);
      add("query_mse_median", at.median, "1", at.steps);
    }
    add("train_seconds", score.train_seconds, "s", std::nullopt);
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
      head += ' ' + counted(steps, "step") + " | median |";
      rule += "---:|---:|";
    }
    page += "\n## From " + counted(shots, "point") + "\n\n" + head + " training, s |\n" + rule + "---:|\n";
    for (const auto* score : of_shots(scores, shots)) {
      page += "| " + score->learner + " |";
      for (const auto& at : score->after)
        page += ' ' + figure("%.3f", at.mean) + " ± " + figure("%.3f", at.ci95) + " | " +
                figure("%.3f", at.median) + " |";
      page += ' ' + figure("%.1f", score->train_seconds) + " |\n";
    }
  }
  return page;
}

std::string sinusoid_csv(const std::vector<SinusoidScore>& scores) {
  std::string table = "shots,learner,steps,mean,ci95,median\n";
  for (const auto& score : scores)
    for (const auto& at : score.after)
      table += std::to_string(score.shots) + ',' + score.learner + ',' + std::to_string(at.steps) + ',' +
               csv_figure(at.mean) + ',' + csv_figure(at.ci95) + ',' + csv_figure(at.median) + '\n';
  return table;
}

std::string sinusoid_html(const SinusoidSuite& suite, const std::vector<SinusoidScore>& scores,
                          const Provenance& provenance) {
  using blocks::Json;
  Json all = {blocks::heading(2, suite.name), blocks::text(explanation(suite))};
  for (const auto shots : suite.shots) {
    const auto group = of_shots(scores, shots);
    Json header = {"learner"}, rows = Json::array();
    for (const auto steps : suite.test_steps) {
      header.push_back(counted(steps, "step"));
      header.push_back("median");
    }
    header.push_back("training, s");
    for (const auto* score : group) {
      Json row = {score->learner};
      for (const auto& at : score->after) {
        row.push_back({{"text", figure("%.3f", at.mean)}, {"small", "± " + figure("%.3f", at.ci95)}});
        row.push_back(figure("%.3f", at.median));
      }
      row.push_back(figure("%.1f", score->train_seconds));
      rows.push_back(std::move(row));
    }
    all.push_back(blocks::heading(2, "From " + counted(shots, "point")));
    all.push_back(blocks::table(std::move(header), std::move(rows)));
    all.push_back(curves(suite, group, shots, provenance.seed));
  }
  const std::pair<std::string, std::string> entries[] = {{"command", provenance.command},
                                                         {"revision", provenance.git},
                                                         {"host", provenance.host},
                                                         {"processor", provenance.cpu},
                                                         {"seed", std::to_string(provenance.seed)}};
  all.push_back(blocks::heading(2, "Where this comes from"));
  all.push_back(blocks::terms(entries));
  return blocks::page(suite.name, std::move(all));
}

}  // namespace fewwatt::benchmarks
