"""The set-up scripts, without a network: which Python is taken, when nothing is done, what the locks hold."""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = sorted(ROOT.glob("requirements*.lock"))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The scripts and locks alone, in a folder whose name has a space."""
    folder = tmp_path / "a checkout"
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    for name in ("run", "test", "pyproject.toml", *(lock.name for lock in LOCKS)):
        shutil.copy(ROOT / name, folder)
    return folder


def shell(checkout: Path, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_", "SSL_"))}
    return subprocess.run(
        ["sh", "-c", f"set -eu; root=$PWD; {command}"],
        cwd=checkout,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def tools(folder: Path) -> Path:
    """A folder for PATH with what the scripts call, and no Python."""
    folder.mkdir()
    for name in ("cat", "chmod", "cksum", "dirname", "ls", "mkdir", "mv", "rm", "sed", "sh", "sort", "tr"):
        (folder / name).symlink_to(str(shutil.which(name)))
    return folder


def rewrite(checkout: Path, old: str, new: str) -> None:
    """Change the checkout's pyproject.toml."""
    text = (checkout / "pyproject.toml").read_text()
    assert old in text
    (checkout / "pyproject.toml").write_text(text.replace(old, new))


def environment_of(checkout: Path, extras: str) -> None:
    """An environment that is as the locks say and holds some extras; its `solvent` prints its arguments."""
    program(checkout / ".venv/bin/solvent", 'echo "solvent $*"')
    program(checkout / ".venv/bin/python", "exit 1")
    result = shell(checkout, f'. scripts/env.sh; printf "%s {extras}\\n" "$(inputs)" >"$stamp"')
    assert result.returncode == 0, result.stderr


