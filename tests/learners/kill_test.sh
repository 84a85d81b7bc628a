#!/bin/bash
# kill_test.sh BIN SOURCE STEP RANDOM: kills a profiling run of two modes with SIGKILL at every STEP-th of the system calls
# that change something, and at RANDOM points in time. After each, a new start must put every control back, lose no finished
# mode, and end with a readable profile. Then RANDOM runs of profile, goal search and govern by turns, which root starts for a
# user as sudo does: the program or its helper is killed. BIN: folder of the programs and of fake_tree; SOURCE: the checkout.
set -euo pipefail
bin=$1 source=$2 step=$3 random=$4 modes=2
calls=write,pwrite64,writev,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,ftruncate,fdatasync,fsync
export ASAN_OPTIONS=detect_leaks=0  # leaks cannot be looked for in a process that is traced

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What a killed run leaves among the temporary files goes with the rest.
mkdir -m 1777 "$work/tmp" && chmod 1777 "$work/tmp" && export TMPDIR=$work/tmp
"$bin/fake_tree" agx-orin-jp6 "$work/tree"
cat >"$work/program" <<'END'
#!/bin/sh
while sleep 0.002; do echo >&"$FEWWATT_STEP_FD"; done
END
chmod +x "$work/program"

arguments() {  # FOLDER [OPTION...]: of a run in it, to `run`
  run=("$bin/fewwatt-profile" --quiet --device jetson --root "$1/tree" --workload toy --modes $modes --window-s 0.05
       --minibatches 2 --stop-grace-s 1 --counters-s 0 --out "$1/p.h5" "${@:2}" -- "$work/program")
}
controls() {  # FOLDER: what its files hold
  (cd "$1/tree" && find . -type f -not -path './run/*' -print0 | sort -z | xargs -0 md5sum)
}
controls "$work" >"$work/before"

number() {  # NAME: of the report
  sed -n "s/^ *\"$1\": \([0-9]*\),\$/\1/p" "$work/report"
}
went_on() {  # FINISHED WHEN RESUMED: the report is that of a run that had so many modes before
  local before measured
  before=$(number measured_before) measured=$(number measured)
  if [ "$3" != 0 ] && { [ "$before" != "$1" ] || [ $((measured + $1)) != $modes ]; }; then
    echo "$2: $1 modes were in the log, then $measured were measured, $before before" && exit 1
  fi
}
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
  went_on "$finished" "$2" "${#resume[@]}"
  "$bin/fewwatt-inspect" "$1/p.h5" | grep -q "modes: $modes of" || { echo "$2: the profile lacks modes"; exit 1; }
}
fresh() {  # the board is as before: check() has seen to that
  rm -rf "$work"/run/p.h5* "$work/run/tree/run"
  [ -d "$work/run" ] || { mkdir "$work/run" && cp -a "$work/tree" "$work/run/tree"; }
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

if [ "$(id -u)" != 0 ]; then
  echo "needs root to start programs for another user: the helper was not killed"
  exit 0
fi
# The board belongs to root all the way down, the outputs to the user.
board=$(mktemp -d /var/lib/fewwatt-test-XXXXXX) user=65534
trap 'rm -rf "$work" "$board"' EXIT
chmod 755 "$work" "$board"
cp -a "$work/tree" "$board/tree"
if ! setpriv --reuid=$user --regid=$user --clear-groups test -x "$bin/fewwatt-profile"; then
  mkdir "$board/bin" && cp "$bin"/fewwatt* "$board/bin" && bin=$board/bin
fi
as_user=(env SUDO_UID=$user SUDO_GID=$user)

arguments_of() {  # KIND [OPTION...]: of a run for the user, to `run`
  local quick=(--quiet --root "$board/tree" --window-s 0.05 --minibatches 2 --stop-grace-s 1)
  case $1 in
    profile) run=("$bin/fewwatt-profile" "${quick[@]}" --device jetson --workload toy --modes $modes --counters-s 0 --out p.h5) ;;
    goal) run=("$bin/fewwatt-profile" "${quick[@]}" --device jetson --workload toy --counters-s 0 --out p.h5 --learner gp
               --goal fastest --max-power-w 12 --measurements $modes) ;;
    govern) run=("$bin/fewwatt-govern" "${quick[@]}" --learner gp --max-power-w 12 --log g.csv) ;;
  esac
  run=("${as_user[@]}" "${run[@]}" "${@:2}" -- "$work/program")
}
put_back() { diff "$work/before" <(controls "$board") >"$work/diff"; }
within_ten_seconds() {  # COMMAND...: does it until it succeeds
  for ((try = 0; try < 200; ++try)); do
    "$@" && return
    sleep 0.05
  done
  return 1
}

killed=0
for ((i = 0; i < random; ++i)); do
  kinds=(profile goal govern) victims=(program helper)
  kind=${kinds[i % 3]} victim=${victims[i / 3 % 2]} when="$i, ${victims[i / 3 % 2]} of ${kinds[i % 3]}"
  rm -rf "$work/user" && mkdir "$work/user" && chown $user "$work/user" && cd "$work/user"
  arguments_of $kind
  "${run[@]}" >/dev/null 2>"$work/said" &
  program=$!
  sleep 0.$(printf %03d $((RANDOM % 1000)))
  target=$program
  [ $victim = program ] || target=$(pgrep -P $program fewwatt_board || echo $program)
  kill -KILL "$target" 2>/dev/null && killed=$((killed + 1))
  code=0
  wait $program 2>/dev/null || code=$?
  # The helper is no child of this shell; until it has ended it holds the lock. It may have been about to start only when its
  # program was killed, so that it is not known here.
  # A helper that is killed after its work was done is not missed. One that lives has put back by itself.
  if [ "$target" = $program ] || [ $code != 1 ]; then
    within_ten_seconds put_back || { echo "$when: controls are not as before"; head -4 "$work/diff"; exit 1; }
  fi
  within_ten_seconds "${as_user[@]}" "$bin/fewwatt-device" restore --quiet --root "$board/tree" 2>"$work/said" ||
    { echo "$when: restore failed"; cat "$work/said"; exit 1; }
  put_back || { echo "$when: controls are not as before, after restore"; head -4 "$work/diff"; exit 1; }
  [ -z "$(find "$work/user" ! -user $user)" ] || { echo "$when: some outputs are not the user's"; exit 1; }
  if [ $kind = govern ]; then
    [ ! -s g.csv ] || [ -z "$(tail -c 1 g.csv)" ] || { echo "$when: a torn last line"; exit 1; }
    continue
  fi
  finished=0 resume=()
  if [ -e p.h5.log ]; then
    finished=$(grep -c $'\tstatus=ok\t.*\tcrc=[0-9a-f]*$' p.h5.log || true) resume=(--resume)
  fi
  arguments_of $kind --json "${resume[@]}"
  "${run[@]}" >"$work/report" || { echo "$when: the run did not go on"; exit 1; }
  went_on "$finished" "$when" "${#resume[@]}"
done
echo "killed the program or its helper $killed times at random: all was put back, no finished mode was lost"
