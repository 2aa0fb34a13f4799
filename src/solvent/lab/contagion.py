"""Who drags whom down: clearing of mutual debts (Eisenberg-Noe, Rogers-Veraart) and DebtRank, on plain matrices."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvent.errors import Problem, SolventError, problem, raise_if

F64 = NDArray[np.float64]
BOOL = NDArray[np.bool_]

SLACK = 1e-12
"""Part of an obligation that counts as paid in full: what the sums of doubles leave."""
ROUNDS_MOST = 100_000
"""Of iterations that converge by themselves."""
SWEEPS = 40
"""Of payments before each linear system: they find most defaults at a fraction of its cost."""
DENSE_MOST = 200
"""Institutions up to which all eigenvalues are found, of more only the largest."""
ROUNDS_ALONE = 64
"""After so many rounds of DebtRank what is left is solved at once, where nobody else can fail."""


class Network(NamedTuple):
    """Who owes whom: n institutions."""

    liabilities: F64
    """(n, n) what row i owes column j, USD; zero diagonal."""
    external_assets: F64
    """(n,) USD."""
    external_liabilities: F64
    """(n,) owed to those outside; of the same rank as all other debt."""

    @property
    def obligations(self) -> F64:
        """(n,) all that each owes: p bar."""
        return np.asarray(self.liabilities.sum(axis=1) + self.external_liabilities)

    @property
    def relative(self) -> F64:
        """(n, n) share of each institution's payments that goes to each other: Pi; its rows sum to at most 1."""
        owed = self.obligations
        return self.liabilities / np.where(owed > 0, owed, 1.0)[:, None]

    @property
    def equity(self) -> F64:
        """(n,) book equity: all claims at face value."""
        return np.asarray(self.external_assets + self.liabilities.sum(axis=0) - self.obligations)


class Clearing(NamedTuple):
    """What everyone pays once all debts are settled at the same moment."""

    payments: F64
    """(n,) total paid by each, to insiders and outsiders pro rata: p."""
    equity: F64
    """(n,) what is left to the owners, at least 0."""
    defaulted: BOOL
    """(n,) pays less than it owes."""
    rounds: int
    """Rounds that the algorithm took."""


class Losses(NamedTuple):
    """DebtRank: losses of equity."""

    loss: F64
    """(n,) relative loss of equity in [0, 1]: h."""
    rounds: int


def network(
    liabilities: ArrayLike, external_assets: ArrayLike, external_liabilities: ArrayLike | None = None
) -> Network:
    """Check and wrap matrices.

    Parameters
    ----------
    liabilities : array_like, shape (n, n)
        What row i owes column j, USD, at least 0, zero diagonal.
    external_assets, external_liabilities : array_like, shape (n,)
        USD, at least 0; no external liabilities by default.

    Raises
    ------
    SolventError
        For other shapes, negative or non-finite amounts, a debt to oneself.
    """
    owed, assets = np.asarray(liabilities, np.float64), np.asarray(external_assets, np.float64)
    outside = np.zeros(len(assets)) if external_liabilities is None else np.asarray(external_liabilities, np.float64)
    n = len(assets)
    found: list[Problem] = []
    for name, values, shape in (
        ("liabilities", owed, (n, n)),
        ("external_assets", assets, (n,)),
        ("external_liabilities", outside, (n,)),
    ):
        if values.shape != shape:
            found.append(problem("network", None, name, f"shape {values.shape}", f"shape {shape}"))
        elif not (np.isfinite(values) & (values >= 0)).all():
            found.append(problem("network", None, name, "an amount below 0 or not finite", "finite, 0 or more"))
    if not found and np.diagonal(owed).any():
        found.append(problem("network", None, "liabilities", "a diagonal above 0", "no debt to oneself"))
    raise_if(found)
    return Network(owed, assets, outside)


