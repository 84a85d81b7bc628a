#pragma once

// What fewwatt meta-train tells while it trains.

#include <cmath>
#include <cstddef>
#include <optional>
#include <string>

#include "datasets/atomic_file.hpp"
#include "learners/programs/live_page.hpp"
#include "meta/training_run.hpp"

namespace fewwatt::meta_train {

// --log: one JSON object per outer step or validation of an agent.
class JsonLog {
 public:
  explicit JsonLog(const std::string& path);  // "": no log
  // Writes a line. seconds: since the run began.
  void add(const meta::RunProgress& now, double seconds);

 private:
  std::optional<datasets::LineFile> file_;
};

// --live: the same objects as rows of a page, every 0.2 s and those that begin a phase, validate or end.
class LiveTraining {
 public:
  explicit LiveTraining(program::LivePage& page) : page_(page) {}  // which must outlive it
  // learner: its name. profiles: how many are trained on.
  void show(const std::string& learner, std::size_t profiles);
  void add(const meta::RunProgress& now, double seconds);  // as JsonLog::add()

 private:
  program::LivePage& page_;
  std::string phase_;
  double told_ = -1;  // when, s
};

// A bar on stderr: how far, loss, last validation, time left; of an agent also returns and steps a second.
class Bar {
 public:
  // shown: otherwise nothing is drawn.
  explicit Bar(bool shown) : shown_(shown) {}
  // Draws it anew, every 0.1 s at most until all is done. seconds: since the run began.
  void draw(const meta::RunProgress& now, double seconds);
  void clear();  // takes it off the line, for other text

 private:
  void keep_validation(const meta::RunProgress& now);

  bool shown_, on_line_ = false;
  std::string phase_;
  // Of the last validation: its error, or its mean return and regret.
  double validation_ = std::nan(""), regret_ = std::nan("");
  double drawn_ = -1;  // when, s
};

}  // namespace fewwatt::meta_train
