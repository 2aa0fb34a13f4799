"""Assessments on made-up and on real days: no look-ahead, look-through, reflexive tokens, policies that load."""

import tomllib
from datetime import date, timedelta
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from solvent.domain.instruments import Spot
from solvent.domain.policy import Policy, parameters
from solvent.domain.universe import Universe
from solvent.engine.collateral import Assessed, assess_files, collateral_policy, read_facts, read_histories, read_rules
from solvent.engine.params import EngineParams
from solvent.margin.rules.portfolio.params import PortfolioParams, check_params, check_universe
from solvent.models.collateral.assess import Assessment, assess
from solvent.models.collateral.facts import Facts
from solvent.models.collateral.history import History
from solvent.models.collateral.hysteresis import haircut_path
from solvent.models.collateral.targets import target

START = date(2020, 1, 1)


def history(asset: str, days: int = 900, sigma: float = 0.03, volume: float = 1e9, seed: int = 1) -> History:
    draw = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(draw.normal(0, sigma, days)))
    high, low = close * 1.01, close * 0.99
    dates = np.arange(days) + np.datetime64(START, "D")
    return History(asset, dates, high, low, close, np.full((1, days), volume), np.full(days, np.nan))


def facts(**stated: object) -> Facts:
    return msgspec.convert(
        {
            "kind": "coin",
            "launched": "2015-01-01",
            "chain": "Test",
            "source": "a test",
            "as_of": "2022-01-01",
            **stated,
        },
        Facts,
    )


DAY = START + timedelta(days=900)
RULES = read_rules()


def one(own: History, known: Facts, day: date = DAY) -> Assessment:
    return assess({own.asset: own}, {own.asset: known}, RULES, day)[own.asset]


def test_a_plain_coin_counts() -> None:
    found = one(history("X"), facts())
    assert found.eligible
    assert 0.05 < found.haircut < 0.2
    assert found.weight == 1 - found.haircut
    assert found.cap.usd == pytest.approx(5e8)
    assert found.haircut_maintenance <= found.haircut
    assert found.loan.loan_to_value < found.loan.liquidation_threshold < 1 / (1 + found.loan.bonus)


def test_later_days_change_nothing() -> None:
    whole = history("X")
    later = history("X")
    cut = 700
    for name in ("high", "low", "close"):
        getattr(later, name)[cut:] *= 0.2
    later.volume_usd[:, cut:] = 1.0
    day = START + timedelta(days=cut)
    assert msgspec.to_builtins(one(whole, facts(), day)) == msgspec.to_builtins(one(later, facts(), day))
    day += timedelta(days=1)
    assert one(whole, facts(), day).haircut < one(later, facts(), day).haircut, "the control: one day later it is seen"


def test_more_risk_is_a_larger_haircut() -> None:
    base = one(history("X"), facts()).haircut
    assert one(history("X", sigma=0.06), facts()).haircut > base
    assert one(history("X", volume=2e7), facts()).haircut > base
    assert one(history("X"), facts(kind="wrapped", represents="Y", wrapping="third_party")).haircut > base + 0.079


def test_a_claim_looks_through_to_what_it_redeems_into() -> None:
    claim = history("C", sigma=0.001, seed=2)
    known = {"X": facts(), "C": facts(kind="staked", represents="X", redemption="limited")}
    both = assess({"X": history("X"), "C": claim}, known, RULES, DAY)
    assert both["C"].target >= both["X"].target + 0.01 - 1e-9
    alone = assess({"C": claim}, known, RULES, DAY)
    assert alone["C"].target < both["X"].target, "the control: without the underlying's prices"


def test_claims_on_one_another_do_not_loop() -> None:
    known = {"X": facts(represents="C"), "C": facts(represents="X")}
    assert len(assess({"X": history("X"), "C": history("C")}, known, RULES, DAY)) == 2


def test_without_facts_volume_or_history_nothing_counts() -> None:
    own = history("X")
    assert assess({"X": own}, {}, RULES, DAY)["X"].eligibility.rule == "known"
    silent = msgspec.structs.replace(own, volume_usd=np.full((1, 900), np.nan))
    assert one(silent, facts()).eligibility.rule == "liquidity"
    short = one(history("X", days=60), facts())
    assert (short.eligible, short.haircut, short.weight, short.cap.usd) == (False, 1.0, 0.0, 0.0)
    open_door = [rule for rule in RULES if rule.name == "known"]
    barely = assess({"X": history("X", days=60)}, {"X": facts()}, open_door, DAY)["X"]
    assert barely.eligibility.rule == "history"
    nothing = one(history("X"), facts(), START)
    assert not nothing.eligible


def test_the_own_token_and_its_issuers_others_are_refused(shared: Path) -> None:
    daily = shared / "data" / "prices_daily" / "crypto_daily_ohlcv.parquet"
    found = assess_files([daily], ["FTT", "SOL"], date(2022, 11, 1), own_token="FTT").assessments
    ftt, sol = found
    assert (ftt.eligible, ftt.eligibility.rule, ftt.weight) == (False, "own token", 0.0)
    assert "FTX" in ftt.zero_for
    assert sol.eligible


def test_a_venues_token_is_capped_by_what_could_be_sold(shared: Path) -> None:
    daily = shared / "data" / "prices_daily" / "crypto_daily_ohlcv.parquet"
    hourly = shared / "data" / "prices_intraday" / "binance_spot_1h_2021_2023.parquet"
    (bnb,) = assess_files([daily], ["BNB"], date(2022, 11, 1)).assessments
    assert bnb.cap.reason.startswith("reflexive")
    (ftt,) = assess_files([daily, hourly], ["FTT"], date(2022, 11, 1)).assessments
    volume = ftt.values["volume_usd_daily"]
    assert isinstance(volume, float)
    assert volume < 1e8, "known from the second file"
    assert ftt.eligibility.rule == "liquidity"
    assert "asked for" in ftt.eligibility.reason
    assert ftt.cap.usd <= 0.5 * 0.1 * volume * 5