def clear(net: Network, alpha: float = 1.0, beta: float = 1.0) -> Clearing:
    """The greatest clearing vector, by fictitious default: at most n rounds, exact up to rounding.

    A solvent institution pays what it owes; a defaulted one pays alpha of its external assets and beta of what it
    receives: p_i = alpha e_i + beta (Pi'p)_i. Each round finds who defaults given the last payments, a few sweeps
    deep, and solves the linear system of all that did.

    Parameters
    ----------
    net : Network
        Of n institutions.
    alpha, beta : float
        Recovery of external assets and of claims in default, in [0, 1]; 1 and 1 is Eisenberg-Noe.

    Raises
    ------
    SolventError
        For a recovery outside [0, 1].

    Notes
    -----
    L. Eisenberg and T. Noe, "Systemic risk in financial systems", Management Science 47 (2001);
    L. Rogers and L. Veraart, "Failure and rescue in an interbank network", Management Science 59 (2013).
    """
    from scipy.sparse import csr_array

    _check_recovery(alpha, beta)
    owed, shares = net.obligations, csr_array(net.relative)
    payments, defaulted = owed.copy(), np.zeros(len(owed), np.bool_)
    rounds = 0
    while True:  # each round but the last adds a default
        rounds += 1
        now = defaulted
        for _ in range(SWEEPS):  # payments stay above the solution, so whoever defaults on them defaults in it
            received = payments @ shares
            now = now | (net.external_assets + received < owed * (1 - SLACK))
            payments = np.where(now, np.minimum(payments, alpha * net.external_assets + beta * received), owed)
        if (now == defaulted).all():
            break
        defaulted = now
        payments = np.where(defaulted, 0.0, owed)
        received = alpha * net.external_assets + beta * (payments @ shares)
        among = shares[defaulted][:, defaulted].toarray()
        found = np.linalg.solve(np.eye(len(among)) - beta * among.T, received[defaulted])
        payments[defaulted] = np.clip(found, 0.0, owed[defaulted])
    return _clearing(net, payments, defaulted, rounds)


def clear_by_iteration(net: Network, alpha: float = 1.0, beta: float = 1.0, tolerance: float = 1e-14) -> Clearing:
    """The same from above: everyone pays in full, then what that leaves them able to pay, again and again.

    Parameters as for `clear`; tolerance: of the largest payment, below which a round changes nothing. Slow where
    few claims lie outside the network. Raises SolventError for a recovery outside [0, 1].
    """
    _check_recovery(alpha, beta)
    owed, shares = net.obligations, net.relative
    payments = owed.copy()
    scale = max(1.0, float(owed.max(initial=0.0)))
    for rounds in range(1, ROUNDS_MOST + 1):  # noqa: B007 - told to the caller
        received = payments @ shares
        short = net.external_assets + received < owed * (1 - SLACK)
        paid = np.where(short, np.minimum(owed, alpha * net.external_assets + beta * received), owed)
        moved = float(np.abs(paid - payments).max(initial=0.0))
        payments = paid
        if moved <= tolerance * scale:
            break
    return _clearing(net, payments, short, rounds)


def clear_by_linear_programme(net: Network) -> Clearing:
    """Eisenberg-Noe as a programme: the largest total of payments, none above what is owed or what is there.

    Notes
    -----
    Eisenberg and Noe 2001, lemma 4: any strictly increasing objective has the clearing vector as its optimum.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, eye_array

    owed = net.obligations
    programme: dict[str, Any] = {
        "A_ub": eye_array(len(owed), format="csr") - csr_array(net.relative.T),
        "b_ub": net.external_assets,
        "bounds": np.column_stack([np.zeros(len(owed)), owed]),
    }
    found = linprog(-np.ones(len(owed)), method="highs", **programme)
    if found.x is None:
        raise SolventError(problem("network", None, "linear programme", found.message, "a feasible optimum"))
    payments = np.clip(found.x, 0.0, owed)
    return _clearing(net, payments, payments < owed * (1 - 1e-9), int(found.nit))


def _clearing(net: Network, payments: F64, defaulted: BOOL, rounds: int) -> Clearing:
    worth = net.external_assets + payments @ net.relative - net.obligations
    return Clearing(payments, np.where(defaulted, 0.0, np.maximum(worth, 0.0)), defaulted, rounds)


def _check_recovery(alpha: float, beta: float) -> None:
    rows = (("alpha", alpha), ("beta", beta))
    raise_if([problem("clearing", None, name, x, "a recovery from 0 to 1") for name, x in rows if not 0 <= x <= 1])


def leverage(net: Network) -> F64:
    """(n, n) what row i lent to column j, over i's equity: Lambda. Rows of equity 0 or less are 0: it has failed."""
    equity = net.equity
    return np.where(equity[:, None] > 0, net.liabilities.T / np.where(equity > 0, equity, 1.0)[:, None], 0.0)


