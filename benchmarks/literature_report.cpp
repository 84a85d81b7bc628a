#include <algorithm>
#include <tuple>

#include "benchmarks/blocks.hpp"
#include "benchmarks/episode_suites.hpp"
#include "benchmarks/literature.hpp"
#include "hw/text.hpp"

namespace fewwatt::benchmarks {
namespace {

// The sentence that names the figures which are not within their tolerance.
std::string misses(const std::vector<LiteratureScore>& scores) {
  std::vector<std::string> names;
  for (const auto& score : scores)
    if (!score.within()) names.push_back(score.title());
  return names.empty() ? "Every figure is within its tolerance."
                       : "Not within the tolerance: " + hw::join(names, "; ") + ".";
}

}  // namespace

std::string literature_jsonl(const LiteratureSuite& suite, const std::vector<LiteratureScore>& scores,
                             const Provenance& provenance) {
  std::string lines;
  for (const auto& score : scores) {
    const bool classes = std::any_of(suite.experiments.begin(), suite.experiments.end(),
                                     [&](const auto& e) { return e.name == score.experiment && e.classes; });
    const char* const unit = classes ? "%" : "1";
    for (const auto& [metric, value, of] : {std::tuple("error", score.error, unit),
                                            {"error_ci95", score.ci95, unit},
                                            {"published", score.published, unit},
                                            {"tolerance", score.tolerance, unit},
                                            {"train_seconds", score.train_seconds, "s"}})
      lines += to_jsonl(
          {suite.name, "tasks", score.experiment, score.shots, metric, value, of, score.train_seconds},
          std::nullopt, provenance);
  }
  return lines;
}

std::string literature_markdown(const LiteratureSuite& suite, const std::vector<LiteratureScore>& scores,
                                const Provenance& provenance) {
  std::string page =
      "# " + suite.name + "\n\n`" + provenance.command + "`, revision " + provenance.git + ", " +
      provenance.host + ", " + provenance.cpu + ".\n\n" +
      "Errors of test tasks after training on others, and what was published. " + misses(scores) +
      "\n\n| experiment | learner | shots | published | tolerance | ours | within | training, s |\n"
      "|---|---|---:|---:|---:|---:|---|---:|\n";
  for (const auto& score : scores)
    page += "| " + score.experiment + " | " + score.learner + " | " + std::to_string(score.shots) + " | " +
            figure("%.4g", score.published) + " | " + figure("%.2g", score.tolerance) + " | " +
            figure("%.4g", score.error) + " ± " + figure("%.2g", score.ci95) + " | " +
            (score.within() ? "yes" : "no") + " | " + figure("%.1f", score.train_seconds) + " |\n";
  page += "\n";
  for (const auto& experiment : suite.experiments)
    page += "- " + experiment.name + ": " + experiment.source + "\n";
  return page;
}

std::string literature_csv(const std::vector<LiteratureScore>& scores) {
  std::string table = "experiment,learner,shots,published,tolerance,error,ci95,within\n";
  for (const auto& score : scores)
    table += score.experiment + ',' + score.learner + ',' + std::to_string(score.shots) + ',' +
             csv_figure(score.published) + ',' + csv_figure(score.tolerance) + ',' + csv_figure(score.error) +
             ',' + csv_figure(score.ci95) + ',' + (score.within() ? "yes" : "no") + '\n';
  return table;
}

std::string literature_html(const LiteratureSuite& suite, const std::vector<LiteratureScore>& scores,
                            const Provenance& provenance) {
  return blocks::page(suite.name, blocks::text_report(literature_markdown(suite, scores, provenance)));
}

}  // namespace fewwatt::benchmarks
