# pragma version 0.4.3
# pragma evm-version cancun
"""Prices in 1e-8 USD that anybody can set."""

getAssetPrice: public(HashMap[address, uint256])

event PriceSet:
    asset: indexed(address)
    price: uint256

@external
def set(asset: address, price: uint256):
    self.getAssetPrice[asset] = price
    log PriceSet(asset=asset, price=price)