def debtrank(leverage: ArrayLike, initial_loss: ArrayLike) -> Losses:
    """Linear DebtRank: creditors mark claims down by what their debtors' equity lost, until all is at rest.

    h(t + 1) = min(1, h(t) + Lambda (h(t) - h(t - 1))), h(0) = 0, h(1) = initial_loss.

    Parameters
    ----------
    leverage : array_like, shape (n, n)
        Lambda: exposure of i to j over equity of i, at least 0.
    initial_loss : array_like, shape (n,)
        Relative losses of equity from outside; capped to [0, 1].

    Raises
    ------
    SolventError
        For other shapes, negative or non-finite entries.

    Notes
    -----
    M. Bardoscia, S. Battiston, F. Caccioli, G. Caldarelli, "DebtRank: a microscopic foundation for shock
    propagation", PLoS ONE 10 (2015).
    """
    matrix, initial = _debtrank_inputs(leverage, initial_loss)
    loss = np.clip(initial, 0.0, 1.0)
    step = loss.copy()
    for rounds in range(1, ROUNDS_MOST + 1):
        grown = np.minimum(1.0, loss + matrix @ step)
        step, loss = grown - loss, grown
        if float(step.max(initial=0.0)) <= 1e-17:
            break
        if rounds % ROUNDS_ALONE == 0:
            rest = _rest(matrix, loss, step)
            if rest is not None:
                loss = rest
                break
    return Losses(loss, rounds)


def _rest(matrix: F64, loss: F64, step: F64) -> F64 | None:
    """All rounds that are left in one solution; None where another institution fails in them."""
    alive = loss < 1.0
    inner = matrix[np.ix_(alive, alive)]
    if not alive.any() or not is_stable(inner):
        return None
    found = loss.copy()
    found[alive] += np.linalg.solve(np.eye(len(inner)) - inner, (matrix @ step)[alive])
    return found if float(found.max()) < 1.0 else None


def debtrank_closed_form(leverage: ArrayLike, initial_loss: ArrayLike) -> F64:
    """(I - Lambda)^-1 h(1): exact while nobody fails and the spectral radius is below 1.

    Arguments as for `debtrank`. Raises SolventError for a spectral radius of 1 or more.
    """
    matrix, initial = _debtrank_inputs(leverage, initial_loss)
    if not is_stable(matrix):
        found = f"spectral radius {spectral_radius(matrix):.6g}"
        raise SolventError(problem("debtrank", None, "leverage", found, "a spectral radius below 1"))
    return np.asarray(np.linalg.solve(np.eye(len(matrix)) - matrix, initial))


def is_stable(matrix: F64) -> bool:
    """Whether the spectral radius of a matrix without negative entries is below 1: far cheaper than its eigenvalues.

    I - A is a nonsingular M-matrix iff (I - A) x = 1 has a solution x >= 0 (Berman and Plemmons 1994, chapter 6).
    """
    try:
        found = np.linalg.solve(np.eye(len(matrix)) - matrix, np.ones(len(matrix)))
    except np.linalg.LinAlgError:
        return False
    return bool((found >= 0).all())


def spectral_radius(matrix: ArrayLike) -> float:
    """The largest absolute eigenvalue; 0 of an empty matrix.

    Of the leverage matrix: at or above 1 a small loss grows by itself until somebody fails. It is the alarm.
    """
    from scipy.sparse.linalg import ArpackError, eigs

    values = np.asarray(matrix, np.float64)
    if len(values) > DENSE_MOST:
        try:
            largest = eigs(values, k=1, v0=np.ones(len(values)), return_eigenvectors=False)
            return float(np.abs(largest[0]))
        except ArpackError:  # as of a matrix without cycles, whose eigenvalues are all 0
            pass
    return float(np.abs(np.linalg.eigvals(values)).max(initial=0.0)) if len(values) else 0.0


def _debtrank_inputs(leverage: ArrayLike, initial_loss: ArrayLike) -> tuple[F64, F64]:
    matrix, initial = np.asarray(leverage, np.float64), np.asarray(initial_loss, np.float64)
    shape = (len(initial), len(initial))
    found = []
    if matrix.shape != shape:
        found.append(problem("debtrank", None, "leverage", f"shape {matrix.shape}", f"shape {shape}"))
    for name, values in (("leverage", matrix), ("initial_loss", initial)):
        if not (np.isfinite(values) & (values >= 0)).all():
            found.append(problem("debtrank", None, name, "an entry below 0 or not finite", "finite, 0 or more"))
    raise_if(found)
    return matrix, initial
