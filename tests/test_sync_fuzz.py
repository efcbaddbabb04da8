"""Metadata edited at random, unsigned and signed: nothing unsigned is taken, nothing crashes."""

import copy
import json

from hypothesis import event, given, settings
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical
from sim_repository import SimCart, SimRepository

from ecgedge.errors import EcgedgeError
from ecgedge.sync.layout import METADATA, manifest_target
from ecgedge.sync.trusted import Trusted

CENTRE = SimRepository()
FIRST_ROOT_KEYS = CENTRE.rotate("root")
CENTRE.publish(b"manifest", [b"blob"])
CENTRE.publish(b"later", [b"other"], channels={"stable": (2, 50), "pilot": (2, 100)})
CURRENT = {
    "root": f"{METADATA}/2.root.json",
    "timestamp": f"{METADATA}/timestamp.json",
    "snapshot": f"{METADATA}/3.snapshot.json",
    "targets": f"{METADATA}/3.targets.json",
}
HONEST = SimCart(CENTRE).refresh()
roles = st.sampled_from(sorted(CURRENT))
#: What a value in JSON may be replaced by; TUF's canonical JSON allows no fractions.
odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.sampled_from(
        ["", "targets", "root", "2026-13-01T00:00:00Z", "1.0", "\ud800", "../x", "0" * 64]
    )
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=4,
)


def outcome(cart: SimCart) -> Trusted | EcgedgeError:
    """What a refresh gives or refuses; anything else that is raised is a finding."""
    try:
        return cart.refresh()
    except EcgedgeError as error:
        return error


def assert_honest_or_refused(role: str, data: bytes) -> None:
    cart = SimCart(CENTRE)
    cart.source.replaced[CURRENT[role]] = data
    found = outcome(cart)
    event(type(found).__name__)
    if isinstance(found, EcgedgeError):
        assert found.exit_code in (5, 6)
        assert "\n" not in str(found)
    else:
        assert found == HONEST


@settings(max_examples=200)
@given(roles, st.data())
def test_metadata_with_bytes_edited_is_the_honest_contents_or_a_refusal(role, data):
    edited = bytearray(CENTRE.files[CURRENT[role]])
    for _ in range(data.draw(st.integers(1, 4))):
        begin = data.draw(st.integers(0, len(edited)))
        end = data.draw(st.integers(begin, min(len(edited), begin + 6)))
        edited[begin:end] = data.draw(st.binary(max_size=6))
    assert_honest_or_refused(role, bytes(edited))


def changed_somewhere(tree: object, data: st.DataObject) -> object:
    """A copy of a JSON value in which one value, at whatever depth, is another or gone."""
    tree = copy.deepcopy(tree)
    place, key = None, None
    here = tree
    while isinstance(here, dict | list) and here and (place is None or data.draw(st.booleans())):
        keys = sorted(here) if isinstance(here, dict) else range(len(here))
        place, key = here, data.draw(st.sampled_from(keys))
        here = here[key]
    if place is None:
        return data.draw(odd)
    if data.draw(st.booleans()):
        place[key] = data.draw(odd)
    else:
        del place[key]
    return tree


@settings(max_examples=200)
@given(roles, st.data())
def test_metadata_with_values_changed_is_the_honest_contents_or_a_refusal(role, data):
    edited = changed_somewhere(json.loads(CENTRE.files[CURRENT[role]]), data)
    assert_honest_or_refused(role, json.dumps(edited).encode())


@settings(max_examples=300)
@given(roles, st.data())
def test_nonsense_that_was_signed_with_the_right_keys_is_read_or_refused_and_crashes_nothing(
    role, data
):
    signed = json.loads(CENTRE.files[CURRENT[role]])["signed"]
    for _ in range(data.draw(st.integers(1, 3))):
        signed = changed_somewhere(signed, data)
    try:
        payload = encode_canonical(signed).encode()
    except UnicodeEncodeError:
        payload = b""  # half a character cannot be signed, but it can be served
    signers = CENTRE.signers[role] + (FIRST_ROOT_KEYS if role == "root" else [])
    signatures = [one.sign(payload).to_dict() for one in signers]
    thief = CENTRE.fork()
    thief.reseal(role, json.dumps({"signed": signed, "signatures": signatures}).encode())
    found = outcome(SimCart(thief))
    event(f"{role}: {type(found).__name__}")
    if isinstance(found, EcgedgeError):
        assert found.exit_code in (5, 6)
        assert len(str(found)) < 1000
    else:  # read as what it says
        assert {manifest_target(one.release) for one in found.offers} <= set(found.targets)
