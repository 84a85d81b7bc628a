// fewwatt view. What the page does in a browser is tested by view/page_test.py, its modules by view/*_test.mjs.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <tuple>
#include <vector>

#include "datasets/hdf5_file.hpp"
#include "datasets/profile_io.hpp"
#include "datasets/run_log.hpp"
#include "hw/modules.hpp"
#include "learners/checkpoint_io.hpp"
#include "tests/datasets/example_run.hpp"
#include "tests/learners/example_model.hpp"
#include "tests/run_program.hpp"

namespace fewwatt {
namespace view_program_test {

using nlohmann::json;
using tests::run_program;

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// The data of one element of a page.
json data_of(const std::string& html, const std::string& id) {
  const std::string begin = "<script type=\"application/json\" id=\"" + id + "\">";
  const auto at = html.find(begin);
  if (at == html.npos) return nullptr;
  const auto from = at + begin.size();
  return json::parse(html.substr(from, html.find("</script>", from) - from));
}

// The numbers that base64 text stands for.
template <class Number>
std::vector<Number> numbers_of(const std::string& base64) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  for (std::size_t i = 0; i + 3 < base64.size(); i += 4) {
    std::size_t group = 0, known = 0;
    for (std::size_t d = 0; d < 4; ++d) {
      const auto digit = digits.find(base64[i + d]);
      group = group << 6 | (digit == digits.npos ? 0 : digit);
      known += digit == digits.npos ? 0 : 1;
    }
    for (std::size_t b = 0; b + 1 < known; ++b) bytes += static_cast<char>(group >> (16 - 8 * b) & 255);
  }
  std::vector<Number> numbers(bytes.size() / sizeof(Number));
  std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(Number));
  return numbers;
}

constexpr const char* kRow =
    R"({"suite":"s","device":"d","workload":"w","learner":"gp","sampler":"random","shots":5,"seed":0,"metric":"time_mape","value":VALUE,"unit":"%"})";
constexpr const char* kGovern =
    "t_s,cpu_khz,time_ms,power_w,budget_w,reason,event\n5,1000,80,20,30,start,\n10,2000,,31.5,30,try,no-"
    "steps\n";

std::string row(const std::string& value) {
  std::string text = kRow;
  return text.replace(text.find("VALUE"), 5, value) + "\n";
}

class ViewProgram : public testing::Test {
 protected:
  ViewProgram() { learners::write_model(model_, tests::example_model()); }
  // The page of these arguments, which must be made.
  std::string page_of(const std::string& arguments) const {
    const auto result = run_program("view", arguments + " --out " + page_);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    return tests::read_text(page_);
  }
  // A file of that content must be refused in one line that says so.
  void expect_refused(const std::string& name, const std::string& content, const std::string& why) const {
    tests::write_text(dir_ / name, content);
    const auto result = run_program("view", model_ + " " + (dir_ / name) + " --out " + page_);
    EXPECT_EQ(result.code, 1) << name;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_TRUE(holds(result.err, dir_ / name) && holds(result.err, why)) << result.err;
    EXPECT_FALSE(std::filesystem::exists(page_)) << name;
  }

  tests::TempDir dir_;
  std::string model_ = dir_ / "model.h5", page_ = dir_ / "page.html";
};

TEST_F(ViewProgram, APageOfAModelHoldsAllModesAndWhatWasMeasured) {
  const auto html = page_of(model_);
  const auto index = data_of(html, "index");
  ASSERT_EQ(index["entries"].size(), 1U);
  EXPECT_EQ(index["entries"][0]["kind"], "model");
  EXPECT_EQ(index["entries"][0]["title"], "board/net (physics)");
  EXPECT_EQ(index["entries"][0]["file"], model_);
  const auto part = data_of(html, "part-0"), space = data_of(html, "space-0");
  EXPECT_EQ(space["knobs"][1]["role"], "gpu_khz");
  EXPECT_EQ(space["knobs"][1]["levels"], json({250'000, 500'000, 1'000'000}));
  EXPECT_EQ(space["modes"].get<std::string>().size(), 12U * 2 * 4 / 3 * 4);
  for (const char* name : {"log_time", "log_power", "var_time", "var_power"})
    EXPECT_EQ(part[name].get<std::string>().size(), 12U * 8 / 3 * 4) << name;
  ASSERT_EQ(part["measured"].size(), 2U);
  EXPECT_EQ(part["measured"][1]["row"], 11);
  EXPECT_EQ(part["measured"][1]["time_ms"], 6);
  EXPECT_EQ(part["epoch_s_per_ms"], 1);
}

