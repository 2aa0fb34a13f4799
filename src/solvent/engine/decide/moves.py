"""What an event will move, while it is being decided: postings, legs, and what owners would have after them."""

from solvent.domain import events as e
from solvent.domain.owners import MARKET, POOL
from solvent.domain.quantities import ATOM_BOUND, LOT_BOUND
from solvent.domain.universe import OPTION
from solvent.engine.decide.refusal import refuse_unless
from solvent.engine.risk import Row, trade_quote
from solvent.ledger.state import State


class Moves:
    """Collects postings and legs that sum to zero, and reads balances and positions as they would be."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.postings: list[e.Posting] = []
        self.legs: list[e.Leg] = []
        self.taken_usd: dict[int, float] = {}
        """What the outside market takes of each instrument."""
        self._balance: dict[tuple[int, int], int] = {}
        self._position: dict[tuple[int, int], tuple[int, int]] = {}

    def copy(self) -> "Moves":
        """The same moves, to go on from in another way."""
        other = Moves(self.state)
        other.postings, other.legs, other.taken_usd = list(self.postings), list(self.legs), dict(self.taken_usd)
        other._balance, other._position = dict(self._balance), dict(self._position)
        return other

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

    def trade(
        self, buyer: int, seller: int, instrument: int, lots: int, price_ticks: int, *, forced: bool = False
    ) -> None:
        """A derivative changes hands at a price: quote legs, or premium in cash for options.

        forced: what the buyer of an option has no cash for stands in both quote legs, to be settled later.
        """
        universe = self.state.universe
        if universe.terms.form[instrument] == OPTION:
            payer = int(universe.terms.settlement[instrument])
            premium = lots * universe.value_atoms[instrument][0] * price_ticks
            paid = min(premium, self.payable(buyer, payer)) if forced else premium
            self.pay(buyer, seller, payer, paid)
            self.give(seller, buyer, instrument, lots, paid - premium)
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

    def pool_cash(self, asset: int) -> int:
        """Atoms that an asset's pool could still lend after the moves so far."""
        lent = self.state.loans.get(asset, 0)
        for (owner, moved), after in self._balance.items():
            if moved == asset and owner >= 0:
                lent += max(0, -after) - max(0, -self.state.balance(owner, asset))
        return self.balance(POOL, asset) - lent

    def payable(self, owner: int, asset: int) -> int:
        """Atoms that an owner could pay: its balance and what the pool could lend it."""
        if owner == MARKET:
            return ATOM_BOUND
        return max(0, self.balance(owner, asset)) + max(0, self.pool_cash(asset))

    def refuse_beyond_limits(self) -> None:
        """Refuse what the ledger or the book could not hold, and loans beyond a pool's cash."""
        universe = self.state.universe
        for (owner, asset), atoms in self._balance.items():
            fits = abs(atoms) < ATOM_BOUND and (owner < 0 or abs(atoms) < LOT_BOUND * universe.spot_of(asset).lot_atoms)
            refuse_unless(fits, f"{universe[asset].id}: a balance below 2**63 lots")
        for (owner, i), (lots, quote) in self._position.items():
            fits = abs(quote) < ATOM_BOUND and (owner < 0 or abs(quote) < LOT_BOUND * universe.spot_of(i).lot_atoms)
            refuse_unless(fits and abs(lots) < LOT_BOUND, f"{universe[i].id}: a position below 2**63 lots")
        for asset in {asset for owner, asset in self._balance if owner >= 0 or owner == POOL}:
            refuse_unless(self.pool_cash(asset) >= 0, f"{universe[asset].id}: loans within its pool's cash")

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
