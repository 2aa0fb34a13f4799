"""Liquidation threshold and loan-to-value of a collateral by simulation: the most that keeps bad debt rare and small.

The practice of protocols' risk managers: a pool of borrowers, keepers with capital, latency and costs, a market that
their sales move, and stressed paths of a day. The same paths and borrowers are tried at every threshold.
Source: H.-T. Kao, T. Chitra, R. Chiang, J. Morrow, "An analysis of the market risk to participants in the Compound
protocol" (2020); `docs/lab.md` holds it against what happened.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from solvent.errors import Problem, problem, raise_if
from solvent.lab import kernel_loans
from solvent.lab.liquidator import toxic_ltv
from solvent.lab.paths import DAY_S, Bars, loss_quantile, stressed_paths
from solvent.valuation.impact import IMPACT_FACTOR

if TYPE_CHECKING:
    import polars as pl

F64 = NDArray[np.float64]

LAWS = {"square_root": kernel_loans.SQUARE_ROOT, "constant_product": kernel_loans.CONSTANT_PRODUCT}
TAILS = ((0.95, 0.001), (0.99, 0.01))
"""(level, part of borrows): that quantile of a day's bad debt must stay below that part."""
CUSHION_LEAST = 0.03
CUSHION_LEVEL = 0.99
CUSHION_S = 3_600
LATENCY_LEVEL = 0.995
GRID_START, GRID_STEP = 0.30, 0.01
CONFIDENCE_Z = 1.959964
"""Two-sided 95 %."""


class Setting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The pool, its keepers and its market."""

    bonus: float = 0.05
    close_factor: float = 0.5
    full_close_health: float = 0.95
    """Below it a keeper may repay everything."""
    borrows_usd: float = 100e6
    borrowers: int = 300
    size_spread: float = 1.5
    """Standard deviation of the logarithm of a borrower's debt."""
    headroom: float = 0.5
    """Median of health - 1; borrowers stand at LTV = threshold / health."""
    headroom_spread: float = 1.0
    """Standard deviation of its logarithm."""
    latency_s: float = 600.0
    """How far oracle and keepers lag behind the market; whole steps of the paths, rounded up."""
    capacity_usd_hourly: float = 100e6
    """What all keepers together can repay."""
    gas_usd: float = 50.0
    """A liquidation costs its keeper so much, and is not done for less."""
    impact_law: str = "square_root"
    """Or `constant_product`, against a pool of `reserve_usd`."""
    impact_factor: float = IMPACT_FACTOR
    liquidity_left: float = 0.2
    """Part of the usual volume or reserve that is there under stress."""
    volume_usd_daily: float | None = None
    """The history's median where left out."""
    reserve_usd: float = 20e6
    """Collateral in the pool of a constant product."""
    recovery_s: float = 3_600.0
    """Half-life of the price impact of sales."""
    vol_multiple: float = 2.0
    """Paths' moves times so much, on top of the wild days that they are drawn from."""
    paths: int = 4_000
    seed: int = 1

    def check(self) -> list[Problem]:
        """Everything that cannot be simulated, all at once."""
        rows: list[tuple[str, bool, str]] = [
            ("bonus", 0 <= self.bonus <= 0.5, "from 0 to 0.5"),
            ("close_factor", 0 < self.close_factor <= 1, "above 0, at most 1"),
            ("full_close_health", 0 <= self.full_close_health <= 1, "from 0 to 1"),
            ("borrows_usd", 0 < self.borrows_usd < math.inf, "above 0"),
            ("borrowers", 1 <= self.borrowers <= 100_000, "from 1 to 100000"),
            ("size_spread", 0 <= self.size_spread <= 5, "from 0 to 5"),
            ("headroom", 0 < self.headroom <= 100, "above 0"),
            ("headroom_spread", 0 <= self.headroom_spread <= 5, "from 0 to 5"),
            ("latency_s", 0 <= self.latency_s < DAY_S, "from 0 to less than a day"),
            ("capacity_usd_hourly", self.capacity_usd_hourly >= 0, "0 or more"),
            ("gas_usd", 0 <= self.gas_usd < math.inf, "0 or more"),
            ("impact_law", self.impact_law in LAWS, f"one of {', '.join(LAWS)}"),
            ("impact_factor", 0 < self.impact_factor <= 10, "above 0, at most 10"),
            ("liquidity_left", 0 < self.liquidity_left <= 1, "above 0, at most 1"),
            ("volume_usd_daily", (self.volume_usd_daily or 1) > 0, "above 0"),
            ("reserve_usd", 0 < self.reserve_usd < math.inf, "above 0"),
            ("recovery_s", self.recovery_s > 0, "above 0"),
            ("vol_multiple", 0 < self.vol_multiple <= 20, "above 0, at most 20"),
            ("paths", 100 <= self.paths <= 1_000_000, "from 100 to 1000000"),
            ("seed", self.seed >= 0, "0 or more"),
        ]
        return [problem("setting", None, name, getattr(self, name), accepted) for name, ok, accepted in rows if not ok]