def test_volume_is_the_lower_of_two_files(shared: Path) -> None:
    daily = shared / "data" / "prices_daily" / "crypto_daily_ohlcv.parquet"
    hourly = shared / "data" / "prices_intraday" / "binance_spot_1h_2021_2023.parquet"
    (one_,), (two,) = (
        assess_files(files, ["BTC"], date(2022, 6, 1)).assessments for files in ([daily], [daily, hourly])
    )
    assert 0 < two.values["volume_usd_daily"] < one_.values["volume_usd_daily"]
    assert two.cap.usd < one_.cap.usd
    assert two.values["history_days"] == one_.values["history_days"]


def test_the_policy_of_an_assessment_loads_and_is_safe(shared: Path) -> None:
    daily = shared / "data" / "prices_daily" / "crypto_daily_ohlcv.parquet"
    admitted = [rule for rule in RULES if rule.name != "algorithmic"]
    assessed = assess_files([daily], ["BTC", "ETH", "USDC", "UST", "LUNA"], date(2022, 5, 1), rules=admitted)
    policy = Policy.from_toml(collateral_policy(assessed, "a test"))
    params, problems = parameters(PortfolioParams, policy.margin, "margin", frozenset({"rule"}))
    assert params is not None
    assert problems + check_params(params) == []
    assert set(params.collateral) == {"BTC", "ETH", "USDC", "UST", "LUNA"}
    assert params.crashes == {"UST depeg": {"UST": -0.9, "LUNA": -0.9}}
    by = {each.asset: each for each in assessed.assessments}
    assert params.collateral["BTC"].haircut_initial == pytest.approx(by["BTC"].haircut, abs=1e-4)
    assert {asset for asset, terms in params.collateral.items() if terms.scanned} == {"UST", "LUNA"}
    universe = Universe([Spot(asset, asset) for asset in params.collateral])
    assert check_universe(params, universe) == []
    assert EngineParams.of(policy, universe).limits["UST"].total_usd == int(by["UST"].cap.usd)


def test_refused_assets_are_not_in_the_policy() -> None:
    assessed = Assessed(DAY, (one(history("X"), facts()), one(history("Y", volume=1.0), facts())), {})
    tables = tomllib.loads(collateral_policy(assessed, "a test"))
    assert list(tables["margin"]["collateral"]) == list(tables["limits"]) == ["X"]
    assert "crashes" not in tables["margin"]


def test_the_shipped_facts_name_every_asset_of_the_daily_file(shared: Path) -> None:
    daily = shared / "data" / "prices_daily" / "crypto_daily_ohlcv.parquet"
    assert set(pl.read_parquet(daily)["asset"].unique()) <= set(read_facts())


COINS = ("BTC", "ETH", "SOL", "LTC", "XRP", "ADA", "LINK", "DOGE")


def test_haircuts_in_force_held_99_percent_of_days(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """2019-09 to 2024: at most one fall a hundred days through the haircut of a day's horizon, none of a stablecoin."""
    monkeypatch.setattr("solvent.models.collateral.targets.PATH_DAYS", 1949)
    daily = shared / "data" / "prices_daily" / "crypto_daily_ohlcv.parquet"
    histories, _ = read_histories([daily], [*COINS, "USDC", "USDT"])
    for asset, own in histories.items():
        found = target(own, read_facts()[asset], date(2025, 1, 1), tier=1)
        assert found is not None
        haircut = haircut_path(found.path, found.falls).haircut[:-1]
        falls = 1 - own.close[-len(haircut) :] / own.close[-len(haircut) - 1 : -1]
        exceptions = (falls > haircut).mean()
        assert exceptions <= (0.01 if asset in COINS else 0.0), asset
        assert haircut.mean() < (0.3 if asset in COINS else 0.06), "and is of use"
        assert (falls > haircut / 4).mean() > 0.01 or asset not in COINS, "the control: a quarter of it does not hold"


def test_a_treasury_bill_is_cut_by_points_and_gold_by_more(shared: Path) -> None:
    """The bill ETF stands in for a tokenised bill: no file has prices of one."""
    macro = pl.read_parquet(shared / "data" / "tradfi" / "macro_daily.parquet").drop_nulls("bil_tbill_etf_adj_close")
    close = macro["bil_tbill_etf_adj_close"].to_numpy()
    known = np.full(len(close), 1e9)
    bill = History("BILL", macro["date"].to_numpy().astype("datetime64[D]"), close, close, close, known[None], known)
    terms = facts(kind="treasury", custody="qualified", redemption="limited", issuer="Fund", exit_days=1.0)
    assert 0.02 <= one(bill, terms, date(2024, 12, 1)).target < 0.03
    hourly = shared / "data" / "prices_intraday" / "binance_spot_1h_2021_2023.parquet"
    daily = shared / "data" / "prices_daily" / "crypto_daily_ohlcv.parquet"
    (gold,) = assess_files([daily, hourly], ["PAXG"], date(2023, 12, 1)).assessments
    assert 0.05 <= gold.target < 0.15
    assert gold.zero_for == ("Brink's", "Paxos")


def test_unusual_funding_is_a_sign_of_stress() -> None:
    calm = 1e-4 * (1 + 0.1 * np.sin(np.arange(900)))
    wild = calm.copy()
    wild[-1] = 0.01
    own = [one(msgspec.structs.replace(history("X"), funding_rate=rate), facts()) for rate in (calm, wild)]
    assert [each.signals for each in own] == [(), ("funding",)]
    assert own[0].target < own[1].target
