"""The backend of `pip install ./python` (PEP 517): builds the package by CMake and puts it into a wheel. Standard library only, so that
pip needs no network.

From the environment:
  FEWWATT_BUILD         a build folder with FEWWATT_PYTHON=ON that is used as it is, in place of one that is made here
  FEWWATT_PYTHON_TORCH  on or off: whether fewwatt._meta is built; if not set, where LibTorch's CMake files are found
  FEWWATT_JOBS          number of compilers at once; all cores if not set
"""
import base64
import hashlib
import os
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]


def version():
    """Of CMakeLists.txt, which has it for everything."""
    found = re.search(r"project\(fewwatt VERSION ([0-9.]+)", (SOURCE / "CMakeLists.txt").read_text(encoding="utf-8"))
    if not found:
        raise RuntimeError(f"{SOURCE / 'CMakeLists.txt'}: expected project(fewwatt VERSION ...), found none")
    return found.group(1)


def wants_torch():
    said = os.environ.get("FEWWATT_PYTHON_TORCH", "")
    if said not in ("", "on", "off"):
        raise RuntimeError(f"FEWWATT_PYTHON_TORCH: expected on or off, found '{said}'")
    if said:
        return said == "on"
    places = [Path("/usr/share/cmake"), Path("/usr/lib/cmake"), *Path("/usr/lib").glob("*/cmake")]
    return bool(os.environ.get("Torch_DIR")) or any((place / "Torch" / "TorchConfig.cmake").exists() for place in places)


def run(*command):
    print("+", *command, flush=True)
    subprocess.run([str(part) for part in command], check=True)


def build():
    """The folder of a build that has the package."""
    if os.environ.get("FEWWATT_BUILD"):
        return Path(os.environ["FEWWATT_BUILD"]).resolve()
    if not (SOURCE / "hw" / "power_mode.hpp").exists():
        raise RuntimeError(f"expected the checkout of fewwatt around this folder, found none in {SOURCE}")
    torch = wants_torch()
    folder = SOURCE / "build" / f"pip-{sysconfig.get_platform()}-{sys.version_info[0]}{sys.version_info[1]}{'-torch' if torch else ''}"
    options = [f"-DPython3_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Release", "-DFEWWATT_PYTHON=ON", "-DFEWWATT_TESTS=OFF",
               f"-DFEWWATT_TORCH={'ON' if torch else 'OFF'}"]
    if os.environ.get("Torch_DIR"):
        options.append(f"-DTorch_DIR={os.environ['Torch_DIR']}")
    run("cmake", "-S", SOURCE, "-B", folder, "-G", "Ninja", *options)
    run("cmake", "--build", folder, "-j", os.environ.get("FEWWATT_JOBS") or os.cpu_count() or 1, "--target", "python_package")
    return folder


def metadata():
    return (f"Metadata-Version: 2.1\nName: fewwatt\nVersion: {version()}\n"
            "Summary: Few-shot prediction of time and power over hardware power modes\n"
            "License: Apache-2.0\nRequires-Python: >=3.9\nRequires-Dist: numpy>=1.22\n")


def tag():
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    return f"{python}-{python}-linux_{platform.machine()}"


def wheel_text():
    return f"Wheel-Version: 1.0\nGenerator: fewwatt\nRoot-Is-Purelib: false\nTag: {tag()}\n"


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    """Without this, pip would build a wheel to learn its name."""
    info = Path(metadata_directory) / f"fewwatt-{version()}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(metadata(), encoding="utf-8")
    (info / "WHEEL").write_text(wheel_text(), encoding="utf-8")
    return info.name


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    folder = build()
    name = f"fewwatt-{version()}"
    records = []
    with tempfile.TemporaryDirectory() as staged:
        for component in ("python", "python-meta"):
            run("cmake", "--install", folder, "--prefix", staged, "--component", component)
        package = next(Path(staged).rglob("fewwatt/__init__.py")).parent
        wheel = f"{name}-{tag()}.whl"
        with zipfile.ZipFile(Path(wheel_directory) / wheel, "w", zipfile.ZIP_DEFLATED) as archive:

            def add(path, content, mode=0o644):
                info = zipfile.ZipInfo(path)
                info.external_attr = (0o100000 | mode) << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, content)
                digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                records.append(f"{path},sha256={digest},{len(content)}\n")

            for file in sorted(package.iterdir()):
                add(f"fewwatt/{file.name}", file.read_bytes(), 0o755 if os.access(file, os.X_OK) else 0o644)
            add(f"{name}.dist-info/METADATA", metadata().encode())
            add(f"{name}.dist-info/WHEEL", wheel_text().encode())
            add(f"{name}.dist-info/LICENSE", (SOURCE / "LICENSE").read_bytes())
            record = f"{name}.dist-info/RECORD"
            archive.writestr(record, "".join(records) + f"{record},,\n")
    return wheel


def build_sdist(sdist_directory, config_settings=None):
    raise RuntimeError("fewwatt's Python package is built from a checkout: pip install ./python")
