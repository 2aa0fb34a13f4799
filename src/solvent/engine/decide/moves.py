"""What an event will move, while it is being decided: postings, legs, and what owners would have after them."""

from solvent.domain import events as e
from solvent.domain.owners import MARKET
from solvent.engine.risk import Row, trade_quote
from solvent.ledger.state import State


class Moves:
    """Collects postings and legs that sum to zero, and reads balances and positions as they would be."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.postings: list[e.Posting] = []
        self.legs: list[e.Leg] = []
        self._balance: dict[tuple[int, int], int] = {}
        self._position: dict[tuple[int, int], tuple[int, int]] = {}

    def pay(self, source: int, target: int, asset: int, atoms: int) -> None:
        """Move atoms of an asset; a negative amount moves the other way."""
        if atoms:
            self.postings += [(source, asset, -atoms), (target, asset, atoms)]
            self._balance[source, asset] = self.balance(source, asset) - atoms
            self._balance[target, asset] = self.balance(target, asset) + atoms

    def give(self, source: int, target: int, instrument: int, lots: int, quote: int) -> None:
        """Move a position (lots, quote leg) from one holder to another."""
        if lots or quote:
            self.legs += [(source, instrument, -lots, -quote), (target, instrument, lots, quote)]
            for owner, sign in ((source, -1), (target, 1)):
                q, held = self.position(owner, instrument)
                self._position[owner, instrument] = (q + sign * lots, held + sign * quote)

    def trade(self, buyer: int, seller: int, instrument: int, lots: int, price_ticks: int) -> None:
        """A derivative changes hands at a price: quote legs, or premium in cash for options."""
        universe = self.state.universe
        if universe.terms.form[instrument] == 3:
            payer = int(universe.terms.settlement[instrument])
            self.pay(buyer, seller, payer, lots * universe.value_atoms[instrument][0] * price_ticks)
            self.give(seller, buyer, instrument, lots, 0)
        else:
            self.give(seller, buyer, instrument, lots, trade_quote(universe, instrument, lots, price_ticks))

    def cash_out(self, owner: int, instrument: int) -> None:
        """The outside market takes over a quote leg without lots and pays (or gets) its value in cash."""
        lots, quote = self.position(owner, instrument)
        assert not lots, "only what is closed has a value without a price"
        payer = int(self.state.universe.terms.settlement[instrument])
        self.pay(MARKET, owner, payer, quote)
        self.give(owner, MARKET, instrument, 0, quote)

    def balance(self, owner: int, asset: int) -> int:
        """Balance after the moves so far."""
        found = self._balance.get((owner, asset))
        return self.state.balance(owner, asset) if found is None else found

    def position(self, owner: int, instrument: int) -> tuple[int, int]:
        """Lots and quote leg after the moves so far."""
        found = self._position.get((owner, instrument))
        return self.state.position(owner, instrument) if found is None else found

    def balances(self, owner: int) -> dict[int, int]:
        """All balances of an owner after the moves so far, in order of asset, zeros left out."""
        rows = dict(self.state.balances.get(owner, {}))
        rows.update({asset: atoms for (who, asset), atoms in self._balance.items() if who == owner})
        return {asset: rows[asset] for asset in sorted(rows) if rows[asset]}

    def positions(self, owner: int) -> dict[int, tuple[int, int]]:
        """All positions of an owner after the moves so far, in order of instrument, empty ones left out."""
        rows = dict(self.state.positions.get(owner, {}))
        rows.update({i: held for (who, i), held in self._position.items() if who == owner})
        return {i: rows[i] for i in sorted(rows) if rows[i] != (0, 0)}

    def row(self, owner: int) -> Row:
        """An account's row of the book after the moves so far, rounded against it."""
        lot_atoms = self.state.universe.lot_atoms
        balances, positions = self.balances(owner), self.positions(owner)
        lots = [atoms // lot_atoms[a] for a, atoms in balances.items()]
        cost = [quote // lot_atoms[i] for i, (_, quote) in positions.items()]
        return Row([*balances, *positions], lots + [q for q, _ in positions.values()], [0] * len(balances) + cost)
