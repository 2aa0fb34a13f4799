"""Every model by name fits, and says so where it needs more."""

import pytest
from tests.models.samples import garch_returns

from solvent.errors import SolventError
from solvent.models.catalogue import BENCHMARK, CHAMPION, ESTIMATED, MODELS, model_of


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_every_model_answers_for_both_sides(name: str, level: float) -> None:
    if name in ESTIMATED:
        pytest.importorskip("arch", reason="needs the extra `models`")
    fitted = model_of(name, level).fit(garch_returns(800))
    for side in ("long", "short"):
        assert 0.005 < fitted.quantile(level, side) < 0.3  # type: ignore[arg-type]
        assert fitted.shortfall(level, side) >= fitted.quantile(level, side)  # type: ignore[arg-type]


def test_champion_and_benchmark_are_there() -> None:
    assert {CHAMPION, BENCHMARK} <= MODELS.keys()


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(SolventError, match="one of"):
        model_of("oracle")
