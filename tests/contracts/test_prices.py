"""Prices: who may push, what is refused, guards, slow prices, feeds."""

import boa
import pytest
from eth_account import Account
from eth_utils import keccak
from tests.contracts import model
from tests.contracts.world import DEGRADED, GUARDS, HALTED, OK, USD, World, contract, key, mock, refused

SECP_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def asset_zero(world: World) -> tuple[int, int, int]:
    """State, price and slow price of the first collateral."""
    state, words = world.prices.quotes(1, 0)
    return state, words[0] & (1 << 48) - 1, words[0] >> 48 & (1 << 48) - 1


def later(world: World, seconds: int = 1) -> tuple[int, list[int]]:
    boa.env.time_travel(seconds=seconds)
    return boa.env.timestamp, world.updates()


def test_pushed_prices_are_read_back(world: World) -> None:
    state, words = world.prices.quotes(0b11, 1)
    assert state == OK
    assert [word & (1 << 48) - 1 for word in words] == [world.mark, world.asset_prices[0]]
    assert words[1] >> 108 & (1 << 48) - 1 == world.asset_prices[1]


def test_a_push_needs_enough_signatures(world: World) -> None:
    now, updates = later(world)
    with refused("TooFewSignatures"):
        world.prices.push(now, updates, world.signatures(now, updates, 1))


def test_signers_must_rise_so_that_none_counts_twice(world: World) -> None:
    now, updates = later(world)
    proofs = world.signatures(now, updates)
    for order in (proofs[::-1], [proofs[0], proofs[0]]):
        with refused("SignersNotRising"):
            world.prices.push(now, updates, order)


def test_a_stranger_does_not_sign(world: World) -> None:
    now, updates = later(world)
    stranger = Account.from_key(keccak(text="stranger"))
    digest = world.prices.push_digest(now, updates)
    proofs = sorted(
        (signer.address.lower(), bytes(signer.unsafe_sign_hash(digest).signature))
        for signer in (world.signers[0], stranger)
    )
    with refused("NotASigner"):
        world.prices.push(now, updates, [proof for _, proof in proofs])


def test_high_s_and_short_signatures_are_refused(world: World) -> None:
    now, updates = later(world)
    first, second = world.signatures(now, updates)
    flipped = (
        first[:32] + (SECP_ORDER - int.from_bytes(first[32:64], "big")).to_bytes(32, "big") + bytes([55 - first[64]])
    )
    for bad in (flipped, first[:64], first[:64] + b"\x05", bytes(64) + b"\x1b"):
        with refused("BadSignature"):
            world.prices.push(now, updates, [bad, second])


def test_signatures_of_other_prices_are_refused(world: World) -> None:
    now, updates = later(world)
    proofs = world.signatures(now, updates)
    with refused():
        world.prices.push(now, [*updates[:-1], updates[-1] + (1 << 8)], proofs)


def test_a_push_must_be_later_and_not_from_the_future(world: World) -> None:
    now, updates = boa.env.timestamp, world.updates()
    with refused("NotLater"):
        world.prices.push(now, updates, world.signatures(now, updates))
    with refused("FromTheFuture"):
        world.prices.push(now + 16, updates, world.signatures(now + 16, updates))
    world.prices.push(now + 15, updates, world.signatures(now + 15, updates))


def test_a_zero_price_and_a_missing_half_are_refused(world: World) -> None:
    now, _updates = later(world)
    for word, name in (
        (0 | (1 << 48) << 8 | 5 << 68, "BadPrice"),
        (0 | 5 << 8, "PriceMissing"),
        (9 | 5 << 8, "WrongPair"),
    ):
        with refused(name):
            world.prices.push(now, [word], world.signatures(now, [word]))


def test_funding_moves_within_its_limit(world: World) -> None:
    world.funding_index = world.mark * 10**6 // 100  # 1 % of the mark: the limit of an hour
    now, updates = later(world, 3_599)
    with refused("FundingAboveLimit"):
        world.prices.push(now, updates, world.signatures(now, updates))
    world.later(1)
    for index in (0, -world.funding_index):
        world.funding_index = index
        world.later(3_600)
    assert world.prices.mark_word(0) >> 148 == world.funding_index % 2**96


@pytest.mark.parametrize("factor", [0.8, 1.2])
@pytest.mark.parametrize("elapsed", [1, 600, 3_600, 90_000])
def test_the_slow_price_follows_as_the_model_says(world: World, factor: float, elapsed: int) -> None:
    before = world.asset_prices[0]
    world.move(factor, elapsed)
    expected = model.slow_moved(before, world.asset_prices[0], elapsed)
    assert asset_zero(world)[2] == expected
    assert expected != world.asset_prices[0] or elapsed >= 86_400


