"""Files of measurements as others write them."""
from programs import close, dataset, refuse, report, rows, succeed

PLAIN = """cpu_cores,cpu_khz,gpu_khz,mem_khz,time_ms,power_w
4,729600,318750,665600,412.0,11.2
12,2201600,1300500,3199000,58.0,41.0
8,1497600,624750,2133000,121.0,21.7
12,1190400,828750,3199000,88.0,27.4
2,1958400,420750,2133000,203.0,14.9
6,1344000,522750,3199000,150.0,19.0
10,1804800,930750,2133000,80.5,31.2
4,1190400,1122750,3199000,72.0,30.5
"""


def adapt(bin_dir, measurements, out, *options):
    """What a model of the measurements predicts: physics, the fastest to fit."""
    succeed(bin_dir, "adapt", "--learner", "physics", "--measurements", measurements,
            "--workload", "w", "--out", out, *options)
    table = out.with_suffix(".csv")
    succeed(bin_dir, "predict", "--model", out, "--out", table)
    return rows(table)


def same_model_as_plain(bin_dir, measurements, tmp):
    plain = tmp / "plain.csv"
    plain.write_text(PLAIN, encoding="ascii")
    assert adapt(bin_dir, measurements, tmp / "m.h5") == adapt(bin_dir, plain, tmp / "p.h5"), \
        "predicts something else than for the plain file"


def imported(bin_dir, folder, tmp, *inputs, **options):
    out = tmp / "out.h5"
    found = report(bin_dir, "import", "--mapping", options.get("mapping", folder / "map.ini"), "--out", out, *inputs)
    return out, found


def refused(bin_dir, measurements, tmp, *saying):
    refuse(bin_dir, "adapt", "--learner", "physics", "--measurements", measurements,
           "--out", tmp / "m.h5", saying=saying)
    assert not (tmp / "m.h5").exists(), "a model was written"


def blank_lines(bin_dir, folder, tmp):
    out, _ = imported(bin_dir, folder, tmp, folder / "logs")
    assert close(dataset(out, "power_w"), [5.3]), f"expected 5.3 W, found {dataset(out, 'power_w')}"


def two_sensors(bin_dir, folder, tmp):
    refuse(bin_dir, "import", "--mapping", folder / "map.ini", "--out", tmp / "out.h5", folder / "logs",
           saying=["VDD_IN", "more than once"])


def lzf(bin_dir, folder, _):
    line = refuse(bin_dir, "inspect", folder / "p.h5", saying=["p.h5", "lzf"])
    assert "damaged" not in line, line


def int_times(bin_dir, folder, tmp):
    succeed(bin_dir, "inspect", folder / "p.h5")
    profiles = report(bin_dir, "inspect", folder / "p.h5")["profiles"]
    name = profiles[0]
    succeed(bin_dir, "adapt", "--learner", "physics", "--profiles", folder / "p.h5", "--device", name["device"],
            "--workload", name["workload"], "--shots", 10, "--out", tmp / "m.h5")


def zeus_energy(bin_dir, folder, tmp):
    out, _ = imported(bin_dir, folder, tmp, folder / "z.csv")
    power = dataset(out, "power_w")
    # Modes ascend by power limit, then by batch size.
    expected = sorted([29000.1 / 310.5, 31000 / 270.5, 28100 / 290, 30100.5 / 255])
    assert close(sorted(power), expected), f"expected {expected}, found {power}"


def rounded_mhz(bin_dir, folder, tmp):
    out, found = imported(bin_dir, folder, tmp, folder / "m.csv")
    modes = dataset(out, "modes")
    assert modes == [4, 729600, 114750, 665600, 12, 2201600, 1300500, 3199000], f"found {modes}"
    assert any("gpu_khz" in notice for notice in found["notices"]), f"found {found['notices']}"


def utf16(bin_dir, folder, tmp):
    same_model_as_plain(bin_dir, folder / "m.csv", tmp)


def nan_cell(bin_dir, folder, tmp):
    adapt(bin_dir, folder / "m.csv", tmp / "m.h5")
    targets = dataset(tmp / "m.h5", "support/targets")
    time, power = targets[0::2], targets[1::2]
    assert len(time) == 8 and not any(t != t for t in time), f"expected 8 times, found {time}"
    assert sum(p == p for p in power) == 7, f"expected 7 powers, found {power}"


def comment_line(bin_dir, folder, tmp):
    same_model_as_plain(bin_dir, folder / "m.csv", tmp)


def mhz_in_khz(bin_dir, folder, tmp):
    refused(bin_dir, folder / "m.csv", tmp, "m.csv:2", "cpu_khz", "looks like MHz", "[MHz]")


def mw_in_w(bin_dir, folder, tmp):
    refused(bin_dir, folder / "m.csv", tmp, "m.csv:2", "power_w", "looks like mW", "[mW]")


def jtop_samples(bin_dir, folder, tmp):
    out, _ = imported(bin_dir, folder, tmp, folder / "resnet_C1190400_G624750.csv")
    assert close(dataset(out, "power_w"), [15.0]), f"expected 15 W, found {dataset(out, 'power_w')}"
    assert dataset(out, "repeats") == [20] and close(dataset(out, "power_std_w"), [10.2598], 1e-4), \
        f"expected 20 repeats with a spread of 10.26 W, found {dataset(out, 'power_std_w')}"


CASES = {
    "06-tegrastats-blank-lines": blank_lines,
    "104-h5-lzf": lzf,
    "108-h5-int-times": int_times,
    "12-tegrastats-two-sensors-same-rail": two_sensors,
    "131-zeus-energy": zeus_energy,
    "157-rounded-mhz-board": rounded_mhz,
    "52-csv-utf16": utf16,
    "58-csv-nan-cell": nan_cell,
    "67-csv-comment-line": comment_line,
    "72-csv-mhz-whole-in-khz-column": mhz_in_khz,
    "73-csv-mw-in-power-w": mw_in_w,
    "95-jtop-csv-power-samples": jtop_samples,
}
