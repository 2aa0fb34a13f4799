"""Signers: keystores are opened, wrong passwords and open files refused, a lying remote signer caught."""

import json
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from tests.chain.test_rpc import Scripted

from solvent.chain.rpc import Rpc
from solvent.chain.signers import KeySigner, RemoteSigner, decoded, from_keystore
from solvent.errors import SolventError

KEY = (7).to_bytes(32, "big")
TRANSACTION: dict[str, Any] = {
    "type": 2,
    "chainId": 1,
    "nonce": 3,
    "to": "0x00000000000000000000000000000000000000AA",
    "data": b"\x01\x02",
    "value": 0,
    "gas": 50_000,
    "maxFeePerGas": 30,
    "maxPriorityFeePerGas": 2,
}


@pytest.fixture
def keystore(tmp_path: Path) -> Path:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(Account.encrypt(KEY, "right", kdf="pbkdf2", iterations=2)))
    path.chmod(0o600)
    return path


def test_a_keystore_signs(keystore: Path) -> None:
    signer = from_keystore(keystore, "right")
    found, sender = decoded(signer.sign(TRANSACTION))
    assert sender == signer.address == Account.from_key(KEY).address
    assert (found["nonce"], found["gas"]) == (3, 50_000)
    assert KEY.hex() not in repr(signer)


def test_a_wrong_password_says_nothing_of_the_key(keystore: Path) -> None:
    with pytest.raises(SolventError) as raised:
        from_keystore(keystore, "guessed")
    assert "guessed" not in str(raised.value)


def test_a_keystore_that_others_can_read_is_refused(keystore: Path) -> None:
    keystore.chmod(0o644)
    with pytest.raises(SolventError, match="yours alone"):
        from_keystore(keystore, "right")


def test_what_is_no_keystore_is_refused(tmp_path: Path) -> None:
    for name, text in (("none.json", None), ("list.json", "[]"), ("text.json", "no")):
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
            path.chmod(0o600)
        with pytest.raises(SolventError, match="keystore"):
            from_keystore(path, "")


def remote(alter: dict[str, Any], key: bytes = KEY) -> RemoteSigner:
    """A remote signer that signs something else."""
    raw = KeySigner(Account.from_key(key)).sign({**TRANSACTION, **alter})
    answer = Scripted(lambda calls: [{"id": 0, "result": {"raw": "0x" + raw.hex()}}])
    return RemoteSigner(Rpc([answer]), Account.from_key(KEY).address)


def test_a_remote_signer_signs() -> None:
    assert decoded(remote({}).sign(TRANSACTION))[0]["nonce"] == 3


@pytest.mark.parametrize(
    "alter",
    [
        {"gas": 60_000},
        {"data": b"\x01"},
        {"value": 1},
        {"chainId": 2},
        {"to": "0x00000000000000000000000000000000000000bb"},
    ],
)
def test_a_remote_signer_that_alters_is_caught(alter: dict[str, Any]) -> None:
    with pytest.raises(SolventError, match="the transaction asked for"):
        remote(alter).sign(TRANSACTION)


def test_a_remote_signer_with_another_key_is_caught() -> None:
    with pytest.raises(SolventError, match="sender"):
        remote({}, (8).to_bytes(32, "big")).sign(TRANSACTION)
