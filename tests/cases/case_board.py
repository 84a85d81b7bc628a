"""Boards as their kernels describe them, and programs behind launchers."""
import json
import pathlib
import subprocess
import sys
import tarfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def root_of(folder, tmp):
    with tarfile.open(folder / "root.tar.xz") as archive:
        archive.extractall(tmp)
    return tmp / "root"


def run(program, *arguments, code=0, timeout=60):
    """What it printed; its message where it is to fail."""
    done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, cwd=SOURCE, timeout=timeout)
    assert done.returncode == code, f"expected exit code {code}, found {done.returncode}: {done.stderr}"
    return done.stdout if code == 0 else done.stderr


def shown(bin, root):
    return json.loads(run(bin / "fewwatt-device", "show", "--json", "--root", root))


def gpu_without_a_node(bin, folder, tmp):
    board = shown(bin, root_of(folder, tmp))
    gpu = board["knobs"]["gpu_khz"]
    assert (gpu[0], gpu[-1]) == (306000, 1575000), f"gpu_khz goes from {gpu[0]} to {gpu[-1]}"
    assert abs(board["sensors"]["total_w"] - 16.802) < 1e-6, f"the module takes {board['sensors']['total_w']} W"


def sensor_without_labels(bin, folder, tmp):
    root = root_of(folder, tmp)
    sensors = shown(bin, root)["sensors"]
    assert "total_w" not in sensors, f"nobody can know that the module takes {sensors['total_w']} W"
    assert "INA3221" in sensors["problem"] and "no labels" in sensors["problem"], sensors["problem"]
    assert len(sensors["rails"]) == 3, f"expected three channels, found {sensors['rails']}"


def conf_with_one_mode(bin, folder, tmp):
    root = root_of(folder, tmp)
    stanza = run(bin / "fewwatt-device", "export-nvpmodel", "--root", root, "--mode", "cpu_cores=4,gpu_khz=612000")
    assert "POWER_MODEL ID=2 " in stanza and "GPU MAX_FREQ 612000000" in stanza, stanza


def launcher_that_closes_descriptors(bin, folder, tmp):
    run(bin / "fewwatt-profile", "--device", "simulated:orin-agx-64", "--grid", "coarse", "--workload", "resnet18", "--modes",
        2, "--simulated-speed", 50, "--out", tmp / "p.h5", "--", sys.executable, folder / "launch.py", folder / "train.py",
        timeout=300)


CASES = {
    "130-launcher-closes-fds": launcher_that_closes_descriptors,
    "20-thor-jp72-gpu-gpc": gpu_without_a_node,
    "23-ina3221-no-labels": sensor_without_labels,
    "32-nvpmodel-no-pm-config": conf_with_one_mode,
}