TEST_F(ViewProgram, ThePageNeedsNothingButItself) {
  const auto html = page_of(model_);
  EXPECT_TRUE(html.starts_with("<!doctype html>"));
  EXPECT_TRUE(holds(html, "Content-Security-Policy\" content=\"default-src 'none'"));
  for (const char* outside : {" src=", "<link", "@import", "url(", "import(", "XMLHttpRequest"})
    EXPECT_FALSE(holds(html, outside)) << outside;
  EXPECT_TRUE(
      holds(html, "Permission is hereby granted, free of charge"));  // the licence of the library that draws
  EXPECT_FALSE(holds(html, "\nimport ") || holds(html, "\nexport "));  // the modules are one script
}

TEST_F(ViewProgram, NumbersAreStoredToTheLastBit) {
  const auto html = page_of(model_);
  const auto part = data_of(html, "part-0"), space = data_of(html, "space-0");
  const auto model = learners::read_model(model_);
  const auto decided_with = model.with_measurements();
  for (const auto& [name, table, target] : {std::tuple("log_time", &decided_with.log_mean, tasks::kTimeMs),
                                            {"log_power", &decided_with.log_mean, tasks::kPowerW},
                                            {"var_time", &decided_with.log_variance, tasks::kTimeMs},
                                            {"var_power", &decided_with.log_variance, tasks::kPowerW}}) {
    const auto numbers = numbers_of<double>(part[name]);
    ASSERT_EQ(numbers.size(), 12U);
    for (std::size_t row = 0; row < 12; ++row)
      EXPECT_EQ(numbers[row], (*table)(static_cast<Eigen::Index>(row), target)) << name << ", row " << row;
  }
  const auto settings = numbers_of<int>(space["modes"]);
  ASSERT_EQ(settings.size(), 24U);
  for (std::size_t row = 0; row < 12; ++row)
    EXPECT_EQ((hw::PowerMode{settings[2 * row], settings[2 * row + 1]}), model.space->at(row));
}

TEST_F(ViewProgram, WithoutUncertaintyThereIsNone) {
  auto model = tests::example_model();
  tests::forget_uncertainty(model.prediction);
  model.prediction.log_mean.col(tasks::kPowerW).setConstant(std::nan(""));
  learners::write_model(model_, model);
  const auto part = data_of(page_of(model_), "part-0");
  for (const char* name : {"log_power", "var_time", "var_power"}) EXPECT_TRUE(part[name].is_null()) << name;
  EXPECT_TRUE(part["log_time"].is_string());
}

TEST_F(ViewProgram, AWholeBoardIsAtMostThreeMegabytes) {
  auto model = tests::example_model();
  const auto space = std::make_shared<const hw::PowerModeSpace>(hw::module_space("orin-agx-64"));
  ASSERT_EQ(space->size(), 18096U);
  const auto rows = static_cast<Eigen::Index>(space->size());
  model.device = "orin-agx-64";
  model.space = model.support.space = space;
  model.prediction.log_mean = tasks::Matrix::Random(rows, 2);
  model.prediction.log_variance = tasks::Matrix::Random(rows, 2).cwiseAbs();
  model.prediction.latent_log_variance = model.prediction.log_variance / 2;
  model.support.modes = {space->at(0), space->at(space->size() - 1)};
  learners::write_model(model_, model);
  const auto html = page_of(model_);
  EXPECT_LE(html.size(), 3'000'000U);
  const auto presets = data_of(html, "part-0")["presets"];
  EXPECT_EQ(presets.size(), hw::find_module("orin-agx-64").presets.size());
  EXPECT_EQ(presets[0]["name"], hw::find_module("orin-agx-64").presets[0].name);
  EXPECT_EQ(space->at(presets[0]["row"].get<std::size_t>()),
            hw::apply_limits(*space, hw::find_module("orin-agx-64").knobs,
                             hw::find_module("orin-agx-64").presets[0].limits));
}

TEST_F(ViewProgram, NamesCannotBecomeMarkup) {
  const std::string nasty = "</script><script>alert(\"1\")</script>'<!--&amp;";
  auto model = tests::example_model();
  model.device = model.workload = nasty;
  const std::string path = dir_ / "a\n<b>'\".h5";
  learners::write_model(path, model);
  const auto plain = page_of(model_);
  const auto result = run_program("view", "'" + (dir_ / "a\n<b>'\\''\".h5") + "' --out " + page_);
  ASSERT_EQ(result.code, 0) << result.err;
  const auto html = tests::read_text(page_);
  for (const char* mark : {"<script", "</script", "<!--"})
    EXPECT_EQ(count_of(html, mark), count_of(plain, mark)) << mark;
  const auto index = data_of(html, "index");
  EXPECT_TRUE(holds(index["entries"][0]["title"].get<std::string>(), "</script><script>alert(\"1\")"));
  EXPECT_TRUE(holds(index["entries"][0]["file"].get<std::string>(), "a\\n<b>'\".h5"));
}