def test_a_python_that_is_too_old_is_named_with_what_would_do(checkout: Path, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin")
    program(path / "python3", "echo cpython 3.9")
    result = shell(checkout, "./run --version", PATH=str(path))
    assert result.returncode == 2
    assert "needs CPython 3.11, 3.12, 3.13 or 3.14" in result.stderr
    assert "python3 is cpython 3.9" in result.stderr


def test_a_python_without_venv_is_named_with_the_remedy(checkout: Path, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin")
    program(path / "python3", 'case $2 in *ensurepip*) exit 1 ;; esac; echo "cpython 3.12"')
    result = shell(checkout, "./run", PATH=str(path))
    assert result.returncode == 2
    assert "apt install python3-venv" in result.stderr


def test_no_python_at_all(checkout: Path, tmp_path: Path) -> None:
    result = shell(checkout, "./run", PATH=str(tools(tmp_path / "bin")))
    assert result.returncode == 2
    assert "Found: no Python" in result.stderr


def test_a_newer_python_by_its_own_name_is_taken_over_an_old_python3(checkout: Path, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin")
    program(path / "python3", "echo cpython 3.9")
    program(path / "python3.12", "echo cpython 3.12")
    result = shell(checkout, '. scripts/env.sh; find_python; echo "$python"', PATH=str(path))
    assert result.stdout == "python3.12\n", result.stderr


def test_an_unknown_extra_lists_those_that_there_are(checkout: Path) -> None:
    result = shell(checkout, "./run --with feedz margin")
    assert result.returncode == 2
    assert result.stderr == "no extra is called 'feedz'; there are: chain dev feeds models postgres\n"


@pytest.mark.parametrize(
    ("held", "command", "printed"),
    [
        ("", "./run", "solvent up\n"),
        ("", "./run margin 'a b' --json", "solvent margin a b --json\n"),
        ("dev", "./run --version", "solvent --version\n"),
        ("feeds", "./run --with feeds fetch", "solvent fetch\n"),
        ("dev", "./run --with feeds fetch", "solvent fetch\n"),
    ],
)
def test_a_warm_start_needs_no_python(checkout: Path, tmp_path: Path, held: str, command: str, printed: str) -> None:
    environment_of(checkout, held)
    result = shell(checkout, command, PATH=str(tools(tmp_path / "bin")))
    assert (result.stdout, result.stderr) == (printed, "")


@pytest.mark.parametrize(
    ("command", "spoil", "warm"),
    [
        pytest.param("./run", lambda _: None, True, id="control"),
        pytest.param("./run --with feeds up", lambda _: None, False, id="another-extra"),
        pytest.param("./run", lambda at: (at / "requirements.lock").write_text("x"), False, id="lock"),
        pytest.param("./run", lambda at: rewrite(at, "0.1.0", "0.1.1"), False, id="metadata"),
        pytest.param("./run", lambda at: rewrite(at, "line-length", "cache"), True, id="settings-of-a-tool"),
        pytest.param("./run", lambda at: (at / ".venv/bin/python").unlink(), False, id="python-gone"),
        pytest.param("./run", lambda at: (at / ".venv/solvent-sync").unlink(), False, id="cut-short"),
    ],
)
def test_what_makes_a_start_cold(
    checkout: Path, tmp_path: Path, command: str, spoil: Callable[[Path], object], warm: bool
) -> None:
    environment_of(checkout, "")
    spoil(checkout)
    result = shell(checkout, command, PATH=str(tools(tmp_path / "bin")))
    assert (result.returncode == 0) is warm
    assert ("no Python" in result.stderr) is not warm


def test_a_checkout_that_moved_is_set_up_again(checkout: Path, tmp_path: Path) -> None:
    environment_of(checkout, "")
    moved = checkout.rename(tmp_path / "moved")
    assert "no Python" in shell(moved, "./run", PATH=str(tools(tmp_path / "bin"))).stderr


def test_set_ups_at_the_same_time_do_the_work_once(checkout: Path) -> None:
    environment_of(checkout, "")
    (checkout / ".venv/solvent-sync").unlink()
    one = '. scripts/env.sh; sync() { echo x >>log; sleep 0.5; echo "$wanted " >"$stamp"; }; need; echo ready'
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: shell(checkout, one), range(4)))
    assert [result.stdout for result in results] == ["ready\n"] * 4, results
    assert (checkout / "log").read_text() == "x\n"


@pytest.mark.parametrize(
    ("settings", "environment", "expected"),
    [
        ("global.index-url='https://one/'\ninstall.index-url='https://two/'", {}, "https://two/ -"),
        ("global.cert='/pip.pem'\n:env:.index-url='https://three/'", {}, "https://three/ /pip.pem"),
        ("global.index-url='https://one/'", {"UV_DEFAULT_INDEX": "https://own/"}, "https://own/ -"),
        ("global.timeout='9'", {}, "- -"),
    ],
)
def test_uv_is_told_what_pip_was_told(
    checkout: Path, settings: str, environment: dict[str, str], expected: str
) -> None:
    program(checkout / ".boot/bin/python", f"cat <<'E'\n{settings}\nE")
    command = '. scripts/env.sh; uv_follows_pip; echo "${UV_DEFAULT_INDEX:--} ${SSL_CERT_FILE:--}"'
    assert shell(checkout, command, **environment).stdout == expected + "\n"


def test_the_kernels_cache_is_its_owners_alone(checkout: Path) -> None:
    (checkout / ".cache/numba").mkdir(parents=True, mode=0o777)
    (checkout / ".cache/numba").chmod(0o777)
    result = shell(checkout, '. scripts/env.sh; echo "$NUMBA_CACHE_DIR"')
    assert result.stdout == f"{checkout}/.cache/numba\n"
    assert (checkout / ".cache/numba").stat().st_mode & 0o777 == 0o700


def locked(lock: Path) -> dict[str, set[str]]:
    """The versions of each package in a lock (more than one where they differ by Python)."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("lock", [*LOCKS, ROOT / "scripts/boot.lock"], ids=lambda lock: lock.name)
def test_a_lock_pins_every_file_by_hash_and_names_no_host(lock: Path) -> None:
    text = lock.read_text()
    pins = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(pins) == sum(len(versions) for versions in locked(lock).values())
    assert all("--hash=sha256:" in pin for pin in pins)
    assert "://" not in text
    assert "--index" not in text


@pytest.mark.parametrize("extra", ["", *PROJECT["optional-dependencies"]])
def test_a_lock_holds_what_the_project_asks_for(extra: str) -> None:
    lock = locked(ROOT / (f"requirements-{extra}.lock" if extra else "requirements.lock"))
    asked = PROJECT["dependencies"] + (PROJECT["optional-dependencies"][extra] if extra else [])
    for requirement in map(Requirement, asked):
        assert all(requirement.specifier.contains(version) for version in lock[requirement.name]), requirement


def test_every_lock_is_cut_from_the_one_that_tests_use() -> None:
    tested = locked(ROOT / "requirements-dev.lock")
    for lock in LOCKS:
        assert {name: tested.get(name) for name in locked(lock)} == locked(lock), lock.name


COPYLEFT = re.compile(r"\b(AGPL|GPL|BUSL|SSPL|GNU (Affero )?General Public|Business Source)", re.IGNORECASE)


def licences(package: str) -> list[str]:
    """What an installed package says its licence is; nothing for one that this platform does without."""
    try:
        said = metadata(package)
    except PackageNotFoundError:
        return []
    classifiers = [each for each in said.get_all("Classifier", []) if each.startswith("License")]
    return [said.get("License-Expression", ""), said.get("License", "").partition("\n")[0], *classifiers]


def test_what_the_product_installs_is_not_copyleft() -> None:
    packages = {name for lock in LOCKS if "dev" not in lock.name for name in locked(lock)}
    assert sum(bool(licences(name)) for name in packages) > len(packages) / 2
    assert not {name: said for name in packages if COPYLEFT.search(str(said := licences(name)))}


@pytest.mark.parametrize("text", ["GPL-3.0-or-later", "AGPL-3.0", "License :: GNU General Public License v3"])
def test_copyleft_would_be_seen(text: str) -> None:
    assert COPYLEFT.search(text)
