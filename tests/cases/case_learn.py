"""Measurements that speak against each other: what adapt leaves out, it names."""
import json
import subprocess


def _adapt(bin, measurements, tmp, *options):
    command = [bin / "fewwatt-adapt", "--measurements", measurements, "--out", tmp / "model.h5", *options]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, f"adapt failed: {done.stderr}"
    return done


def _low_outlier(bin, folder, tmp):
    text = _adapt(bin, folder / "m.csv", tmp)
    said = text.stdout + text.stderr
    assert "left out" in said and "0.121" in said and "expected" in said, \
        f"expected the row of 0.121 ms to be named as left out, found: {said}"
    report = json.loads(_adapt(bin, folder / "m.csv", tmp, "--json").stdout)
    rows = report.get("left_out", [])
    assert len(rows) == 1, f"expected one row in left_out, found {rows}"
    assert rows[0]["mode"]["cpu_khz"] == 1497600 and rows[0]["mode"]["gpu_khz"] == 624750, \
        f"expected the mode with 624750 kHz of GPU, found {rows[0]}"
    time = rows[0]["time_ms"]
    assert time["measured"] == 0.121, f"expected what was measured, 0.121, found {time}"
    assert 60 < time["expected"] < 240, f"expected about 120 ms to be expected, found {time}"
    best = subprocess.run([str(bin / "fewwatt-optimize"), "--model", str(tmp / "model.h5"), "--json"],
                          capture_output=True, text=True)
    assert best.returncode == 0, f"optimize failed: {best.stderr}"
    assert json.loads(best.stdout)["time_ms"] > 1, f"optimize believes the row: {best.stdout}"


CASES = {"134-low-outlier": _low_outlier}
