#!/bin/bash
# kill_test.sh BIN SOURCE STEP RANDOM: kills a profiling run of three modes with SIGKILL at every STEP-th of the system calls
# that change something, and at RANDOM points in time. After each, a new start must put every control back, lose no finished
# mode, and end with a readable profile. BIN: folder of the programs and of fake_tree; SOURCE: the checkout.
set -euo pipefail
bin=$1 source=$2 step=$3 random=$4
calls=write,pwrite64,writev,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,ftruncate,fdatasync,fsync
export ASAN_OPTIONS=detect_leaks=0  # leaks cannot be looked for in a process that is traced

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$bin/fake_tree" agx-orin-jp6 "$work/tree"
cat >"$work/program" <<'END'
#!/bin/sh
while sleep 0.002; do echo >&"$FEWWATT_STEP_FD"; done
END
chmod +x "$work/program"

arguments() {  # FOLDER [OPTION...]: of a run in it, to `run`
  run=("$bin/fewwatt-profile" --quiet --device jetson --root "$1/tree" --workload toy --modes 3 --window-s 0.05
       --minibatches 2 --stop-grace-s 1 --counters-s 0 --out "$1/p.h5" "${@:2}" -- "$work/program")
}
controls() {  # FOLDER: what its files hold
  (cd "$1/tree" && find . -type f -not -path './run/*' -print0 | sort -z | xargs -0 md5sum)
}
controls "$work" >"$work/before"

check() {  # FOLDER WHEN
  local log="$1/p.h5.log" finished=0
  "$bin/fewwatt-device" restore --quiet --root "$1/tree" || { echo "$2: restore failed"; exit 1; }
  diff "$work/before" <(controls "$1") >"$work/diff" || { echo "$2: controls are not as before"; head -4 "$work/diff"; exit 1; }
  # A run that ended at its very last call has no log any more, and all in the profile.
  [ ! -e "$log" ] || finished=$(grep -c $'\tstatus=ok\t.*\tcrc=[0-9a-f]*$' "$log" || true)
  local resume=(); [ -e "$log" ] && resume=(--resume)
  arguments "$1" --json "${resume[@]}"
  "${run[@]}" >"$work/report" || { echo "$2: the run did not go on"; exit 1; }
  diff "$work/before" <(controls "$1") >"$work/diff" || { echo "$2: controls are not as before, at the end"; exit 1; }
  python3 - "$work/report" "$finished" "$2" "${#resume[@]}" <<'END'
import json, sys
report, finished, when, resumed = json.load(open(sys.argv[1])), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
if resumed and (report["measured_before"] != finished or report["measured"] + finished != 3):
    sys.exit(f"{when}: {finished} modes were in the log, then {report}")
END
  "$bin/fewwatt-inspect" "$1/p.h5" | grep -q "modes: 3 of" || { echo "$2: the profile lacks modes"; exit 1; }
}
fresh() {
  rm -rf "$work/run" && mkdir "$work/run" && cp -a "$work/tree" "$work/run/tree"
}

fresh
arguments "$work/run"
strace -o "$work/trace" -e trace=$calls "${run[@]}"
total=$(grep -c '^[a-z]' "$work/trace")
[ "$total" -gt 50 ] || { echo "only $total system calls change something: is anything measured?"; exit 1; }

# The n-th of each call is the m-th of all.
sed -n 's/^\([a-z0-9_]*\)(.*/\1/p' "$work/trace" | awk '{print $1, ++n[$1]}' >"$work/calls"
killed=0
for ((m = 1; m <= total; m += step)); do
  read -r call n < <(sed -n "${m}p" "$work/calls")
  fresh
  arguments "$work/run"
  code=0
  strace -o /dev/null -e trace=$call -e inject=$call:signal=SIGKILL:when=$n "${run[@]}" 2>/dev/null || code=$?
  [ $code = 0 ] || killed=$((killed + 1))
  check "$work/run" "killed at call $m of $total, $call"
done

RANDOM=1
for ((i = 0; i < random; ++i)); do
  fresh
  arguments "$work/run"
  "${run[@]}" 2>/dev/null &
  sleep 0.$(printf %03d $((RANDOM % 1000)))
  kill -KILL $! 2>/dev/null || true
  wait $! 2>/dev/null || true
  check "$work/run" "killed at random, $i"
done
echo "killed at $killed of $total calls and $random times at random: all was put back, no finished mode was lost"