class Threshold(msgspec.Struct, frozen=True, eq=False):
    """What the simulation finds for one asset."""

    asset: str
    liquidation_threshold: float
    """0 where even the lowest of the grid fails."""
    loan_to_value: float
    cushion: float
    """The 99 % move of an hour, at least 3 points."""
    toxic_bound: float
    latency_bound: float
    reasons: tuple[str, ...]
    """What keeps the threshold from being a step higher."""
    curve: "pl.DataFrame"
    """A row a threshold; see `curve_frame`."""


def simulate_threshold(asset: str, history: Bars, setting: Setting) -> Threshold:
    """The largest liquidation threshold whose bad debt passes both `TAILS`, within the bounds of theory; and its LTV.

    A threshold passes where the upper end of the confidence interval of each tail does, and every lower threshold
    passes too. Bounds: 1 / (1 + bonus), above which liquidations are toxic, and (1 - VaR 99.5 % over the latency -
    impact of the largest liquidation) / (1 + bonus).

    Parameters
    ----------
    asset : str
        Name for the result.
    history : Bars
        Of its price; real, at best with the worst days that there were.
    setting : Setting
        The pool, its keepers and its market.

    Raises
    ------
    SolventError
        For a setting that cannot be simulated; without a volume.
    """
    volume = setting.volume_usd_daily or history.volume_usd_daily
    found = setting.check()
    if setting.impact_law == "square_root" and not volume > 0:
        found.append(problem("candles", None, "volume", volume, "a volume above 0, or a stated one"))
    raise_if(found)
    paths = stressed_paths(history, setting.paths, setting.seed, setting.vol_multiple)
    step_s = DAY_S / (paths.shape[1] - 1)
    cushion = max(CUSHION_LEAST, loss_quantile(paths, max(1, round(CUSHION_S / step_s)), CUSHION_LEVEL))
    debt, health = borrowers(setting)
    market = _market(setting, volume, history.sigma_daily * setting.vol_multiple, paths.shape[1] - 1)
    toxic = toxic_ltv(setting.bonus)
    latency = _latency_bound(setting, paths, step_s, float(debt.max()), market)
    grid = np.arange(GRID_START, toxic - 1e-12, GRID_STEP)
    results = [_run(paths, debt, health, float(each), cushion, setting, step_s, market) for each in grid]
    curve = curve_frame(grid, np.array(results), setting.borrows_usd, cushion)
    chosen, reasons = _chosen(curve, toxic, latency)
    ltv = max(0.0, chosen - cushion)
    return Threshold(asset, chosen, ltv, cushion, toxic, latency, reasons, curve)


def borrowers(setting: Setting) -> tuple[F64, F64]:
    """(N,) debts in USD, and healths at the start, nearest to liquidation first; the same for the same seed."""
    chance = np.random.default_rng([setting.seed, 1])
    size = np.exp(setting.size_spread * chance.standard_normal(setting.borrowers))
    health = 1 + setting.headroom * np.exp(setting.headroom_spread * chance.standard_normal(setting.borrowers))
    order = np.argsort(health)
    return setting.borrows_usd * (size / size.sum())[order], health[order]


class _Market(NamedTuple):
    """Impact of a step's sales."""

    law: int
    scale: float
    size: float

    def impact(self, sold_usd: float) -> float:
        return float(kernel_loans.impact(self.law, self.scale, self.size, sold_usd))


def _market(setting: Setting, volume: float, sigma_daily: float, steps: int) -> _Market:
    """The square-root law is of the same form in a step as in a day; a pool is filled up again at every step."""
    law = LAWS[setting.impact_law]
    size = volume if law == kernel_loans.SQUARE_ROOT else setting.reserve_usd
    return _Market(law, setting.impact_factor * sigma_daily, size * setting.liquidity_left)


def _latency_bound(setting: Setting, paths: F64, step_s: float, largest_usd: float, market: _Market) -> float:
    steps = max(1, math.ceil(setting.latency_s / step_s))
    move = loss_quantile(paths, steps, LATENCY_LEVEL)
    sale = market.impact(setting.close_factor * largest_usd * (1 + setting.bonus))
    return max(0.0, (1 - move - sale) / (1 + setting.bonus))