def test_old_prices_degrade_and_then_halt(world: World) -> None:
    for seconds, state in ((60, OK), (1, DEGRADED), (539, DEGRADED), (1, HALTED)):
        boa.env.time_travel(seconds=seconds)
        assert asset_zero(world)[0] == state


def test_a_price_outside_the_band_stands_at_its_edge(world: World) -> None:
    world.move(0.6)
    state, price, slow = asset_zero(world)
    assert state == DEGRADED
    assert price == slow - slow * 3_000 // 10_000 > world.asset_prices[0]


def test_low_confidence_degrades(world: World) -> None:
    world.confidence = 201
    world.later(1)
    assert asset_zero(world)[0] == DEGRADED


def test_what_was_never_priced_is_halted(world: World) -> None:
    assert world.prices.quotes(1 << 15, 0)[0] == HALTED
    assert world.prices.quotes(0, 2)[0] == HALTED


def test_feeds_give_the_price(feed_world: World) -> None:
    assert asset_zero(feed_world)[:2] == (OK, feed_world.asset_prices[0])


def test_bad_answers_of_a_feed_halt(feed_world: World) -> None:
    now, good = boa.env.timestamp, feed_world.asset_prices[0] * 100
    bad = {"zero": (0, now), "negative": (-1, now), "future": (good, now + 1), "stale": (good, now - 3_601)}
    bad |= {"at its minimum": (100, now), "at its maximum": ((2**48 - 1) * 100, now)}
    for why, answer in bad.items():
        feed_world.feeds[0].set_answer(*answer)
        assert asset_zero(feed_world)[0] == HALTED, why
    feed_world.feeds[0].set_answer(good, now - 3_600)
    assert asset_zero(feed_world)[0] == OK


@pytest.mark.parametrize("asset", [0, 1])
def test_the_limits_of_a_feed_hold_at_the_next_powers_of_two(feed_world: World, asset: int) -> None:
    """Narrowed, never widened; a change of one feed leaves the other of its pair as it was."""
    prices, steward, now = feed_world.prices, feed_world.steward, boa.env.timestamp
    for parameter, setting in {3: 90 * USD, 4: 3_000 * USD}.items():
        steward.set_up(prices, key(parameter, asset), setting, sender=feed_world.owner)
    least, most = 1 << 27, 1 << 31
    assert least >= 90 * USD > least // 2
    assert most <= 3_000 * USD < 2 * most
    for price, is_taken in ((least, False), (least + 1, True), (most - 1, True), (most, False)):
        feed_world.feeds[asset].set_answer(price * 100, now)
        assert (prices.quotes(1 << asset, 0)[0] != HALTED) == is_taken, price
    assert prices.quotes(2 >> asset, 0)[0] == OK
    steward.set_up(prices, key(5, asset), 59, sender=feed_world.owner)
    for age, is_taken in ((59 * 60, True), (59 * 60 + 1, False)):
        feed_world.feeds[asset].set_answer((most - 1) * 100, now - age)
        assert (prices.quotes(1 << asset, 0)[0] != HALTED) == is_taken, age
    feed_world.feeds[1 - asset].set_answer(feed_world.asset_prices[1 - asset] * 100, now - 3_600)
    assert prices.quotes(2 >> asset, 0)[0] == OK


def test_poking_keeps_what_is_set_of_a_pair(feed_world: World) -> None:
    before = feed_world.prices.pair_word(1)
    slow = ((1 << 48) - 1) << 48 | ((1 << 48) - 1) << 156
    rules = ((1 << 216) - 1) ^ slow
    boa.env.time_travel(seconds=60)
    feed_world.prices.poke(1)
    after = feed_world.prices.pair_word(1)
    assert after & rules == before & rules != 0
    assert after >> 216 == 1 << 39 | boa.env.timestamp
    feed_world.steward.set_up(feed_world.prices, key(5, 2), 59, sender=feed_world.owner)
    assert feed_world.prices.pair_word(1) & ~rules == after & ~rules


def test_a_confidence_above_the_whole_is_refused_as_a_guard(world: World) -> None:
    with refused("UnsafeParameter"):
        contract("Prices", world.steward, [world.signers[0].address], 1, [*GUARDS[:3], 10_001, *GUARDS[4:]])


def test_a_pair_of_feeds_cannot_be_pushed_and_a_pushed_one_not_poked(feed_world: World) -> None:
    now = boa.env.timestamp + 1
    with refused("WrongPair"):
        feed_world.prices.push(now, [5 << 8 | 5 << 68], feed_world.signatures(now, [5 << 8 | 5 << 68]))
    with refused("WrongPair"):
        feed_world.prices.poke(7)


