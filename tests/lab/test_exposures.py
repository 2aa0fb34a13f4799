"""Tables of debts as networks: every fault at once, and shocks that do what they say."""

import polars as pl
import pytest

from solvent.errors import SolventError
from solvent.lab.contagion import clear
from solvent.lab.exposures import Exposures, exposures_of, failures, outcome, shocked

DEBTS = pl.DataFrame(
    [("north", "south", 60.0), ("north", "south", 10.0), ("south", "east", 50.0), ("west", "north", 40.0)],
    ["debtor", "creditor", "amount"],
    orient="row",
)
ASSETS = pl.DataFrame(
    [("north", 50.0, 10.0), ("south", 30.0, None), ("west", 60.0, 5.0)],
    ["institution", "external_assets", "external_liabilities"],
    orient="row",
)


@pytest.fixture
def held() -> Exposures:
    return exposures_of(DEBTS, ASSETS)


def test_rows_of_a_pair_add_up_and_whoever_is_named_in_debts_alone_has_no_assets(held: Exposures) -> None:
    assert held.names == ("north", "south", "west", "east")
    north, south, east = (held.index(name) for name in ("north", "south", "east"))
    assert held.net.liabilities[north, south] == 70
    assert held.net.external_assets[east] == 0
    assert held.net.external_liabilities.tolist() == [10, 0, 5, 0]
    assert held.net.equity.sum() == pytest.approx(140 - 15)
    with pytest.raises(SolventError, match="one of north, south, west, east"):
        held.index("nowhere")


def test_all_faults_of_both_frames_are_told_at_once() -> None:
    debts = pl.DataFrame({"debtor": ["a", "b", None], "creditor": ["a", "c", "d"], "amount": ["1", "-2", "x"]})
    assets = pl.DataFrame({"institution": ["a", "a"], "external_assets": [1.0, None]})
    with pytest.raises(SolventError) as refused:
        exposures_of(debts, assets, "debts.csv", "own.csv")
    told = {(each.file, each.row, each.field) for each in refused.value.problems}
    wanted = {("debts.csv", 1, "creditor"), ("debts.csv", 2, "amount"), ("debts.csv", 3, "amount")}
    wanted |= {("debts.csv", 3, "debtor"), ("own.csv", 1, "institution"), ("own.csv", 2, "institution")}
    assert told == wanted | {("own.csv", 2, "external_assets")}


def test_a_shock_takes_parts_of_external_assets(held: Exposures) -> None:
    assert shocked(held, {"west": 0.5, "*": 0.1}).external_assets == pytest.approx([45, 27, 30, 0])
    with pytest.raises(SolventError) as refused:
        shocked(held, {"nobody": 0.5, "west": 1.5})
    assert len(refused.value.problems) == 2


def test_an_outcome_agrees_with_clearing_and_marks_losses(held: Exposures) -> None:
    calm, hit = outcome(held, {}), outcome(held, {"west": 0.9})
    assert not calm.frame["defaulted"].any()
    assert calm.frame["debtrank"].to_list() == [0, 0, 0, 0]
    assert hit.frame["payment_usd"].to_list() == clear(shocked(held, {"west": 0.9})).payments.tolist()
    west = hit.frame.row(by_predicate=pl.col("institution") == "west", named=True)
    assert west["defaulted"]
    assert west["paid"] == pytest.approx(6 / 45)
    assert west["debtrank"] == 1
    north = hit.frame.row(by_predicate=pl.col("institution") == "north", named=True)
    assert 0 < north["debtrank"] <= 1


def test_who_fails_alone_drags_down_his_creditors(held: Exposures) -> None:
    found = failures(held, held.names)
    assert found["debtrank"].to_list() == sorted(found["debtrank"].to_list(), reverse=True)
    west = found.row(by_predicate=pl.col("institution") == "west", named=True)
    cleared = clear(shocked(held, {"west": 1.0}))
    assert west["defaults"] == int(cleared.defaulted.sum()) - 1
    assert west["unpaid_usd"] == pytest.approx(float((held.net.obligations - cleared.payments).sum()))
    east = found.row(by_predicate=pl.col("institution") == "east", named=True)
    assert (east["defaults"], east["unpaid_usd"], east["debtrank"]) == (0, 0.0, 0.0)
