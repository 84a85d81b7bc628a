#!/bin/bash
# pip_test.sh PYTHON BUILD: pip installs the package of a build into a new environment, without a network and without options, and it
# works there.
set -euo pipefail
python=$1
build=$(realpath "$2")
source=$(cd "$(dirname "$0")/.." && pwd)
unset PYTHONPATH FEWWATT_READER
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv --system-site-packages "$work/env"  # numpy is the system's
export PIP_NO_INDEX=1 PIP_DISABLE_PIP_VERSION_CHECK=1 FEWWATT_BUILD=$build
"$work/env/bin/pip" install -q "$source"
cd "$work"
"$work/env/bin/python" - <<'PYTHON'
import os
import fewwatt
assert "env" in fewwatt.__file__, fewwatt.__file__
fewwatt.write_profiles("p.h5", fewwatt.simulate(["orin-agx-64"], ["lstm"], grid="10"))
assert len(fewwatt.read_profiles("p.h5")[0]) == 10  # by the reader in the package
assert os.environ["FEWWATT_READER"].startswith(os.path.dirname(fewwatt.__file__))
PYTHON
"$work/env/bin/pip" uninstall -q -y fewwatt
echo "pip_test: done"
