#include "hw/simulated_catalog.hpp"

#include <stdexcept>
#include <vector>

#include "hw/modules.hpp"
#include "hw/text.hpp"

namespace fewwatt::hw {
SimulatedBoard with_tops_of(SimulatedBoard board) {
  const auto& knobs = find_module(board.name).knobs;
  board.cores = knobs[0].levels.back();
  board.cpu_top_ghz = knobs[1].levels.back() * 1e-6;
  board.gpu_top_ghz = knobs[2].levels.back() * 1e-6;
  board.mem_top_ghz = knobs[3].levels.back() * 1e-6;
  return board;
}

namespace {

template <class Known>
const Known& find_named(std::span<const Known> known, std::string_view name, const std::string& what) {
  std::vector<std::string> names;
  for (const auto& one : known) {
    if (one.name == name) return one;
    names.push_back(one.name);
  }
  throw std::invalid_argument("no simulated " + what + " \"" + std::string(name) + "\"; the nearest are " +
                              join(nearest_names(name, names)));
}

// The numbers of the Xavier, of the Orin and of the workloads are fitted: benchmarks/calibrate_main.cpp says to what,
// and scripts/calibrate prints them anew and fails when those that stand here have drifted from them.
std::vector<SimulatedBoard> make_boards() {
  SimulatedBoard xavier;
  xavier.name = "xavier-agx";
  xavier.cpu_memory = 0.3565;
  xavier.kernel_overlap = 1.681;
  xavier.launch_overlap = 1.458;
  xavier.handoff_crowding = 0.5983;
  xavier.static_w = 1.64;
  xavier.mem_w = 1.882;
  xavier.traffic_w = 11.43;
  xavier.core_idle_w = 0.1136;
  xavier.core_busy_w = 0.9305;
  xavier.gpu_idle_w = 0.4765;
  xavier.gpu_busy_w = 11.71;
  xavier.gpu_voltage_floor = 0.5493;
  xavier.gpu_voltage_knee = 0.5851;

  SimulatedBoard orin = xavier;
  orin.name = "orin-agx-64";
  orin.cpu_speed = 2.014;
  orin.gpu_speed = 5.151;
  orin.mem_speed = 1.117;
  orin.cpu_memory = 1.114;
  orin.static_w = 10.77;
  orin.mem_w = 0.8991;
  orin.traffic_w = 3.664;
  orin.core_idle_w = 0.2217;
  orin.core_busy_w = 1.425;
  orin.gpu_idle_w = 2.329;
  orin.gpu_busy_w = 29.08;
  orin.gpu_voltage_floor = 0.6116;
  orin.gpu_voltage_knee = 0.4;

  // Half the GPU and half the memory bus of its larger sister, and the rest within its 7 to 15 W.
  SimulatedBoard nano = orin;
  nano.name = "orin-nano-8";
  nano.gpu_speed = orin.gpu_speed / 2;
  nano.mem_speed = orin.mem_speed / 2;
  nano.static_w = 3;
  nano.mem_w = 0.5;
  nano.traffic_w = orin.traffic_w / 2;
  nano.core_idle_w = 0.05;
  nano.core_busy_w = 0.4;
  nano.gpu_idle_w = 0.3;
  nano.gpu_busy_w = 5;

  // Half the GPU of the Xavier, of an older kind, and less than half its memory bandwidth; 4 to 15 W.
  SimulatedBoard tx2 = xavier;
  tx2.name = "tx2";
  tx2.cpu_speed = 0.6;
  tx2.gpu_speed = 0.4;
  tx2.mem_speed = 0.45;
  tx2.static_w = 1.5;
  tx2.mem_w = 0.8;
  tx2.traffic_w = xavier.traffic_w * 0.45;
  tx2.core_idle_w = 0.1;
  tx2.core_busy_w = 0.8;
  tx2.gpu_idle_w = 0.4;
  tx2.gpu_busy_w = 6;

  std::vector<SimulatedBoard> boards;
  for (auto& board : {xavier, orin, nano, tx2}) boards.push_back(with_tops_of(board));
  return boards;
}

std::vector<SimulatedWorkload> make_workloads() {
  SimulatedNetwork resnet18{.model = "resnet18", .layers = 18, .parameters = 11.7e6, .flops = 1.8e9};
  resnet18.fixed_share = 0.4;
  resnet18.compute = 214.8;
  resnet18.traffic = 84.05;
  resnet18.launch = 23.48;
  resnet18.crowding = 0.2;
  resnet18.compute_activity = 1.16;
  resnet18.traffic_activity = 0.3279;
  resnet18.traffic_power = 1.023;
  SimulatedNetwork mobilenetv3{.model = "mobilenetv3", .layers = 20, .parameters = 5.5e6, .flops = 225.4e6};
  mobilenetv3.fixed_share = 0.2;
  mobilenetv3.compute = 181.3;
  mobilenetv3.traffic = 212.3;
  mobilenetv3.launch = 85.83;
  mobilenetv3.crowding = 0.2227;
  mobilenetv3.compute_activity = 1.075;
  mobilenetv3.traffic_activity = 0.1994;
  mobilenetv3.traffic_power = 0.9331;
  SimulatedNetwork yolov8n{.model = "yolov8n", .layers = 53, .parameters = 3.2e6, .flops = 8.7e9};
  yolov8n.compute = 109.8;
  yolov8n.traffic = 86.63;
  yolov8n.launch = 61.14;
  yolov8n.crowding = 0.2;
  yolov8n.compute_activity = 0.8754;
  yolov8n.traffic_activity = 0.2558;
  yolov8n.traffic_power = 0.9582;
  SimulatedNetwork bert{.model = "bert-base", .layers = 12, .parameters = 110e6, .flops = 11.5e12};
  bert.compute = 5918;
  bert.traffic = 796.9;
  bert.launch = 40.01;
  bert.crowding = 0.2;
  bert.compute_activity = 1.135;
  bert.traffic_activity = 0.3073;
  bert.traffic_power = 1.006;
  SimulatedNetwork lstm{.model = "lstm", .layers = 2, .parameters = 8.6e6, .flops = 3.9e9};
  lstm.compute = 32.97;
  lstm.traffic = 11.81;
  lstm.launch = 10.2;
  lstm.crowding = 0.2;
  lstm.compute_activity = 1.077;
  lstm.traffic_activity = 0.3122;
  lstm.traffic_power = 1.009;
  SimulatedNetwork lenet{.model = "lenet", .layers = 5};
  lenet.compute = 0.4002;
  lenet.traffic = 2.137;
  lenet.launch = 11.35;
  lenet.crowding = 0.2388;
  lenet.compute_activity = 0.9045;
  lenet.traffic_activity = 0.2198;
  lenet.traffic_power = 1.089;
  SimulatedNetwork resnet18_cifar10{.model = "resnet18", .layers = 18, .parameters = 11.7e6};
  resnet18_cifar10.fixed_share = resnet18.fixed_share;
  resnet18_cifar10.compute = 114.4;
  resnet18_cifar10.traffic = 105.9;
  resnet18_cifar10.launch = 19.39;
  resnet18_cifar10.crowding = 0.2073;
  resnet18_cifar10.compute_activity = 1.127;
  resnet18_cifar10.traffic_activity = 0.1998;
  resnet18_cifar10.traffic_power = 0.9965;

  SimulatedPipeline imagenet{.dataset = "imagenet-val", .samples = 50000};
  imagenet.fetch = 398.4;
  imagenet.handoff = 5.691;
  imagenet.core_activity = 0.9296;
  SimulatedPipeline gld23k{.dataset = "gld23k", .samples = 23080};
  gld23k.fetch = 551.1;
  gld23k.handoff = 8.931;
  gld23k.core_activity = 1.153;
  SimulatedPipeline coco{.dataset = "coco-minitrain", .samples = 25000, .workers = 0};
  coco.fetch = 258.2;
  coco.handoff = 6.036;
  coco.core_activity = 0.9632;
  SimulatedPipeline squad{.dataset = "squad-v2", .samples = 70000};
  squad.fetch = 10;
  squad.handoff = 4.001;
  squad.core_activity = 1.003;
  SimulatedPipeline wikitext{.dataset = "wikitext", .samples = 36000};
  wikitext.fetch = 3.009;
  wikitext.handoff = 2.135;
  wikitext.core_activity = 1.004;
  SimulatedPipeline mnist{.dataset = "mnist", .samples = 60000};
  mnist.fetch = 5.038;
  mnist.handoff = 4.682;
  mnist.core_activity = 0.9921;
  SimulatedPipeline cifar10{.dataset = "cifar10", .samples = 50000};
  cifar10.fetch = 14.94;
  cifar10.handoff = 5.55;
  cifar10.core_activity = 0.9862;

  std::vector<SimulatedWorkload> workloads = {
      {"resnet18", resnet18, imagenet},
      {"mobilenetv3", mobilenetv3, gld23k},
      {"yolov8n", yolov8n, coco},
      {"bert-base", bert, squad},
      {"lstm", lstm, wikitext},
      {"resnet18-gld23k", resnet18, gld23k},
      {"mobilenetv3-imagenet", mobilenetv3, imagenet},
      {"lenet-mnist", lenet, mnist},
      {"resnet18-cifar10", resnet18_cifar10, cifar10},
  };
  for (const double batch : {8.0, 32.0}) {
    const auto suffix = "-b" + std::to_string(static_cast<int>(batch));
    workloads.push_back({"resnet18" + suffix, resnet18, imagenet, batch});
    workloads.push_back({"mobilenetv3" + suffix, mobilenetv3, gld23k, batch});
  }
  return workloads;
}

}  // namespace

std::span<const SimulatedBoard> simulated_boards() {
  static const std::vector<SimulatedBoard> table = make_boards();
  return table;
}

std::span<const SimulatedWorkload> simulated_workloads() {
  static const std::vector<SimulatedWorkload> table = make_workloads();
  return table;
}

const SimulatedBoard& find_simulated_board(std::string_view name) {
  return find_named(simulated_boards(), name, "board");
}

const SimulatedWorkload& find_simulated_workload(std::string_view name) {
  return find_named(simulated_workloads(), name, "workload");
}

}  // namespace fewwatt::hw
