"""Every term by name: they add up to the totals to the last digit, and the totals are the verdict's."""

from decimal import Decimal

from hypothesis import given
from tests.margin.rules.portfolio.worlds import WORLDS, Rows, World, book_of, orders_of, positions, worlds

from solvent.domain.book import Order
from solvent.margin.statement import Explanation

TOTALS = ("equity", "initial_margin", "maintenance_margin")


def adds_up(found: Explanation) -> bool:
    """In integers of 1e-9: a Decimal sum would round at 28 digits."""

    def nano(amount: Decimal) -> int:
        sign, digits, exponent = amount.as_tuple()
        assert exponent == -9
        return (-1 if sign else 1) * int("".join(map(str, digits)))

    return all(
        sum(nano(term.amount) for term in found.terms if term.total == total) == nano(found.totals[total])
        for total in TOTALS
    )


@given(worlds, positions(1e11), orders_of())
def test_terms_add_up_exactly_to_the_exact_form(world: World, rows: Rows, orders: list[Order]) -> None:
    book = book_of(rows, orders={0: orders})
    found, exact = world.prepared.explain(book, 0), world.prepared.exact(book, 0)
    assert adds_up(found)
    assert [found.totals[total] for total in TOTALS] == [Decimal(f"{getattr(exact, t)}e-6") for t in TOTALS]
    rounding = [abs(term.amount) for term in found.terms if term.name == "rounding"]
    assert all(amount <= Decimal("1e-6") + len(found.terms) * Decimal("1e-9") for amount in rounding)
    assert found.account == "account 0"


def test_control_a_missing_term_is_noticed() -> None:
    found = WORLDS[0].prepared.explain(book_of({7: (1000, -(10**9))}), 0)
    assert adds_up(found)
    assert not adds_up(Explanation(found.account, found.totals, found.terms[1:]))


def test_the_frame_has_plain_decimals() -> None:
    frame = WORLDS[0].prepared.explain(book_of({7: (1000, -(10**9)), 3: (1, 0)}), 0).to_frame()
    assert frame.columns == ["total", "name", "instrument", "amount", "detail"]
    assert not frame["amount"].str.contains("E").any()
    assert {"balance", "unsettled profit", "scan", "roll", "close-out", "collateral"} <= set(frame["name"])
