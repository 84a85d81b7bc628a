#!/bin/bash
# programs_once.sh BIN SOURCE: starts the board's programs, each for what it is for, but import, which the tests of datasets start.
# For AddressSanitizer, which does not run the program tests of learners: they start programs too often.
set -euo pipefail
bin=$1 source=$2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
run() { local verb=$1; shift; "$bin/fewwatt-$verb" "$@" >"$out/said" 2>&1 || { echo "fewwatt $verb $* failed:"; cat "$out/said"; exit 1; }; }

run device list
run device show orin-agx-64
run simulate --device orin-agx-64 --grid 200 --workloads resnet18,lstm --out "$out/p.h5"
run inspect "$out/p.h5"
for workload in resnet18 lstm; do
  run adapt --profiles "$out/p.h5" --device orin-agx-64 --workload $workload --shots 8 --out "$out/$workload.h5"
done
printf 'cpu_cores,cpu_khz,gpu_khz,mem_khz,time_ms,power_w\n4,729600,318750,665600,412,11.2\n12,2201600,1300500,3199000,58,41.0\n' >"$out/m.csv"
run adapt --measurements "$out/m.csv" --space orin-agx-64:coarse --learner gp --out "$out/mine.h5"
run adapt --update "$out/mine.h5" --measurements "$out/m.csv" --out "$out/newer.h5"
run predict --model "$out/resnet18.h5" --out "$out/modes.csv"
run optimize --model "$out/resnet18.h5" --max-power-w 30
run optimize --model "$out/resnet18.h5" --pareto
run optimize --model "$out/resnet18.h5" --share 0.5 --model "$out/lstm.h5" --share 0.5 --max-power-w 30 --schedule --units 100 --switch-s 0.1
run optimize --model "$out/resnet18.h5" --model "$out/lstm.h5" --together predicted --max-power-w 40
run profile --device simulated:orin-agx-64 --grid coarse --workload resnet18 --modes 3 --simulated-speed 50 --out "$out/live.h5" -- "$source/scripts/toy_workload"
run profile --device simulated:orin-agx-64 --grid coarse --workload resnet18 --goal fastest --max-power-w 30 --measurements 6 --out "$out/goal.h5"
run govern --device simulated:orin-agx-64 --grid coarse --workload resnet18 --max-power-w 30 --minutes 2 --log "$out/govern.csv"
run view "$out/p.h5" "$out/resnet18.h5" "$out/goal.h5.log.done" "$out/govern.csv" --out "$out/page.html"
