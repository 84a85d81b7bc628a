#include <algorithm>
#include <cmath>

#include "benchmarks/episode_suites.hpp"
#include "benchmarks/report.hpp"
#include "benchmarks/sinusoid.hpp"
#include "benchmarks/svg.hpp"

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
                           {x(0, 0), x(x.rows() - 1, 0), false, ""},
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
      body += "<g><title>" + counted(at.steps, "step") + "</title>" +
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
  std::string body =
      "<h1>" + svg::escape(suite.name) + "</h1>\n<p class=\"lead\">" + explanation(suite) + "</p>\n";
  for (const auto shots : suite.shots) {
    const auto group = of_shots(scores, shots);
    body +=
        "<h2>From " + counted(shots, "point") + "</h2>\n<div class=\"scroll\"><table>\n<tr><th>learner</th>";
    for (const auto steps : suite.test_steps)
      body += "<th>" + counted(steps, "step") + "</th><th>median</th>";
    body += "<th>training, s</th></tr>\n";
    for (const auto* score : group) {
      body += "<tr><td>" + score->learner + "</td>";
      for (const auto& at : score->after)
        body += "<td>" + figure("%.3f", at.mean) + " <small>± " + figure("%.3f", at.ci95) +
                "</small></td><td>" + figure("%.3f", at.median) + "</td>";
      body += "<td>" + figure("%.1f", score->train_seconds) + "</td></tr>\n";
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
