# pragma version 0.4.3
"""
@title Signatures: EIP-712 digests, strict ECDSA and ERC-1271 wallets
@license Apache-2.0
"""

from . import errors

DOMAIN_TYPEHASH: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168
WALLET_SAYS_YES: constant(bytes4) = 0x1626ba7e


interface Wallet:
    def isValidSignature(digest: bytes32, signature: Bytes[520]) -> bytes32: view


@internal
@view
def digest(name_hash: bytes32, struct_hash: bytes32) -> bytes32:
    """
    @notice What is signed: the domain is read anew each time, so that a fork of the chain has its own.
    """
    domain: bytes32 = keccak256(
        abi_encode(DOMAIN_TYPEHASH, name_hash, keccak256("1"), chain.id, self)
    )
    return keccak256(concat(x"1901", domain, struct_hash))


@internal
@pure
def recovered(digest: bytes32, signature: Bytes[520]) -> address:
    """
    @notice Who signed; reverts for malleable (high s), malformed and unrecoverable signatures.
    """
    errors.need(len(signature) == 65, errors.BAD_SIGNATURE)
    r: uint256 = convert(slice(signature, 0, 32), uint256)
    s: uint256 = convert(slice(signature, 32, 32), uint256)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    errors.need(s <= HALF_ORDER and (v == 27 or v == 28), errors.BAD_SIGNATURE)
    signer: address = ecrecover(digest, v, r, s)
    errors.need(signer != empty(address), errors.BAD_SIGNATURE)
    return signer


@internal
@view
def wallet_agrees(wallet: address, digest: bytes32, signature: Bytes[520]) -> bool:
    """
    @notice Whether a contract wallet accepts the signature (ERC-1271).
    """
    if not wallet.is_contract:
        return False
    answer: bytes32 = staticcall Wallet(wallet).isValidSignature(digest, signature)
    return answer == convert(WALLET_SAYS_YES, bytes32)
