"""Every term of one account's statement, in words and USD."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from solvent.domain.book import Order
from solvent.domain.instruments import contract_lot
from solvent.domain.quantities import decimal_text
from solvent.margin.rules.portfolio.exact import addends, exact_statement
from solvent.margin.rules.portfolio.exposure import Row, exposure, losses
from solvent.margin.rules.portfolio.fixed import VALUE
from solvent.margin.rules.portfolio.tables import Shared
from solvent.margin.statement import Explanation, Term

_NANO_VALUE = VALUE // 10**9
SCALED = ("scan", "roll", "short-option minimum")
"""Terms that maintenance margin has a part of."""


def explanation(shared: Shared, account: str, row: Row, orders: Sequence[Order] = ()) -> Explanation:
    """The addends as Decimals of 1e-9 USD with a term `rounding`, adding up to totals of 1e-6 USD."""
    exact = exact_statement(shared, row, orders)
    details = _holdings(shared, row) | _scenarios(shared, row, orders)
    factor = f"x {shared.fixed.params.maintenance_factor:g}"
    totals, terms = {}, []
    for total, addend in addends(shared, row, orders)._asdict().items():
        shown = [(name, source, (amount + _NANO_VALUE // 2) // _NANO_VALUE) for name, source, amount in addend]
        rest = 1000 * getattr(exact, total) - sum(nano for _, _, nano in shown)
        for name, source, nano in [*shown, ("rounding", "", rest)]:
            detail = details.get((name, source), "")
            if total == "maintenance_margin" and name in SCALED:
                detail = f"{detail}, {factor}" if detail else factor
            if nano:
                terms.append(Term(total, name, source, _usd(nano), detail))
        totals[total] = _usd(1000 * getattr(exact, total))
    return Explanation(account, totals, tuple(terms))


def _usd(nano: int) -> Decimal:
    """Integers of 1e-9 USD as a Decimal, all digits kept."""
    return Decimal(f"{nano}e-9")


def _holdings(shared: Shared, row: Row) -> dict[tuple[str, str], str]:
    """What is held, and its mark in the instrument's own units."""
    universe = shared.fixed.universe
    found: dict[tuple[str, str], str] = {}
    for i, lots in zip(row[0].tolist(), row[1].tolist(), strict=True):
        each = universe[i]
        ticks = shared.ticks[i]
        mark = f"at {decimal_text(Fraction(each.tick) * ticks)}" if ticks > 0 else "by the model"
        text = f"{decimal_text(lots * contract_lot(each))} {mark}"
        found |= {(name, each.id): text for name in ("balance", "unsettled profit", "option value")}
    return found


def _scenarios(shared: Shared, row: Row, orders: Sequence[Order]) -> dict[tuple[str, str], str]:
    """The worst joint scenario of each group; none where orders have a worst of their own in each."""
    if orders:
        return {}
    fixed, held = shared.fixed, exposure(shared, row)
    joint: dict[int, list[int]] = {}
    for asset in {*held.delta, *held.option}:
        group = fixed.group[asset]
        before = joint.get(group, [0] * len(fixed.scenarios))
        joint[group] = [one + other for one, other in zip(before, losses(shared, held, asset), strict=True)]
    return {
        ("scan", fixed.group_names[group]): fixed.scenarios.names[values.index(max(values))]
        for group, values in joint.items()
        if max(values) > 0
    }
