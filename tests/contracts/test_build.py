"""The compiled contracts in the package are what the sources give, and small enough."""

import re
from pathlib import Path

import pytest
from eth_utils import keccak
from scripts.build_contracts import BUILD, CONTRACTS, artifact, deployables, source_digest, sources, written

RUNTIME_MOST = 24_576 * 8 // 10
LINES_MOST = 600


@pytest.mark.parametrize("name", deployables())
def test_an_artifact_is_what_its_source_gives(name: str) -> None:
    kept = written(name)
    assert kept["source_digest"] == source_digest(name), "sources changed: run scripts/build_contracts.py"
    assert artifact(name) == kept


def test_every_contract_is_built_and_nothing_else() -> None:
    assert sorted(path.stem for path in BUILD.glob("*.json")) == deployables()


@pytest.mark.parametrize("name", deployables())
def test_runtimes_leave_a_fifth_of_the_limit(name: str) -> None:
    assert len(bytes.fromhex(written(name)["runtime"][2:])) < RUNTIME_MOST


@pytest.mark.parametrize("name", deployables())
def test_every_external_function_and_the_contract_are_documented(name: str) -> None:
    text = (CONTRACTS / f"{name}.vy").read_text()
    assert "@custom:kill" in text
    assert "@license Apache-2.0" in text
    for source in sources(name):
        for body in re.findall(r"@external\n(?:@\w+\n)*def [^\"]*?:\n(.*?)\n", source.read_text()):
            assert body.strip().startswith('"""'), source.name


@pytest.mark.parametrize("path", sorted(CONTRACTS.glob("*.vy")), ids=lambda path: path.stem)
def test_a_file_holds_one_idea_and_says_which(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LINES_MOST
    assert re.search(r"^@title .+: .+", text, re.M)
    assert any(path in sources(name) for name in deployables()), "nothing that deploys imports it"


def test_errors_are_the_selectors_of_their_names() -> None:
    found = re.findall(
        r"^(\w+): constant\(uint256\) = (\d+)  # (\w+)\(\)$", (CONTRACTS / "errors.vy").read_text(), re.M
    )
    assert len(found) > 40
    for constant, number, name in found:
        assert int(number) == int.from_bytes(keccak(text=f"{name}()")[:4], "big"), name
        assert constant == re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()
