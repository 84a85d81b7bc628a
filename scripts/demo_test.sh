#!/bin/bash
# scripts/demo with made-up programs and a made-up build: the first result is there before anything with LibTorch is built, stays when
# the rest fails, and the same command goes on.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
unset FEWWATT_BIN FEWWATT_JOBS
mkdir "$tree/scripts"
cp "$here/demo" "$tree/scripts"
cd "$tree"
export PATH=$tree/tools:$PATH
mkdir tools

# Each notes what it was asked for. The table of `bench` is all that the demo reads. A target that failing-target names is not built.
cat >tools/cmake <<'END'
#!/bin/bash
echo "cmake $*" >>said
asked=$*
[ ! -e failing-target ] || [ "${asked##*--target }" != "$(cat failing-target)" ]
END
cat >scripts/fewwatt <<'END'
#!/bin/bash
echo "fewwatt $*" >>said
[ "$FEWWATT_BIN" = "$(cat bin)" ]
while [ $# -gt 0 ]; do
  case $1 in
    bench) bench=yes ;;
    optimize) code=3 ;;  # no mode fits
    --out) out=$2 ;;
  esac
  shift
done
if [ "${bench:-}" = yes ]; then
  mkdir -p "$out"
  printf '## Error of time, %% (time_mape)\n\n| learner |\n\n### orin\n| not this |\n' >"$out/table.md"
elif [ -n "${out:-}" ]; then
  : >"$out"
fi
exit "${code:-0}"
END
printf '#!/bin/bash\necho install-deps >>said\n' >scripts/install-deps
chmod +x tools/cmake scripts/*
echo build/demo/bin >bin

runs() {  # <expected lines of what was asked for>: in this order, and nothing else of these verbs and targets
  local asked
  asked=$(sed -nE 's/^(install-deps)$/\1/p; s/^cmake --preset.*/configure/p; s/^cmake --build .*--target (.*)/build \1/p; s/^fewwatt ([a-z-]+).*/\1/p' said | uniq)
  [ "$asked" = "$1" ] || { printf 'expected:\n%s\ngot:\n%s\n' "$1" "$asked"; exit 1; }
}
first="simulate
adapt
optimize
view"
rest="meta-train
adapt
optimize"

# The rest cannot be built: the first result was shown, and the demo says so.
echo fewwatt-meta-train >failing-target
if scripts/demo >log 2>&1; then echo 'success without what could not be built'; exit 1; fi
runs "install-deps
configure
build first_result
$first
build fewwatt-meta-train"
grep -qF 'That was the first result, after ' log
[ -f out/demo/first.h5 ]

# The same command goes on.
rm said failing-target
scripts/demo "another folder" >log
runs "install-deps
configure
build first_result
$first
build fewwatt-meta-train
$rest
build programs
bench"
grep -qF "$(readlink -f "another folder/first.html")" log
grep -qF '| learner |' log
if grep -qF '| not this |' log; then echo 'shows the table of another device'; exit 1; fi

# With programs that are there, nothing is installed or built.
rm said
mkdir given
echo given >bin
FEWWATT_BIN=given scripts/demo >log
runs "$first
$rest
bench"

# A program that fails ends it.
rm said
sed -i 's/code=3 .*/code=1 ;;/' scripts/fewwatt
if FEWWATT_BIN=given scripts/demo >log 2>&1; then echo 'success after a failed program'; exit 1; fi
runs "simulate
adapt
optimize"

# Ctrl-C, which whoever runs the tests may have switched off.
rm said
# shellcheck disable=SC2016  # for the program
printf '#!/bin/bash\necho "fewwatt $*" >>said\nkill -INT $PPID\n' >scripts/fewwatt
code=0
env --default-signal=INT FEWWATT_BIN=given scripts/demo >log 2>&1 || code=$?
[ $code = 130 ] || { echo "expected exit code 130, got $code"; exit 1; }
grep -qF 'demo: stopped; the same command goes on' log
runs simulate
echo 'demo: shows what it should, in this order'
