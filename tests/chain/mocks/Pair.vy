# pragma version 0.4.3
# pragma evm-version cancun
"""A constant-product pair with the interface and invariant of Uniswap v2, and a fee of 0.3 %."""

interface Token:
    def balanceOf(owner: address) -> uint256: view
    def transfer(to: address, amount: uint256) -> bool: nonpayable

token0: public(immutable(address))
token1: public(immutable(address))
reserve0: uint256
reserve1: uint256

@deploy
def __init__(token0_: address, token1_: address):
    token0 = token0_
    token1 = token1_

@view
@external
def getReserves() -> (uint112, uint112, uint32):
    return convert(self.reserve0, uint112), convert(self.reserve1, uint112), 0

@external
def sync():
    self.reserve0 = staticcall Token(token0).balanceOf(self)
    self.reserve1 = staticcall Token(token1).balanceOf(self)

@external
def swap(amount0_out: uint256, amount1_out: uint256, to: address, data: Bytes[1]):
    if amount0_out > 0:
        extcall Token(token0).transfer(to, amount0_out)
    if amount1_out > 0:
        extcall Token(token1).transfer(to, amount1_out)
    balance0: uint256 = staticcall Token(token0).balanceOf(self)
    balance1: uint256 = staticcall Token(token1).balanceOf(self)
    in0: uint256 = balance0 - min(balance0, self.reserve0 - amount0_out)
    in1: uint256 = balance1 - min(balance1, self.reserve1 - amount1_out)
    left: uint256 = (balance0 * 1000 - in0 * 3) * (balance1 * 1000 - in1 * 3)
    assert left >= self.reserve0 * self.reserve1 * 1000000, "K"
    self.reserve0 = balance0
    self.reserve1 = balance1
