"""Lenders' shares of one asset's pool: who owns what of its cash and loans, in exact atoms."""

import msgspec

from solvent.domain.quantities import mul_div_down, mul_div_up

VIRTUAL_SHARES = 10**6
"""Shares that nobody owns. With `VIRTUAL_ATOMS` they fix the first price of a share, so that a gift to an
almost empty pool costs its giver about a million times what it can take from the next lender by rounding
(Morpho Blue, SharesMathLib.sol)."""
VIRTUAL_ATOMS = 1


class Pool(msgspec.Struct, frozen=True):
    """One asset's pool. Always `cash + loans == lenders + reserve`, all in atoms, none negative."""

    cash: int = 0
    """Atoms that are there to lend or to redeem."""
    loans: int = 0
    """Sum of the negative balances in this asset, as a positive number."""
    lenders: int = 0
    """What all shares are worth."""
    reserve: int = 0
    """Owed to insurance out of interest, and not paid yet."""
    shares: int = 0
    """Shares in lenders' hands."""

    def __post_init__(self) -> None:
        assert min(self.cash, self.loans, self.lenders, self.reserve, self.shares) >= 0, self
        assert self.cash + self.loans == self.lenders + self.reserve, self


def shares_down(pool: Pool, atoms: int) -> int:
    """Shares that a deposit of `atoms` buys."""
    return mul_div_down(atoms, pool.shares + VIRTUAL_SHARES, pool.lenders + VIRTUAL_ATOMS)


def shares_up(pool: Pool, atoms: int) -> int:
    """Shares that must be given back to take out exactly `atoms`."""
    return mul_div_up(atoms, pool.shares + VIRTUAL_SHARES, pool.lenders + VIRTUAL_ATOMS)


def atoms_down(pool: Pool, shares: int) -> int:
    """Atoms that `shares` redeem for."""
    return mul_div_down(shares, pool.lenders + VIRTUAL_ATOMS, pool.shares + VIRTUAL_SHARES)


def may_borrow(pool: Pool, atoms: int) -> bool:
    """Whether a voluntary loan, or a redemption, of `atoms` finds the cash; beyond it both are refused."""
    return 0 <= atoms <= pool.cash


def forced_loan(pool: Pool, atoms: int) -> int:
    """How much of a loan that nobody asked for (a loser's settlement) the pool's cash can give."""
    return min(atoms, pool.cash)


def supply(pool: Pool, atoms: int) -> tuple[Pool, int]:
    """A lender puts in `atoms` > 0; returns the pool and the shares bought, rounded down."""
    bought = shares_down(pool, atoms)
    after = msgspec.structs.replace(
        pool, cash=pool.cash + atoms, lenders=pool.lenders + atoms, shares=pool.shares + bought
    )
    return after, bought


def redeem(pool: Pool, shares: int) -> tuple[Pool, int]:
    """A lender gives back `shares`; returns the pool and the atoms paid, rounded down.

    The caller has asked `may_borrow(pool, atoms_down(pool, shares))`: cash never goes below zero.
    """
    atoms = atoms_down(pool, shares)
    after = msgspec.structs.replace(
        pool, cash=pool.cash - atoms, lenders=pool.lenders - atoms, shares=pool.shares - shares
    )
    return after, atoms


def lend(pool: Pool, atoms: int) -> Pool:
    """`atoms` of cash become a loan; the caller asked `may_borrow` or `forced_loan`."""
    return msgspec.structs.replace(pool, cash=pool.cash - atoms, loans=pool.loans + atoms)


def repay(pool: Pool, atoms: int) -> Pool:
    """`atoms` of loans become cash."""
    return lend(pool, -atoms)


def accrued(pool: Pool, lenders_atoms: int, reserve_atoms: int) -> Pool:
    """The pool after interest: loans grow by both parts (see `interest.accrue`)."""
    return msgspec.structs.replace(
        pool,
        loans=pool.loans + lenders_atoms + reserve_atoms,
        lenders=pool.lenders + lenders_atoms,
        reserve=pool.reserve + reserve_atoms,
    )


def pay_reserve(pool: Pool) -> tuple[Pool, int]:
    """Pay insurance what the pool owes it, as far as there is cash; returns the pool and the atoms paid."""
    atoms = min(pool.reserve, pool.cash)
    return msgspec.structs.replace(pool, cash=pool.cash - atoms, reserve=pool.reserve - atoms), atoms


def write_down(pool: Pool, atoms: int) -> Pool:
    """Write off `atoms` <= loans of a debt that nobody will pay: every lender loses pro rata.

    The reserve loses only what lenders cannot. Insurance pays before this step, so it has had its turn.
    """
    by_lenders = min(atoms, pool.lenders)
    return msgspec.structs.replace(
        pool,
        loans=pool.loans - atoms,
        lenders=pool.lenders - by_lenders,
        reserve=pool.reserve - (atoms - by_lenders),
    )
