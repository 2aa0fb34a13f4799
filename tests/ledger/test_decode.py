"""Rows for people: every event of the sample day, exact decimals, names that never change."""

import json
from fractions import Fraction
from itertools import chain

import msgspec
import pytest
from tests.ledger import samples
from tests.ledger.samples import BTC, MAKER, OPTION, PERPETUAL, TAKER, USDC
from tests.ledger.test_snapshots import written

from solvent.domain.owners import FEES, MARKET
from solvent.domain.symbols import instrument, spot
from solvent.ledger.decode import Names, Row, names_of, rows, timestamp


def decoded() -> list[Row]:
    names = Names()
    return list(chain.from_iterable(rows(block, names) for block in written(6)[0].read()))


def first(type: str) -> Row:
    return next(row for row in decoded() if row.type == type)


def test_one_row_an_event() -> None:
    expected = [
        (height, entry, number, type(each).__name__)
        for height, (_, entries) in enumerate(samples.day(), start=1)
        for entry, one in enumerate(entries)
        for number, each in enumerate(one.events)
    ]
    assert [(row.height, row.entry, row.event, row.type) for row in decoded()] == expected


def test_a_fill_is_readable_and_exact() -> None:
    row = first("Filled")
    assert (row.ts, row.origin, row.command) == ("1970-01-01T02:00:00Z", "venue", "Fill")
    assert row.fields == {
        "instrument": "BTC/USDC:USDC",
        "buyer": "maker",
        "seller": "taker",
        "quantity": "0.0001",
        "price": "420000",
    }
    assert row.postings == [
        {"owner": "maker", "asset": "USDC", "amount": "-0.000003"},
        {"owner": "fees", "asset": "USDC", "amount": "0.000003"},
    ]
    assert row.legs[0] == {"owner": "maker", "instrument": "BTC/USDC:USDC", "quantity": "0.0001", "quote": "-42"}
    assert row.verdicts == [
        {"account": "maker", "equity": "1000000", "initial_margin": "100000", "maintenance_margin": "80000"}
    ]


@pytest.mark.parametrize(
    ("type", "fields"),
    [
        ("Deposited", {"account": "maker", "reference": "wire-1"}),
        ("Refused", {"reason": "more than the pool has"}),
        ("OrderOpened", {"account": "maker", "order": {
            "id": 7, "instrument": "BTC/USDC:USDC", "quantity": "0.00005", "price": "420000"}}),
        ("Settled", {"instrument": "BTC/USDC:USDC", "price": "410000"}),
        ("Funded", {"instrument": "BTC/USDC:USDC", "interval": 8, "rate": "0.0001"}),
        ("Accrued", {"asset": "BTC", "interval": 480_000, "rate": "0.000000000000000007"}),
        ("Liquidated", {"account": "taker", "notional_usd": "0.000004", "penalty_usd": "0.000001"}),
        ("AuctionTaken", {"account": "taker", "bidder": "market", "share": "0.1", "price_usd": "-0.000005"}),
        ("Expired", {"instrument": "BTC/USDC:USDC-241227-60000-C", "price_usd": "0.000001"}),
        ("Frozen", {"account": "maker"}),
        ("Marked", {"quotes": [{"instrument": "USDC", "price": "1"}, {
            "instrument": "BTC", "price": "42000", "state": 1, "volume_usd_daily": 0}]}),
    ],
)  # fmt: skip
def test_fields_are_readable(type: str, fields: dict[str, object]) -> None:
    assert first(type).fields == fields


def test_custody_is_in_coins() -> None:
    assert first("DepositHeld").fields == {
        "account": "maker", "asset": "USDC", "amount": "10000000", "reference": "wire-90", "by": "ada",
    }  # fmt: skip
    assert first("Reconciled").fields == {"asset": "USDC", "custody": "0.000005", "ledger": "0.000006"}


def test_rows_balance_as_events_do() -> None:
    for row in decoded():
        for moved, what in ((row.postings, "amount"), (row.legs, "quantity"), (row.legs, "quote")):
            key = "asset" if what == "amount" else "instrument"
            for name in {each[key] for each in moved}:
                assert sum(Fraction(each[what]) for each in moved if each[key] == name) == 0


def test_rows_are_json() -> None:
    for row in decoded():
        assert json.loads(msgspec.json.encode(row))["type"] == row.type


def test_names_come_from_the_newest_snapshot_and_what_follows() -> None:
    for every in (1, 2, 6):
        names, height = names_of(written(every)[0])
        assert height == 5
        assert names.accounts == ["maker", "taker", "lender"]
        assert [each.id for each in names.instruments] == [each.id for each in samples.INSTRUMENTS]
    journal, _ = written(2)
    journal.kept = [msgspec.structs.replace(each, payload=b"") for each in journal.kept]
    assert names_of(journal)[0].accounts == ["maker", "taker", "lender"]


def test_quantities_in_their_units() -> None:
    names = names_of(written(6)[0])[0]
    names.list(spot("ETH"))
    names.list(instrument("ETH/USD:ETH"))
    assert names.amount(BTC, -1) == "-0.00000001"
    assert names.amount(4, 10**18 + 1) == "1.000000000000000001"
    assert names.quote(PERPETUAL, 1) == names.amount(USDC, 1) == "0.000001"
    assert names.quote(5, -(10**17)) == "-0.1"
    assert names.quantity(BTC, 5) == "0.00000005"
    assert names.quantity(OPTION, -150) == "-1.5"
    assert names.price(OPTION, 12_345) == "123.45"
    assert [names.owner(each) for each in (MAKER, TAKER, MARKET, FEES)] == ["maker", "taker", "market", "fees"]


def test_unknown_indices_stay_as_they_are() -> None:
    names = Names()
    assert names.owner(3) == names.instrument(3) == "3"
    assert names.owner(-99) == "-99"
    assert names.amount(0, 7) == names.quote(0, 7) == names.quantity(0, 7) == names.price(0, 7) == "7"


def test_timestamps_are_exact() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00Z"
    assert timestamp(1_584_000_000 * 10**9 + 1) == "2020-03-12T08:00:00.000000001Z"