TEST_F(ViewProgram, LineEndsAndBytesThatAreNoTextAreShownEscaped) {
  auto text = row("1");
  text.replace(text.find("\"gp\""), 4, "\"x\xe2\x80\xa8y\\n\\u0000</script>\"");
  tests::write_text(dir_ / "rows.jsonl", text);
  const auto html = page_of(dir_ / "rows.jsonl");
  EXPECT_FALSE(holds(html, "\xe2\x80\xa8"));
  EXPECT_EQ(data_of(html, "part-0")["learner"]["names"][0], "x\\u2028y\\n\\x00</script>");
}

TEST_F(ViewProgram, ARowWithoutAFigureIsLeftOut) {
  tests::write_text(dir_ / "rows.jsonl", row("1.5") + row("null") + row("2"));
  const auto part = data_of(page_of(dir_ / "rows.jsonl"), "part-0");
  EXPECT_EQ(part["value"], json({1.5, 2}));
  EXPECT_EQ(part["seed"], json({0, 0}));
  EXPECT_EQ(part["learner"]["of"], json({0, 0}));
}

TEST_F(ViewProgram, EveryKindOfFileIsShown) {
  tests::write_text(dir_ / "run.log", tests::example_log(dir_));
  datasets::ProfileStore store;
  store.profiles = {tests::example_profile("a"), tests::example_profile("b")};
  store.devices["board-1.5"] = {};
  datasets::write_profiles(dir_ / "p.h5", store);
  tests::write_text(dir_ / "govern.csv", kGovern);
  tests::write_text(dir_ / "rows.jsonl", row("1.5") + row("\"inf\""));
  const auto html = page_of(model_ + " " + (dir_ / "p.h5") + " " + (dir_ / "run.log") + " " +
                            (dir_ / "govern.csv") + " " + (dir_ / "rows.jsonl"));
  const auto index = data_of(html, "index");
  std::vector<std::string> kinds;
  for (const auto& entry : index["entries"]) kinds.push_back(entry["kind"]);
  EXPECT_EQ(kinds, (std::vector<std::string>{"model", "profile", "profile", "run", "govern", "bench"}));
  EXPECT_EQ(data_of(html, "part-1")["space"], data_of(html, "part-2")["space"]);  // stored once
  const auto run = data_of(html, "part-3");
  ASSERT_EQ(run["steps"].size(), 4U);
  EXPECT_EQ(run["steps"][0]["time_ms"], 12.25);
  EXPECT_TRUE(run["steps"][1]["power_w"].is_null());
  EXPECT_EQ(run["steps"][2]["status"], "trip-temperature");
  EXPECT_TRUE(run["steps"][2]["time_ms"].is_null());
  EXPECT_TRUE(holds(run["steps"][2]["detail"].get<std::string>(), "97 C >= 95 C\\tat=99%"));
  EXPECT_EQ(run["chosen_by"]["sampler"], "random");
  const auto govern = data_of(html, "part-4");
  EXPECT_EQ(govern["knobs"], json({"cpu_khz"}));
  EXPECT_EQ(govern["settings"], json({{1000, 2000}}));
  EXPECT_EQ(govern["time_ms"], json({80, nullptr}));
  EXPECT_EQ(govern["event"], json({"", "no-steps"}));
  const auto bench = data_of(html, "part-5");
  EXPECT_EQ(bench["value"], json({1.5, "inf"}));
  EXPECT_EQ(bench["learner"]["names"], json({"gp"}));
  EXPECT_EQ(bench["learner"]["of"], json({0, 0}));
}

TEST_F(ViewProgram, TwoHundredModelsAreOnePage) {
  std::string files;
  for (int i = 0; i < 200; ++i) files += model_ + " ";
  const auto html = page_of(files);
  EXPECT_EQ(data_of(html, "index")["entries"].size(), 200U);
  EXPECT_EQ(data_of(html, "part-199")["space"], 0);
  EXPECT_TRUE(data_of(html, "space-1").is_null());
}

