"""Compiles the contracts into `src/solvent/contracts/build`, so that users need no compiler."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from vyper.compiler.input_bundle import FileInput, FilesystemInputBundle
from vyper.compiler.output import build_abi_output
from vyper.compiler.phases import CompilerData
from vyper.version import version

CONTRACTS = Path(__file__).parents[1] / "src" / "solvent" / "contracts"
BUILD = CONTRACTS / "build"


def deployables() -> list[str]:
    """Names of the contracts that deploy: those in CamelCase; modules are in snake_case."""
    return sorted(path.stem for path in CONTRACTS.glob("*.vy") if path.stem[0].isupper())


def sources(name: str) -> list[Path]:
    """A contract's file and those of the modules that it imports, directly or not."""
    found: list[Path] = []
    waiting = [CONTRACTS / f"{name}.vy"]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.append(path)
            waiting += [
                CONTRACTS / f"{module}.vy" for module in re.findall(r"^from \. import (\w+)", path.read_text(), re.M)
            ]
    return sorted(found)


def source_digest(name: str) -> str:
    """SHA-256 over names and texts of all sources."""
    digest = hashlib.sha256()
    for path in sources(name):
        digest.update(f"{path.name}\0{path.read_text()}\0".encode())
    return digest.hexdigest()


def errors() -> list[dict[str, Any]]:
    """ABI entries of the custom errors, which Vyper does not write by itself."""
    names = re.findall(r"# (\w+)\(\)$", (CONTRACTS / "errors.vy").read_text(), re.M)
    return [{"type": "error", "name": name, "inputs": []} for name in names]


def artifact(name: str) -> dict[str, Any]:
    """Everything that a client needs of one contract."""
    path = CONTRACTS / f"{name}.vy"
    text = path.read_text()
    bundle = FilesystemInputBundle([CONTRACTS])
    data = CompilerData(FileInput(-1, Path(path.name), path, text), bundle)
    settings = data.settings
    own_errors = errors() if CONTRACTS / "errors.vy" in sources(name) else []
    return {
        "name": name,
        "compiler": {
            "version": version,
            "evm_version": settings.evm_version,
            "optimize": str(settings.optimize),
            "experimental_codegen": bool(settings.experimental_codegen),
        },
        "source_digest": source_digest(name),
        "abi": build_abi_output(data) + own_errors,
        "bytecode": "0x" + data.bytecode.hex(),
        "runtime": "0x" + data.bytecode_runtime.hex(),
    }


def written(name: str) -> dict[str, Any]:
    """The artifact in the package."""
    loaded: dict[str, Any] = json.loads((BUILD / f"{name}.json").read_text())
    return loaded


if __name__ == "__main__":
    BUILD.mkdir(exist_ok=True)
    for each in deployables():
        (BUILD / f"{each}.json").write_text(json.dumps(artifact(each), indent=1) + "\n")
