# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Hostile: a token of any decimals that misbehaves as it is told to
@license Apache-2.0
"""

NOTHING: constant(uint256) = 1  # answers nothing, as some old tokens do
SAYS_NO: constant(uint256) = 2  # moves nothing and answers false
KEEPS_FEE: constant(uint256) = 4  # a hundredth of what is sent does not arrive
TAKES_MORE: constant(uint256) = 8  # a hundredth more than was sent leaves the sender
PAUSED: constant(uint256) = 16
REENTERS: constant(uint256) = 32  # calls what it was told to in the middle of a transfer

decimals: public(immutable(uint8))
allowance: public(HashMap[address, HashMap[address, uint256]])
blocked: public(HashMap[address, bool])
shares: HashMap[address, uint256]
rebase_bps: uint256
vices: public(uint256)
target: address
payload: Bytes[1024]
entered: public(bool)


@deploy
def __init__(decimals_: uint8):
    decimals = decimals_
    self.rebase_bps = 10_000


@external
@view
def balanceOf(owner: address) -> uint256:
    return self.shares[owner] * self.rebase_bps // 10_000


@external
def mint(receiver: address, amount: uint256):
    self.shares[receiver] += amount


@external
def approve(spender: address, amount: uint256) -> bool:
    self.allowance[msg.sender][spender] = amount
    return True


@external
def set_vices(vices: uint256):
    self.vices = vices


@external
def block_address(owner: address):
    self.blocked[owner] = True


@external
def rebase(bps: uint256):
    self.rebase_bps = bps


@external
def set_call(target: address, payload: Bytes[1024]):
    """
    @notice What is called in the middle of each transfer; whether it went through is in `entered`.
    """
    self.target = target
    self.payload = payload


@external
@raw_return
def transfer(receiver: address, amount: uint256) -> Bytes[32]:
    return self._move(msg.sender, receiver, amount)


@external
@raw_return
def transferFrom(owner: address, receiver: address, amount: uint256) -> Bytes[32]:
    self.allowance[owner][msg.sender] -= amount
    return self._move(owner, receiver, amount)


@internal
def _move(owner: address, receiver: address, amount: uint256) -> Bytes[32]:
    assert self.vices & PAUSED == 0 and not self.blocked[owner] and not self.blocked[receiver]
    if self.vices & SAYS_NO != 0:
        return concat(empty(bytes32), b"")
    fee: uint256 = amount // 100
    lost: uint256 = amount
    if self.vices & TAKES_MORE != 0:
        lost += fee
    gained: uint256 = amount
    if self.vices & KEEPS_FEE != 0:
        gained -= fee
    self.shares[owner] -= lost * 10_000 // self.rebase_bps
    self.shares[receiver] += gained * 10_000 // self.rebase_bps
    if self.vices & REENTERS != 0:
        self.entered = raw_call(self.target, self.payload, revert_on_failure=False)
    if self.vices & NOTHING != 0:
        return b""
    return concat(convert(1, bytes32), b"")