TEST_F(ViewProgram, WhatIsNoSuchFileIsRefusedInOneLine) {
  expect_refused("notes.txt", "hello\n",
                 "expected a model, profiles, a log of profile or govern, or rows of bench");
  expect_refused("empty.txt", "", "found an empty file");
  expect_refused("page.htm", "<!doctype html>", "found another file");
  expect_refused("modes.csv", "cpu_khz,time_median_ms,measured\n1,2,0\n", "found another file");
  const auto bytes = tests::read_text(model_);
  expect_refused("half.h5", bytes.substr(0, bytes.size() / 2), "truncated or damaged HDF5 file");
  expect_refused("run.log", "fewwatt-run-log=1\tdevice=x\n", "run.log");
  expect_refused("none.csv", "t_s,cpu_khz,time_ms,power_w,budget_w,reason,event\n", "none.csv");
  expect_refused("text.csv", "t_s,cpu_khz,time_ms,power_w,budget_w,reason,event\nx,1,2,3,4,start,\n",
                 "text.csv");
  expect_refused("knob.csv", "t_s,<b>,time_ms,power_w,budget_w,reason,event\n1,1,2,3,4,start,\n",
                 "found <b>");
  expect_refused("rows.jsonl", row("1") + "{\"suite\":\n", "rows.jsonl, line 2: expected a row of bench");
  expect_refused("more.jsonl", "{\"a\":" + std::string(100'000, '[') + "\n",
                 "more.jsonl, line 1: expected a row of bench");
  expect_refused("nan.jsonl", row("\"nan\""), "nan.jsonl, line 1: expected a row of bench with a value");
  expect_refused("null.jsonl", row("null"), "null.jsonl: expected rows of bench");
  expect_refused("huge.jsonl", row("1e999"), "huge.jsonl, line 1: expected a row of bench");
  const auto missing = run_program("view", (dir_ / "none.h5") + " --out " + page_);
  EXPECT_EQ(missing.code, 1);
  EXPECT_EQ(missing.err, "fewwatt view: cannot read " + (dir_ / "none.h5") + ": No such file or directory\n");
  EXPECT_EQ(run_program("view", dir_.path().string() + " --out " + page_).code, 1);
}

TEST_F(ViewProgram, AnInitializerIsNamedAsWhatItIs) {
  datasets::Hdf5Writer file(dir_ / "init.h5", "fewwatt-checkpoint", 1);
  file.text("/", "learner", "maml");
  file.commit();
  const auto result = run_program("view", (dir_ / "init.h5") + " --out " + page_);
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(holds(result.err, "expected a model or profiles, found a fewwatt-checkpoint file"))
      << result.err;
}

TEST_F(ViewProgram, OnlyAPageIsReplacedAndNothingThatIsRead) {
  page_of(model_);
  page_of(model_);
  tests::write_text(dir_ / "mine.html", "<!doctype html><p>mine</p>");
  const auto result = run_program("view", model_ + " --out " + (dir_ / "mine.html"));
  EXPECT_EQ(result.code, 1);
  EXPECT_TRUE(holds(result.err, "a page of fewwatt view")) << result.err;
  EXPECT_EQ(tests::read_text(dir_ / "mine.html"), "<!doctype html><p>mine</p>");
  const auto before = tests::read_text(model_);
  EXPECT_EQ(run_program("view", model_ + " --out " + model_).code, 2);
  EXPECT_EQ(tests::read_text(model_), before);
}

TEST_F(ViewProgram, StandardOutputAndFileAreTheSameAndJsonIsOneObject) {
  const auto html = page_of(model_);
  EXPECT_EQ(run_program("view", model_ + " --out -").out, html);
  const auto told = json::parse(run_program("view", model_ + " --json --out " + page_).out);
  EXPECT_EQ(told["parts"], 1);
  EXPECT_EQ(told["bytes"], html.size());
  EXPECT_EQ(run_program("view", model_ + " --quiet --out " + page_).out, "");
}

TEST_F(ViewProgram, WrongUsageExits2) {
  EXPECT_EQ(run_program("view", "--out " + page_).code, 2);
  EXPECT_EQ(run_program("view", model_).code, 2);
  EXPECT_EQ(run_program("view", model_ + " --json --out -").code, 2);
  const auto board = run_program("view", model_ + " --board none-such --out " + page_);
  EXPECT_EQ(board.code, 2);
  EXPECT_TRUE(holds(board.err, "orin-agx-64")) << board.err;
}

TEST_F(ViewProgram, PresetsAreThoseOfTheBoardThatIsNamed) {
  EXPECT_EQ(data_of(page_of(model_), "part-0")["presets"].size(), 0U);  // no board is called "board"
  const auto presets = data_of(page_of(model_ + " --board orin-agx-64"), "part-0")["presets"];
  EXPECT_EQ(presets.size(), hw::find_module("orin-agx-64").presets.size());
}

}  // namespace view_program_test
}  // namespace fewwatt
