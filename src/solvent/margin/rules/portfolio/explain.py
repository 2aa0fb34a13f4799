"""Every term of one account's statement, in words and USD."""

from collections.abc import Sequence
from decimal import Decimal

from solvent.domain.book import Order
from solvent.margin.rules.portfolio.exact import addends, exact_statement
from solvent.margin.rules.portfolio.exposure import Row
from solvent.margin.rules.portfolio.fixed import VALUE
from solvent.margin.rules.portfolio.tables import Shared
from solvent.margin.statement import Explanation, Term

_NANO_VALUE = VALUE // 10**9


def explanation(shared: Shared, account: str, row: Row, orders: Sequence[Order] = ()) -> Explanation:
    """The addends as Decimals of 1e-9 USD with a term `rounding`, adding up to totals of 1e-6 USD."""
    exact = exact_statement(shared, row, orders)
    totals, terms = {}, []
    for total, addend in addends(shared, row, orders)._asdict().items():
        shown = [(name, source, (amount + _NANO_VALUE // 2) // _NANO_VALUE) for name, source, amount in addend]
        rest = 1000 * getattr(exact, total) - sum(nano for _, _, nano in shown)
        terms += [
            Term(total, name, source, _usd(nano)) for name, source, nano in [*shown, ("rounding", "", rest)] if nano
        ]
        totals[total] = _usd(1000 * getattr(exact, total))
    return Explanation(account, totals, tuple(terms))


def _usd(nano: int) -> Decimal:
    """Integers of 1e-9 USD as a Decimal, all digits kept."""
    return Decimal(f"{nano}e-9")