def test_poking_moves_the_slow_price_only(feed_world: World) -> None:
    boa.env.time_travel(seconds=3_600)
    before = feed_world.asset_prices[0]
    feed_world.feeds[0].set_answer(before * 90, boa.env.timestamp)
    feed_world.prices.poke(0)
    state, price, slow = asset_zero(feed_world)
    assert (state, price) == (OK, before * 9 // 10)
    assert slow == model.slow_moved(before, price, 3_600)


def test_decimals_of_a_feed_are_read_once_and_scale_the_price(world: World) -> None:
    feed = mock("Feed", 18)
    feed.set_answer(3 * 10**18, boa.env.timestamp)
    for parameter, setting in {3: 1, 4: 2**48 - 1, 5: 60, 2: int(feed.address, 16)}.items():
        world.steward.set_up(world.prices, key(parameter, 8), setting, sender=world.owner)
    boa.env.time_travel(seconds=1)
    world.prices.poke(4)
    state, words = world.prices.quotes(1 << 8, 0)
    assert (state, words[0] & (1 << 48) - 1) == (OK, 3 * USD)


def test_a_signer_comes_and_goes_through_the_steward(world: World) -> None:
    signer = world.signers[0].address
    world.steward.set_up(world.prices, 1, int(signer, 16), sender=world.owner)
    now, updates = later(world)
    with refused("NotASigner"):
        world.prices.push(now, updates, world.signatures(now, updates))
    world.steward.set_up(world.prices, 1, int(signer, 16) | 1 << 160, sender=world.owner)
    world.prices.push(now, updates, world.signatures(now, updates))
    with refused("UnsafeParameter"):
        world.steward.set_up(world.prices, 0, 0, sender=world.owner)


def read_both_ways(world: World, assets: int) -> tuple[tuple[int, list[int]], tuple[int, list[int]]]:
    """State and words of pairs by the cheap path of contracts and by that of readers."""
    found = world.prices.pair_quotes(assets)
    asked = [pair for pair in range(8) if assets >> 2 * pair & 3]
    state, words = world.prices.quotes(assets, 0)
    return (found[8], [found[pair] for pair in asked]), (state, list(words))


def test_contracts_and_readers_are_told_the_same_prices(world: World) -> None:
    """Over jumps to both edges of the band, low confidence and every age, of whole and of half pairs."""
    states = set()
    steps = [(1.0, 0, 0), (1.3, 0, 1), (0.699, 0, 1), (1.31, 0, 1), (0.5, 0, 1), (1.0, 200, 1), (1.0, 201, 1)]
    ages = [0, 60, 61, 600, 601]
    for factor, confidence, seconds in steps:
        with boa.env.anchor():
            prices = world.asset_prices
            world.asset_prices = [int(price * factor) for price in prices[:3]] + prices[3:]
            world.confidence = confidence
            world.later(seconds + 1)
            world.asset_prices, world.confidence = prices, 0
            for age in ages:
                with boa.env.anchor():
                    boa.env.time_travel(seconds=age)
                    for assets in (0b1, 0b10, 0b1100, 0b0100, 0b1000, 0b11111111, 1 << 15 | 1):
                        cheap, plain = read_both_ways(world, assets)
                        assert cheap == plain, (factor, confidence, age, assets)
                        states.add(cheap[0])
    assert states == {OK, DEGRADED, HALTED}


def test_contracts_and_readers_are_told_the_same_answers_of_feeds(feed_world: World) -> None:
    now, good = boa.env.timestamp, feed_world.asset_prices[0] * 100
    answers = [(good, now), (good * 14 // 10, now), (good // 2, now), (0, now), (-1, now), (good, now + 1)]
    answers += [(good, now - 3_600), (good, now - 3_601), (2**255 - 1, now), (-(2**255), now), (good, 2**256 - 1)]
    states = []
    for answer in answers:
        feed_world.feeds[0].set_answer(*answer)
        for assets in (0b1, 0b10, 0b11, 0b1111):
            cheap, plain = read_both_ways(feed_world, assets)
            assert cheap == plain, (answer, assets)
        states.append(read_both_ways(feed_world, 1)[0][0])
    assert states == [OK, DEGRADED, DEGRADED, *[HALTED] * 3, OK, *[HALTED] * 4]


def test_a_mark_is_the_same_alone(world: World) -> None:
    state, words = world.prices.quotes(0, 1)
    assert world.prices.mark_quote(0) == (words[0], state) == (words[0], OK)
    assert world.prices.mark_quote(1)[1] == HALTED