def _run(
    paths: F64,
    debt: F64,
    health: F64,
    threshold: float,
    cushion: float,
    setting: Setting,
    step_s: float,
    market: _Market,
) -> F64:
    """(P, OUTPUTS) of one threshold. Nobody may have borrowed more than the loan-to-value."""
    most = max(threshold - cushion, 0.01)
    ltv = np.minimum(threshold / health, most)
    return np.asarray(
        kernel_loans.run_paths(
            paths,
            debt,
            debt / ltv,
            threshold,
            setting.bonus,
            setting.close_factor,
            setting.full_close_health,
            math.ceil(setting.latency_s / step_s),
            setting.capacity_usd_hourly * step_s / CUSHION_S,
            setting.gas_usd,
            *market,
            0.5 ** (step_s / setting.recovery_s),
        )
    )


def curve_frame(grid: F64, results: NDArray[np.float64], borrows_usd: float, cushion: float) -> "pl.DataFrame":
    """Bad debt against threshold: a row a threshold, parts of the borrows unless the name says otherwise.

    grid: (K,). results: (K, P, OUTPUTS) of the kernel. Columns `liquidation_threshold, loan_to_value`;
    `bad_debt_mean` with `_low` and `_high` (normal interval); `bad_debt_95`, `bad_debt_99` each with `_low` and `_high`
    (order statistics of the binomial interval); `bad_debt_chance`; `repaid_mean`; `repaid_99`; `slippage` and `keepers`
    (parts of what is repaid); `underwater_99` (part of borrowers); `passes`. Intervals are of 95 %.
    """
    import polars as pl

    rows = []
    for threshold, outputs in zip(grid.tolist(), results, strict=True):
        bad = np.sort(outputs[:, kernel_loans.BAD_DEBT]) / borrows_usd
        repaid = outputs[:, kernel_loans.REPAID] / borrows_usd
        error = CONFIDENCE_Z * float(bad.std(ddof=1)) / math.sqrt(len(bad))
        mean, total = float(bad.mean()), float(outputs[:, kernel_loans.REPAID].sum())
        row: dict[str, float | bool] = {
            "liquidation_threshold": threshold,
            "loan_to_value": max(0.0, threshold - cushion),
            "bad_debt_mean": mean,
            "bad_debt_mean_low": max(0.0, mean - error),
            "bad_debt_mean_high": mean + error,
        }
        for level, _ in TAILS:
            name = f"bad_debt_{level * 100:.0f}"
            row[name], row[f"{name}_low"], row[f"{name}_high"] = quantile_interval(bad, level)
        row |= {
            "bad_debt_chance": float((bad > 0).mean()),
            "repaid_mean": float(repaid.mean()),
            "repaid_99": float(np.quantile(repaid, 0.99)),
            "slippage": float(outputs[:, kernel_loans.SLIPPAGE].sum()) / total if total else 0.0,
            "keepers": float(outputs[:, kernel_loans.KEEPERS].sum()) / total if total else 0.0,
            "underwater_99": float(np.quantile(outputs[:, kernel_loans.UNDERWATER], 0.99)),
            "passes": all(row[f"bad_debt_{level * 100:.0f}_high"] < most for level, most in TAILS),
        }
        rows.append(row)
    return pl.DataFrame(rows)


def quantile_interval(values: F64, level: float) -> tuple[float, float, float]:
    """A quantile of sorted values, and order statistics that hold it with 95 %: ranks n q -/+ z sqrt(n q (1 - q))."""
    n = len(values)
    spread = CONFIDENCE_Z * math.sqrt(n * level * (1 - level))
    ranks = [math.ceil(n * level), math.floor(n * level - spread), math.ceil(n * level + spread) + 1]
    middle, low, high = (float(values[min(max(rank, 1), n) - 1]) for rank in ranks)
    return middle, low, high


def _chosen(curve: "pl.DataFrame", toxic: float, latency: float) -> tuple[float, tuple[str, ...]]:
    """The largest threshold below which all pass, within the bounds, and what forbids the next."""
    chosen = 0.0
    for row in curve.iter_rows(named=True):
        threshold = row["liquidation_threshold"]
        reasons = [
            f"{level:.0%} tail of bad debt {row[name]:.3%} of borrows (up to {row[f'{name}_high']:.3%}), "
            f"at most {most:.1%}"
            for level, most in TAILS
            if row[(name := f"bad_debt_{level * 100:.0f}") + "_high"] >= most
        ]
        if threshold > latency:
            reasons.append(f"latency bound {latency:.1%}: what the price moves while keepers wait, and their sale")
        if reasons:
            return chosen, tuple(f"at {threshold:.0%}: {each}" for each in reasons)
        chosen = round(threshold, 6)
    return chosen, (f"toxic bound {toxic:.1%}: above 1 / (1 + bonus) each liquidation raises LTV",)
