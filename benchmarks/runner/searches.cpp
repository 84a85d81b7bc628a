#include "benchmarks/runner/searches.hpp"

#include <iterator>
#include <memory>
#include <utility>

#include "benchmarks/runner/failures.hpp"
#include "hw/jobs.hpp"
#include "hw/random.hpp"

namespace fewwatt::benchmarks {
namespace {

SearchSubject search_subject_of(const Subject& subject) {
  const auto& profile = *subject.profile;
  std::vector<hw::PowerMode> modes;
  Matrix truth(static_cast<Eigen::Index>(subject.deciding_rows.size()), tasks::kNumTargets);
  const bool exact = !profile.time_true_ms.empty() && !profile.power_true_w.empty();
  for (std::size_t i = 0; i < subject.deciding_rows.size(); ++i) {
    const auto row = subject.deciding_rows[i];
    modes.push_back(profile.modes[row]);
    const auto at = static_cast<Eigen::Index>(i);
    if (exact)
      truth.row(at) << profile.time_true_ms[row], profile.power_true_w[row];
    else
      truth.row(at) = subject.deciding.row(at);
  }
  auto space = modes.size() == profile.space->size()
                   ? profile.space
                   : std::make_shared<const hw::PowerModeSpace>(
                         hw::PowerModeSpace::list(profile.space->knobs(), modes));
  auto result = search_subject(std::move(space), std::move(truth), subject.budgets_w);
  result.characteristics = tasks::characteristics_of(profile.attributes);
  return result;
}

struct SearchJob {
  const Subject* subject;
  const SearchSubject* searched;
  const SearchName* search;
  std::size_t measured;
  std::uint64_t draw;
};

struct SearchResult {
  std::vector<SearchOutcome> outcomes;
  double seconds = 0;
  std::string failure = {};
};

SearchResult run_search_job(const TableRun& run, const SearchJob& job) {
  SearchResult result;
  const auto start = Clock::now();
  std::shared_ptr<const learners::Learner> learner;
  for (const auto& contestant : job.subject->split->contestants) {
    if (contestant.name != job.search->learner) continue;
    learner = contestant.learner;
    result.failure = contestant.failure;
  }
  if (result.failure.empty())
    result.failure = failure_of([&] {
      const auto draws = hw::Rng::stream(run.options.seed, "bench search of " + job.subject->profile->device +
                                                               '/' + job.subject->profile->workload);
      result.outcomes = run_search(*job.search, learner, *job.searched, job.measured, hw::Rng(draws).bits(),
                                   job.draw, run.registry);
    });
  result.seconds = seconds_since(start);
  return result;
}

double percent(std::size_t part, std::size_t all) {
  return 100 * static_cast<double>(part) / static_cast<double>(all);
}

// The rows of one draw of one workload.
std::vector<Row> rows_of_draw(const TableSuite& suite, const SearchJob& job, const SearchResult& result) {
  const auto& outcomes = result.outcomes;
  std::vector<Row> rows;
  if (outcomes.empty()) return rows;
  std::vector<double> regrets;
  std::size_t broken = 0;
  for (const auto& one : outcomes) {
    regrets.push_back(100 * one.regret);
    broken += one.broken ? 1 : 0;
  }
  RowWriter writer(rows, row_of(suite, *job.subject, job.search->label, "search", job.measured, job.draw,
                                result.seconds / static_cast<double>(outcomes.size())));
  writer.add("strict_regret", median(regrets));
  writer.add("strict_regret_p90", quantile(regrets, 0.9));
  writer.add("violations", percent(broken, outcomes.size()));
  return rows;
}

// A row that stands for all workloads and draws, without metric and value.
Row row_of_all(const TableSuite& suite, const std::string& name, const std::string& sampler,
               std::size_t measured) {
  return {.suite = suite.name,
          .device = "all",
          .workload = "all",
          .learner = name,
          .sampler = sampler,
          .shots = measured,
          .seed = 0,
          .metric = "",
          .value = 0,
          .seconds = 0,
          .split = "all"};
}

// The rows that sum up a search with this number of measurements, over all draws and workloads.
std::vector<Row> pooled_rows(const TableSuite& suite, const std::string& name, const std::string& sampler,
                             std::size_t measured, const std::vector<SearchOutcome>& outcomes) {
  std::vector<Row> rows;
  if (outcomes.empty()) return rows;
  std::vector<double> regrets;
  double sum = 0, over = 0;
  std::size_t inside = 0;
  for (const auto& one : outcomes) {
    regrets.push_back(100 * one.regret);
    over += static_cast<double>(one.over);
    if (!one.answered || one.broken) continue;
    ++inside;
    sum += 100 * one.regret;
  }
  RowWriter writer(rows, row_of_all(suite, name, sampler, measured));
  writer.add("search_inside", percent(inside, outcomes.size()));
  writer.add("search_regret", median(regrets));
  writer.add("search_regret_p90", quantile(regrets, 0.9));
  if (inside > 0) writer.add("search_regret_mean", sum / static_cast<double>(inside));
  writer.add("search_over", over / static_cast<double>(outcomes.size()));
  return rows;
}

DrawGroup group_of(const SearchJob& job) {
  return {job.search->label, "search", nullptr, job.measured};
}

// All searches of the suite. Those whose outcomes are summed up together are neighbours.
std::vector<SearchJob> jobs_of(const TableSuite& suite, const std::vector<Subject>& subjects,
                               const std::vector<SearchSubject>& searched) {
  std::vector<SearchJob> jobs;
  for (const auto& search : suite.searches)
    for (const auto measured : search.measured ? std::vector{*search.measured} : suite.measured)
      for (std::size_t i = 0; i < subjects.size(); ++i)
        for (std::uint64_t draw = 0; subjects[i].decides && draw < suite.seeds; ++draw)
          jobs.push_back({&subjects[i], &searched[i], &search, measured, draw});
  return jobs;
}

void append(std::vector<Row>& rows, std::vector<Row> more) {
  std::move(more.begin(), more.end(), std::back_inserter(rows));
}

// Appends the rows of all searches, and after neighbours that are summed up together, the rows that do so. Leaves out those that failed.
void gather(const TableSuite& suite, const std::vector<SearchJob>& jobs,
            const std::vector<SearchResult>& found, Result& result) {
  Failures failures;
  for (std::size_t i = 0; i < jobs.size(); ++i)
    failures.add(group_of(jobs[i]),
                 where_of(*jobs[i].subject, std::to_string(jobs[i].measured) + " measured, draw " +
                                                std::to_string(jobs[i].draw)),
                 found[i].failure);
  result.failures.insert(result.failures.end(), failures.all().begin(), failures.all().end());
  std::vector<SearchOutcome> pool;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto& job = jobs[i];
    const auto group = group_of(job);
    if (!failures.in(group)) {
      append(result.rows, rows_of_draw(suite, job, found[i]));
      pool.insert(pool.end(), found[i].outcomes.begin(), found[i].outcomes.end());
    }
    const bool last =
        i + 1 == jobs.size() || jobs[i + 1].search != job.search || jobs[i + 1].measured != job.measured;
    if (!last) continue;
    if (failures.in(group))
      RowWriter(result.rows, row_of_all(suite, group.learner, group.sampler, group.shots))
          .add("failed", failures.percent(group));
    append(result.rows, pooled_rows(suite, job.search->label, "search", job.measured, pool));
    pool.clear();
  }
}

// The rows of one who does not search: all knobs at their highest level, or the fastest preset that fits.
void add_baselines(const TableSuite& suite, const std::vector<Subject>& subjects,
                   const std::vector<SearchSubject>& searched, std::vector<Row>& rows) {
  for (const bool maximum : {true, false}) {
    if (!maximum && suite.module.empty()) continue;
    std::vector<SearchOutcome> pool;
    for (std::size_t i = 0; i < subjects.size(); ++i) {
      if (!subjects[i].decides) continue;
      const auto answers =
          answer_among(searched[i], maximum ? fastest_row(subjects[i]) : preset_rows(suite, subjects[i]));
      pool.insert(pool.end(), answers.begin(), answers.end());
    }
    append(rows, pooled_rows(suite, maximum ? "maxn" : "presets", "none", 0, pool));
  }
}

}  // namespace

void search_all(const TableRun& run, const std::vector<Subject>& subjects, std::size_t threads,
                const std::function<void(std::size_t all)>& tick, Result& result) {
  std::vector<SearchSubject> searched;
  for (const auto& subject : subjects)
    searched.push_back(subject.decides ? search_subject_of(subject) : SearchSubject());
  const auto jobs = jobs_of(run.suite, subjects, searched);
  std::vector<SearchResult> found(jobs.size());
  hw::run_jobs(jobs.size(), threads, [&](std::size_t i) {
    found[i] = run_search_job(run, jobs[i]);
    tick(jobs.size());
  });
  gather(run.suite, jobs, found, result);
  add_baselines(run.suite, subjects, searched, result.rows);
}

}  // namespace fewwatt::benchmarks
