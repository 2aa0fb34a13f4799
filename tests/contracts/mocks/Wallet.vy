# pragma version 0.4.3
# pragma evm-version cancun
"""
@title Wallet: a contract that signs (ERC-1271) what it was told to and calls what its owner asks for
@license Apache-2.0
"""

agreed: public(HashMap[bytes32, bool])
answer: public(bytes4)


@deploy
def __init__():
    self.answer = 0x1626ba7e


@external
def agree(digest: bytes32):
    self.agreed[digest] = True


@external
def set_answer(answer: bytes4):
    self.answer = answer


@external
@view
def isValidSignature(digest: bytes32, signature: Bytes[520]) -> bytes4:
    if self.agreed[digest]:
        return self.answer
    return 0xffffffff


@external
def call(target: address, data: Bytes[1024]):
    raw_call(target, data)
