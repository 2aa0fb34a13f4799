"""Files of predictive models: made from candles, named by a policy with their hash, and believed only under it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import msgspec
import polars as pl

from solvent.domain.policy import Policy
from solvent.engine.adaptive.history import S_NS
from solvent.engine.adaptive.parameters import margin_params
from solvent.engine.files import read_text, write_bytes
from solvent.engine.toml_text import toml_text
from solvent.errors import Problem, SolventError, problem, raise_if
from solvent.margin.rules.portfolio.params import ModelFile, check_params
from solvent.models import boosting, hourly

MODEL_BYTES_MOST = 32 << 20
ENDING = ".lightgbm.txt"
NEEDED = "lightgbm"
"""The package that reads and makes models; an extra."""


class Model(NamedTuple):
    """One asset's model and its name in policies and evidence."""

    blake2b: str
    kept: hourly.Kept


def check_installed(where: str) -> None:
    """Raise SolventError where the package is not there."""
    if find_spec(NEEDED) is None:
        remedy = "`./run --with models ...` or `pip install 'solvent[models]'`"
        raise SolventError(problem(where, None, NEEDED, "not installed", remedy))


def trained(candles: pl.DataFrame, assets: tuple[str, ...]) -> dict[str, Model]:
    """A model of each asset from hourly candles. Raises SolventError with every asset that has too few."""
    found: dict[str, Model] = {}
    problems: list[Problem] = []
    for asset in assets:
        try:
            kept = hourly.trained(candles, asset)
        except SolventError as error:
            problems += error.problems
        else:
            found[asset] = Model(boosting.digest(kept.text), kept)
    raise_if(problems)
    return found


def named(asset: str, model: Model) -> ModelFile:
    """How a policy names a model. Its file has the hash in its name, so that a newer one overwrites none."""
    learnt_before = datetime.fromtimestamp(model.kept.learnt_before_ns // S_NS, UTC)
    return ModelFile(f"{asset}-{model.blake2b[:12]}{ENDING}", model.blake2b, f"{learnt_before:%Y-%m-%dT%H:%M:%SZ}")


def write_models(folder: Path, models: Mapping[str, Model]) -> None:
    """Write each model's text into a folder, which is made if needed. Raises SolventError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        accepted = "a folder that can be made"
        raise SolventError(problem(str(folder), None, "folder", error.strerror or str(error), accepted)) from None
    for asset, model in models.items():
        write_bytes(folder / named(asset, model).file, model.kept.text.encode())


def with_models(policy: Policy, models: Mapping[str, Model]) -> Policy:
    """The policy that names these models, beside those it names of other assets. Raises SolventError."""
    table = policy.margin.get("prediction", {}) | {
        asset: msgspec.to_builtins(named(asset, model)) for asset, model in models.items()
    }
    found = msgspec.structs.replace(policy, margin={**policy.margin, "prediction": table})
    raise_if(check_params(margin_params(found), f"policy {policy.name} margin"))
    return found


def policy_toml(policy: Policy) -> str:
    """A policy as the text of its file; tables that hold nothing are left out."""
    return toml_text({key: value for key, value in msgspec.to_builtins(policy).items() if value})


def models_of(policy: Policy, folder: Path | None) -> dict[str, Model]:
    """The models that a policy names, read from a folder, by asset; none where it names none.

    Raises SolventError with every file that is missing, has another hash than the policy says, or was learnt from
    other features than ours; and where no folder is known.
    """
    files = margin_params(policy).prediction
    if not files:
        return {}
    check_installed("prediction")
    found: dict[str, Model] = {}
    problems: list[Problem] = []
    for asset, file in files.items():
        if folder is None:
            problems.append(problem("arguments", None, "--models", "not said", f"the folder that has {file.file}"))
            continue
        try:
            text = read_text(folder / file.file, MODEL_BYTES_MOST)
            boosting.loaded(text, file.blake2b, file.file, hourly.KEPT_FEATURES)
        except SolventError as error:
            problems += error.problems
        else:
            learnt_before_ns = int(datetime.fromisoformat(file.learnt_before).timestamp()) * S_NS
            found[asset] = Model(file.blake2b, hourly.Kept(text, learnt_before_ns))
    raise_if(problems)
    return found
