"""The names are ARKit's 52, in alphabetical order, and left mirrors right."""

import pytest

from audioplane.subject import blendshapes


def test_there_are_52_in_alphabetical_order():
    assert blendshapes.COUNT == 52 == len(set(blendshapes.NAMES))
    assert list(blendshapes.NAMES) == sorted(blendshapes.NAMES)
    assert [blendshapes.index(name) for name in blendshapes.NAMES] == list(range(52))


def test_mirror_is_its_own_inverse_and_swaps_sides():
    for i, name in enumerate(blendshapes.NAMES):
        other = blendshapes.mirror(name)
        assert blendshapes.mirror(other) == name
        assert blendshapes.NAMES[blendshapes.MIRROR[i]] == other
        assert (other == name) == (not name.endswith(("Left", "Right")))
    assert len(blendshapes.MIRROR_PAIRS) == 20  # 52 = 2 * 20 + 12 without sides
    assert blendshapes.mirror("jawLeft") == "jawRight"


def test_an_unknown_name_is_an_error():
    with pytest.raises(ValueError, match="jawWide"):
        blendshapes.index("jawWide")
