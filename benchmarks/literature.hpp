#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "benchmarks/families.hpp"
#include "benchmarks/rows.hpp"
#include "benchmarks/runner.hpp"
#include "learners/options.hpp"

namespace fewwatt::benchmarks {

// Figures that papers on meta-learning publish, measured again with the meta-learners of meta/ and stated with the tolerance
// within which they are to be met. A suite as a file:
//   [suite]
//   name = literature
//   kind = literature
//   [experiment NAME]        one or more
//   source = ...             what the published figures are, and where they stand
//   learner = meta-sgd       maml, fomaml, meta-sgd, anil, reptile; alpaca, r2d2; dkt; prototypes
//   options = steps=60000 hidden=40,40     as meta-train --set has them; of maml, fomaml, meta-sgd and anil also
//                            loss=cross-entropy, with family gaussian-classes
//   meta_batch = 25          episodes in each outer step
//   train_support = 5        support rows of an episode, or the least and the most: 1, 10. Of classes: rows of each
//   train_query = 10         query rows of an episode
//   shots = 5, 10            support rows of a test task
//   test_steps = 1           with maml, fomaml, meta-sgd, anil and reptile: gradient steps on the support of a test task
//   test_tasks = 600         fixed by the seed; test_query = 100 query rows of each
//   published = 0.9, 0.63    for each of shots; "optimum" with family gaussian-classes: what one reaches who knows the family
//   tolerance = 0.2, 0.2     how far ours may be from it
//   family = sines           error: mean over the tasks of the mean squared error of their query
//     amplitude = 0.1, 5; frequency = 1, 1; phase = 0, 3.14159; x = -5, 5; noise = 0; unit_x = 1     each where it differs (Sines)
//   family = gaussian-classes     error: share of the query rows whose class is not the predicted one, %
//     ways = 5; dimensions = 32; informative = 4; spread = 2     each where it differs (GaussianClasses)
struct Experiment {
  std::string name;                // of the section
  std::string source;              // where the published figures stand
  std::string learner;             // the meta-learner that is trained
  learners::Settings options;      // of its training
  std::size_t meta_batch = 0;      // episodes in each outer step
  std::size_t test_steps = 0;      // gradient steps on the support of a test task
  std::size_t test_tasks = 0;      // number of test tasks
  std::size_t test_query = 0;      // query rows of each
  Rows train;                      // of training episodes
  std::vector<std::size_t> shots;  // support rows of test tasks
  std::vector<double> published;   // for each of shots; empty where the optimum is computed
  std::vector<double> tolerance;   // for each of shots
  bool classes = false;            // whether the family is gaussian-classes, else sines
  Sines sines;                     // the family where classes is false
  GaussianClasses gaussians;       // the family where classes is true
};
// A suite file.
struct LiteratureSuite {
  std::string path;                     // of the file
  std::string name;                     // of the suite
  std::vector<Experiment> experiments;  // in the order of the file
};

bool is_literature_suite(const std::string& path);  // throws datasets::DataError when it is no INI file
// Throws datasets::DataError naming the file, section and key, what is expected and what stands there.
LiteratureSuite read_literature_suite(const std::string& path);
// Leaves the experiments of these names. Throws std::invalid_argument listing the known names.
void keep_experiments(LiteratureSuite& suite, const std::vector<std::string>& names);

// One published figure, and ours.
struct LiteratureScore {
  std::string experiment;      // its name
  std::string learner;         // the meta-learner
  std::size_t shots = 0;       // support rows
  double error = 0, ci95 = 0;  // mean over test tasks, 1.96 standard errors of it
  double published = 0;        // the paper's error
  double tolerance = 0;        // how far ours may be from it
  double train_seconds = 0;    // wall time of training
  bool within() const;         // whether ours is within the tolerance
  std::string title() const;   // "alpaca-sines, 5 shots"
};

// In the order of experiments, then shots; the same for any number of threads. Throws std::runtime_error naming the experiment when
// training diverges.
std::vector<LiteratureScore> run_literature(const LiteratureSuite& suite, const RunOptions& options,
                                            const Progress& progress = {});

// rows.jsonl as to_jsonl() has it, where the learner is the experiment: metrics error, error_ci95, published, tolerance and
// train_seconds.
std::string literature_jsonl(const LiteratureSuite& suite, const std::vector<LiteratureScore>& scores,
                             const Provenance& provenance);
// table.md.
std::string literature_markdown(const LiteratureSuite& suite, const std::vector<LiteratureScore>& scores,
                                const Provenance& provenance);
// experiment,learner,shots,published,tolerance,error,ci95,within
std::string literature_csv(const std::vector<LiteratureScore>& scores);
// report.html.
std::string literature_html(const LiteratureSuite& suite, const std::vector<LiteratureScore>& scores,
                            const Provenance& provenance);

}  // namespace fewwatt::benchmarks
