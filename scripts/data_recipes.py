"""How scripts/fetch-data makes files of a set from files as they were published.

A recipe is a function of {path in the repository: bytes}, which gives the bytes of the made file. datasets/sets/*.ini name
recipes and know the SHA-256 of what they make, so a recipe that changes its output, or a source that does, is noticed.
"""
import csv
import io
import json
import re
import tarfile
from pathlib import PurePosixPath

RAILS = ["VDD_IN", "VDD_SYS_GPU", "VDD_SYS_CPU", "VDD_SYS_SOC", "VDD_SYS_DDR", "VDD_4V0_WIFI"]
BUSY = ["EMC", "GR3D"]  # percent of the time, and the clock, of memory and GPU
KINDS = ["sp", "dp", "hp", "int"]  # mixbench: single, double and half precision, integers


def table(header, rows, line_end="\r\n"):
    text = io.StringIO()
    csv.writer(text, lineterminator=line_end).writerows([header, *rows])
    return text.getvalue().encode()


def mean(values):
    """Whole numbers stay whole: 470, not 470.0."""
    total = sum(values)
    return total // len(values) if total % len(values) == 0 else round(total / len(values), 2)


def by_clocks(sources):
    """Yields (CPU kHz, GPU Hz, EMC Hz), text; ascending. The clocks are in the names: Tegra_HSTO_C_345600_G_..._M_..."""
    found = {}
    for path, data in sources.items():
        clocks = re.search(r"_C_(\d+)_G_(\d+)_M_(\d+)$", path)
        if not clocks:
            raise ValueError(f"expected clocks at the end of the name, found {path}")
        found[tuple(map(int, clocks.groups()))] = data.decode()
    return sorted(found.items())


def tegrastats_means(sources):
    """One row per log: the mean of each rail in mW and of how busy memory and GPU were."""
    rows = []
    for clocks, text in by_clocks(sources):
        lines = [line for line in text.splitlines() if "VDD_IN" in line]
        rails = [mean([int(re.search(rf"{rail} (\d+)/", line)[1]) for line in lines]) for rail in RAILS]
        busy = [[re.search(rf"{name}_FREQ (\d+)%@(\d+)", line) for line in lines] for name in BUSY]
        percents = [mean([int(match[1]) for match in found]) for found in busy]
        seen = [max(int(match[2]) for match in found) for found in reversed(busy)]
        rows.append([*clocks, len(lines), *rails, *percents, *seen])
    return table(["cpu_khz", "gpu_hz", "emc_hz", "n_samples", *(f"{rail}_mW" for rail in RAILS),
                  *(f"{name}_util_pct" for name in BUSY), "gr3d_mhz_seen", "emc_mhz_seen"], rows)


def mixbench_times(sources):
    """One row per output of mixbench: sums of its times in ms, and the times of three lines of it."""
    shown = [0, 64, 1024]  # compute iterations
    rows = []
    for clocks, text in by_clocks(sources):
        lines = [line.split(",") for line in text.splitlines() if re.match(r"\s*\d+,", line)]
        times = {int(line[0]): [float(line[column]) for column in (2, 6, 10, 14)] for line in lines}
        sums = [sum(column) for column in zip(*times.values())]
        rows.append([*clocks, len(times), *(round(total, 2) for total in sums), *(time for n in shown for time in times[n]),
                     round(sum(sums), 2)])
    return table(["cpu_khz", "gpu_hz", "emc_hz", "n_rows", *(f"sum_{kind}_ms" for kind in KINDS),
                  *(f"{kind}_it{n}_ms" for n in shown for kind in KINDS), "sum_all_ms"], rows, "\n")


def titanx_table(sources):
    """A line with five numbers is a mode; any other names the workload of the modes below it. The first of a mode counts."""
    rows, workload = {}, ""
    for data in sources.values():
        for line in csv.reader(io.StringIO(data.decode())):
            if len(line) == 5:
                mem_mhz, core_mhz, time_ms, power_w, _ = line  # the last is their product
                rows.setdefault((workload, core_mhz, mem_mhz), [time_ms, power_w])
            else:
                workload = line[0]
    return table(["workload", "core_mhz", "mem_mhz", "time_ms", "power_w"], [[*mode, *row] for mode, row in rows.items()])


def freqbench_table(sources):
    """One row per clock of each cluster in results/SOC/RUN/results.json."""
    columns = ["elapsed_sec", "power_mean", "energy_joules", "coremark_score", "coremarks_per_mhz"]
    rows = []
    for path, data in sorted(sources.items()):
        folders = PurePosixPath(path).parts[1:-1]
        for cpu, cluster in json.loads(data)["cpus"].items():
            for khz, measured in cluster["freqs"].items():
                rows.append([folders[0], "-".join(folders), cpu, khz, *(measured["active"][column] for column in columns)])
    return table(["soc", "run", "cluster_first_cpu", "cpu_khz", "elapsed_s", "power_mw", "energy_j", "coremark_score",
                  "coremarks_per_mhz"], rows)


def tar(sources):
    """Names without the folders above the last, no times or owners: always the same bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, data in sorted(sources.items()):
            member = tarfile.TarInfo("/".join(PurePosixPath(path).parts[-2:]))
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


RECIPES = {"tegrastats-means": tegrastats_means, "mixbench-times": mixbench_times, "titanx-table": titanx_table,
           "freqbench-table": freqbench_table, "tar": tar}
