"""Nonces of one sender: given out here, because a node's pending count lags behind what was just sent."""

import threading


class Nonces:
    """Gives out each nonce once; what was never sent comes back and is given out first."""

    def __init__(self, confirmed: int) -> None:
        """confirmed: transactions of the sender in the latest block."""
        self._lock = threading.Lock()
        self._confirmed = confirmed
        self._next = confirmed
        self._returned: set[int] = set()

    def take(self) -> int:
        """The lowest nonce that nobody has."""
        with self._lock:
            if self._returned:
                nonce = min(self._returned)
                self._returned.remove(nonce)
                return nonce
            self._next += 1
            return self._next - 1

    def give_back(self, nonce: int) -> None:
        """A nonce whose transaction no node has taken. Raises ValueError for one that was not given out."""
        with self._lock:
            if not self._confirmed <= nonce < self._next or nonce in self._returned:
                raise ValueError(f"nonce {nonce} is not out: {self._confirmed} to {self._next - 1} are")
            self._returned.add(nonce)
            while self._next - 1 in self._returned:
                self._next -= 1
                self._returned.remove(self._next)

    def confirm(self, confirmed: int) -> None:
        """The count of the latest block; lower than before after a reorg, higher if another program sent too."""
        with self._lock:
            self._confirmed = confirmed
            self._next = max(self._next, confirmed)
            self._returned = {nonce for nonce in self._returned if nonce >= confirmed}

    @property
    def outstanding(self) -> int:
        """Nonces given out and not yet in a block."""
        with self._lock:
            return self._next - self._confirmed - len(self._returned)
