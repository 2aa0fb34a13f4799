# pragma version 0.4.3
"""
@title Orders: what traders signed (EIP-712), how much of it is filled, and what they cancelled
@license Apache-2.0
@notice An order is signed by the account's owner, by his wallet contract, or by an operator who may trade.
"""

from . import accounts
from . import errors
from . import signatures

uses: accounts


event OrderCancelled:
    account: indexed(uint256)
    order: bytes32


struct Order:
    account: uint256
    market: uint256
    buy: bool
    lots: uint256
    price: uint256
    fee_most_bps: uint256
    nonce: uint256
    expiry: uint256
    operator: address


RIGHT_TRADE: constant(uint256) = 1
NAME_HASH: constant(bytes32) = keccak256("Solvent Clearing")
ORDER_TYPEHASH: constant(bytes32) = keccak256(
    "Order(uint256 account,uint256 market,bool buy,uint256 lots,uint256 price,uint256 fee_most_bps,uint256 nonce,uint256 expiry,address operator)"
)

# Lots filled of an order, by its struct hash.
filled: public(HashMap[bytes32, uint256])


@internal
def use(order: Order, signature: Bytes[520], lots: uint256, fee_bps: uint256) -> bytes32:
    """
    @notice Check an order's signature and limits, and count the fill by its struct hash.
    """
    errors.need(block.timestamp <= order.expiry, errors.ORDER_EXPIRED)
    errors.need(fee_bps <= order.fee_most_bps, errors.FEE_ABOVE_LIMIT)
    errors.need(order.operator == empty(address) or order.operator == msg.sender, errors.NOT_AUTHORISED)
    hashed: bytes32 = self._hash(order)
    done: uint256 = self.filled[hashed] + lots
    errors.need(done <= order.lots, errors.ORDER_FILLED)
    self.filled[hashed] = done
    digest: bytes32 = signatures.digest(NAME_HASH, hashed)
    owner: address = convert(order.account >> 8, address)
    if not signatures.wallet_agrees(owner, digest, signature):
        accounts.check_right(order.account, signatures.recovered(digest, signature), RIGHT_TRADE)
    return hashed


@internal
@pure
def _hash(order: Order) -> bytes32:
    return keccak256(abi_encode(ORDER_TYPEHASH, order))


@external
@view
def order_digest(order: Order) -> (bytes32, bytes32):
    """
    @notice Struct hash, under which fills and cancellation are kept, and the EIP-712 digest to sign.
    """
    hashed: bytes32 = self._hash(order)
    return hashed, signatures.digest(NAME_HASH, hashed)


@external
def cancel(order: Order):
    """
    @notice Void an order for good, whoever matches; the owner or an operator with the right to trade.
    """
    accounts.check_right(order.account, msg.sender, RIGHT_TRADE)
    hashed: bytes32 = self._hash(order)
    # Lots are below 2**63: nothing can be added to this.
    self.filled[hashed] = 2**128
    log OrderCancelled(account=order.account, order=hashed)
