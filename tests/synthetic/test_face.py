"""The parametric head: topology, symmetry, lips, lids, jaw, landmarks."""

import dataclasses
import os
from functools import cache

import numpy as np
import pytest

from audioplane.errors import UserError
from audioplane.synthetic.face import NAMES, Appearance, Face, Identity, Label, sample_identity
from audioplane.synthetic.face import grid as topology
from audioplane.synthetic.face.anatomy import anatomy
from audioplane.synthetic.face.jaw import hinge
from audioplane.synthetic.face.skin import skin
from audioplane.synthetic.materials import Material
from audioplane.synthetic.raster import depth_map

PEOPLE = {
    "mean": Identity(hair="bald", asymmetry=0.0),
    "woman": sample_identity(5, Appearance(masculinity=0.05, hair="bun", glasses=False)),
    "man": sample_identity(6, Appearance(masculinity=0.95, hair="short", beard="full", glasses=True, age=62)),
}


@cache
def face(name: str = "mean") -> Face:
    return Face(PEOPLE[name])


def weights(**shapes: float) -> np.ndarray:
    out = np.zeros(len(NAMES))
    for name, value in shapes.items():
        for full in [name] if name in NAMES else [name + "Left", name + "Right"]:
            out[NAMES.index(full)] = value
    return out


def measures(person: str, **shapes: float) -> dict[str, float]:
    return face(person).mouth_measures(face(person).vertices(weights(**shapes)))


def test_names_are_arkits_52_in_alphabetical_order():
    assert len(NAMES) == 52
    assert sorted(NAMES) == list(NAMES)


def test_skin_grid_is_a_closed_surface_with_one_hole_at_the_neck():
    mesh = topology.grid()
    edges = np.sort(np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    lids = 4 * (topology.EYE_OUT - topology.EYE_IN)  # the rows behind the lids end inside the head
    assert counts.max() == 2
    assert (counts == 1).sum() == topology.COLUMNS + lids


def test_mirror_of_the_grid_is_an_involution():
    mirror = topology.grid().mirror
    assert np.array_equal(mirror[mirror], np.arange(len(mirror)))


def test_rest_skin_is_symmetric_and_finite():
    points, _ = skin(PEOPLE["mean"], anatomy(PEOPLE["mean"]))
    assert np.isfinite(points).all()
    assert np.allclose(points[topology.grid().mirror] * [-1, 1, 1], points, atol=1e-9)


@pytest.mark.parametrize("person", PEOPLE)
def test_everything_is_finite_and_in_range(person):
    it = face(person)
    rng = np.random.default_rng(0)
    moved = it.vertices_batch(rng.random((3, 52)), {"tongueUp": np.ones(3)})
    assert moved.shape == (3, *it.rest.shape)
    assert moved.dtype == np.float32
    for array in (moved, it.uv, it.albedo, it.occlusion, it.roughness, it.coverage, it.flow):
        assert np.isfinite(array).all()
    for array in (it.albedo, it.occlusion, it.coverage, it.torso_weight):
        assert array.min() >= 0
        assert array.max() <= 1
    assert it.faces.min() >= 0
    assert it.faces.max() < len(it.rest)
    assert set(np.unique(it.labels)) == {Label.TORSO, Label.FACE, Label.MOUTH} | (
        {Label.HAIR} if it.identity.hair != "bald" else set()
    )
    assert np.abs(moved - it.rest).max() < 0.12


def test_two_people_share_the_topology_of_skin_eyes_and_mouth():
    one, two = face("woman"), face("man")
    for group in ("skin", "left_eye", "right_eye", "upper_teeth", "lower_teeth", "tongue", "lips"):
        assert np.array_equal(one.vertex_groups[group], two.vertex_groups[group]), group
    count = (one.faces < len(one.vertex_groups["skin"])).all(1).sum()
    assert np.array_equal(one.faces[:count], two.faces[:count])


def test_same_identity_gives_the_same_bytes_and_another_another_face():
    again = Face(PEOPLE["woman"])
    for name in ("rest", "faces", "albedo", "occlusion", "uv"):
        assert getattr(again, name).tobytes() == getattr(face("woman"), name).tobytes()
    skin_of = face("woman").vertex_groups["skin"]
    assert np.abs(face("woman").rest[skin_of] - face("man").rest[skin_of]).max() > 0.004


def volume(it: Face, group: str) -> float:
    """Volume that a group's faces enclose (about, where they are not closed); positive if wound outwards."""
    index = it.vertex_groups[group]
    corners = it.rest[it.faces[np.isin(it.faces, index).all(1)]].astype(float) - it.rest[index].mean(0)
    return float(np.einsum("fk,fk->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6)


def test_faces_wind_outwards():
    it = face("man")
    for group in ("left_eye", "right_eye", "upper_teeth", "lower_teeth", "upper_gum", "lower_gum", "tongue"):
        assert volume(it, group) > 0, group
    for group in ("skin", "left_ear", "right_ear", "hair_cap", "hair_locks_0", "clothes", "beard", "glasses"):
        assert volume(it, group) > 0, group
    eye = it.rest[it.vertex_groups["left_eye"]]
    assert eye[:, 0].mean() > 0  # the person's left is the image's right


@pytest.mark.parametrize(("side", "sign"), [("Left", 1), ("Right", -1)])
def test_left_is_the_persons_left(side, sign):
    it = face()
    for stem in ("mouthSmile", "eyeBlink", "browDown", "noseSneer"):
        moved = np.linalg.norm(it.vertices(weights(**{stem + side: 1.0})) - it.rest, axis=1)
        assert sign * it.rest[moved > 0.5 * moved.max(), 0].min() > -0.02
        assert (it.rest[:, 0] * moved).sum() * sign > 0


def test_sided_shapes_mirror_each_other():
    it, mirror = face(), topology.grid().mirror
    n = len(mirror)
    for name in NAMES:
        if not name.endswith("Left"):
            continue
        left = it.vertices(weights(**{name: 1.0}))[:n].astype(float)
        right = it.vertices(weights(**{name[:-4] + "Right": 1.0}))[:n].astype(float)
        assert np.abs(left[mirror] * [-1, 1, 1] - right).max() < 1e-5, name


def test_middle_shapes_are_symmetric():
    it, mirror = face(), topology.grid().mirror
    for name in NAMES:
        if name.endswith(("Left", "Right")):
            continue
        moved = it.vertices(weights(**{name: 1.0}))[: len(mirror)].astype(float)
        assert np.abs(moved[mirror] * [-1, 1, 1] - moved).max() < 1e-5, name


def test_every_shape_moves_something():
    it = face()
    for name in NAMES:
        together = {"jawOpen": 1.0} if name == "mouthClose" else {}
        start = it.vertices(weights(**together))
        assert np.abs(it.vertices(weights(**together, **{name: 1.0})) - start).max() > 0.001, name


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("w", [0.1, 0.4, 0.8, 1.0])
def test_lips_meet_when_mouth_close_equals_jaw_open(person, w):
    assert measures(person, jawOpen=w, mouthClose=w)["largest_gap"] < 0.001


@pytest.mark.parametrize("person", PEOPLE)
def test_mouth_opens_with_the_jaw_and_is_closed_at_rest(person):
    gaps = [measures(person, jawOpen=w)["gap"] for w in (0.0, 0.2, 0.5, 1.0)]
    assert gaps[0] < 0.001
    assert np.all(np.diff(gaps) > 0.004)
    assert 0.028 < gaps[-1] < 0.050


@pytest.mark.parametrize("person", PEOPLE)
def test_width_pucker_neutral_smile(person):
    pucker, funnel, rest, smile, stretch = (
        measures(person, **s)["width"]
        for s in ({"mouthPucker": 1}, {"mouthFunnel": 1}, {}, {"mouthSmile": 1}, {"mouthStretch": 1})
    )
    assert pucker < funnel < rest < min(smile, stretch)
    assert pucker < 0.75 * rest
    assert smile > 1.12 * rest
    assert measures(person, mouthPucker=1)["protrusion"] > 0.004


@pytest.mark.parametrize("person", PEOPLE)
def test_lips_never_cross(person):
    it, rng = face(person), np.random.default_rng(3)
    upper, lower = it.vertex_groups["lips_inner_upper"], it.vertex_groups["lips_inner_lower"]
    mouth = [i for i, n in enumerate(NAMES) if n.startswith(("mouth", "jaw"))]
    for _ in range(20):
        w = np.zeros(52)
        w[mouth] = rng.random(len(mouth)) * (rng.random(len(mouth)) < 0.4)
        moved = it.vertices(w)
        assert (moved[lower, 1] - moved[upper, 1]).min() > -1e-5


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("side", ["left", "right"])
def test_blink_closes_the_lids_over_the_ball(person, side):
    it = face(person)
    up, low = it.vertex_groups[f"lid_upper_{side}"], it.vertex_groups[f"lid_lower_{side}"]
    shut = it.vertices(weights(eyeBlink=1.0))
    # The upper lid's edge covers the lower one's: no slit is left to look through.
    assert (shut[low, 1] - shut[up, 1]).max() < 0.0005
    assert (it.rest[low, 1] - it.rest[up, 1]).max() > 0.007
    ball = it.vertex_groups[f"{side}_eye"]
    centre = np.array(it.anatomy.eye) / 1000 * [1 if side == "left" else -1, 1, 1]
    radius = np.linalg.norm(it.rest[ball] - centre, axis=1).max()
    for w in (0.0, 0.3, 0.5, 0.8, 1.0):
        moved = it.vertices(weights(eyeBlink=w))
        assert np.linalg.norm(moved[up] - centre, axis=1).min() > radius - 1e-5


def test_gaze_turns_the_eyes_about_their_centres():
    it = face()
    w = weights(eyeLookInLeft=1.0, eyeLookOutRight=1.0)
    moved, flow = it.vertices(w), it.gaze_flow(w)
    for side in ("left_eye", "right_eye"):
        ball = it.vertex_groups[side]
        front = ball[0]  # the pole of the ball
        assert moved[front, 0] < it.rest[front, 0] - 0.004  # both look to the image's left
        axis = flow[front]
        centre = it.rest[front] + [0, 0, it.anatomy.eye_radius / 1000]
        assert np.allclose(moved[front], centre + axis * it.anatomy.eye_radius / 1000, atol=1e-5)
        sizes = [np.linalg.norm(v[ball] - v[ball].mean(0), axis=1) for v in (it.rest, moved)]
        assert np.allclose(sizes[0], sizes[1], atol=1e-5)


def test_lower_teeth_turn_about_the_hinge():
    it = face()
    h = hinge(it.anatomy)
    teeth = it.vertex_groups["lower_teeth"]
    start = it.rest[teeth].astype(float)
    for w in (0.25, 1.0):
        end = it.vertices(weights(jawOpen=w))[teeth].astype(float) - w * h.glide / 1000
        assert np.allclose(end[:, 0], start[:, 0], atol=1e-6)  # the axis is sideways
        arms = [np.linalg.norm((p - h.centre / 1000)[:, 1:], axis=1) for p in (start, end)]
        assert np.allclose(arms[0], arms[1], atol=1e-6)  # rigid, about that axis
        assert end[:, 1].mean() > start[:, 1].mean()
    upper = it.vertex_groups["upper_teeth"]
    assert np.array_equal(it.vertices(weights(jawOpen=1.0))[upper], it.rest[upper])


def front_depth(points: np.ndarray, faces: np.ndarray, size: int, box: float, centre: np.ndarray) -> np.ndarray:
    """Depth map (size, size) seen from the front of a square of side `box` metres."""
    texels = np.column_stack([(points[:, :2] - centre + box / 2) / box * size, points[:, 2]])
    depth = np.full((size, size), np.inf)
    depth_map(texels, np.ascontiguousarray(faces), np.arange(len(faces), dtype=np.int32), depth)
    return depth


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("shapes", [{}, {"mouthPucker": 1.0}, {"jawOpen": 0.5, "mouthClose": 0.5}, {"mouthSmile": 1.0}])
def test_nothing_of_the_mouth_shows_through_closed_lips(person, shapes):
    it = face(person)
    points = it.vertices(weights(**shapes)).astype(float)
    centre = points[it.vertex_groups["lips"]].mean(0)[:2]
    mouth = np.isin(it.materials, [Material.TEETH, Material.GUM, Material.TONGUE, Material.MOUTH])
    outside = np.isin(it.materials, [Material.SKIN, Material.LIPS])
    behind = front_depth(points, it.faces[mouth], 200, 0.05, centre)
    before = front_depth(points, it.faces[outside], 200, 0.05, centre)
    assert (behind < before).mean() < 0.004


def test_tongue_rises_and_comes_out():
    it = face()
    tongue = it.vertex_groups["tongue"]
    w = weights(jawOpen=0.3)
    low, high = it.vertices(w), it.vertices(w, {"tongueUp": 1.0})
    out = it.vertices(weights(jawOpen=0.3, tongueOut=1.0))
    teeth = it.rest[it.vertex_groups["upper_teeth"]]
    tip = np.argmin(low[tongue, 2])
    assert low[tongue][tip, 1] > teeth[:, 1].max() > high[tongue][tip, 1]
    assert out[tongue, 2].min() < out[it.vertex_groups["lips"], 2].min() - 0.003


def test_lower_lip_meets_the_upper_teeth_on_f():
    it = face()
    moved = it.vertices(weights(jawOpen=0.06, mouthRollLower=0.7, mouthUpperUp=0.25))
    lip = moved[it.vertex_groups["lips_inner_lower"]]
    middle = lip[np.abs(lip[:, 0]) < 0.008]
    teeth = moved[it.vertex_groups["upper_teeth"]]
    edge = teeth[(np.abs(teeth[:, 0]) < 0.008) & (teeth[:, 1] > teeth[:, 1].max() - 0.002)]
    gap = np.linalg.norm(middle[:, None] - edge[None], axis=-1).min()
    assert gap < 0.004


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("jaw", [0.05, 0.15])
def test_labiodental_brings_the_lower_lip_to_the_teeth_exactly(person, jaw):
    it = face(person)
    moved = it.vertices(weights(jawOpen=jaw, mouthRollLower=0.3, mouthUpperUp=0.2), {"labiodental": 1.0})
    lip = moved[it.vertex_groups["lips_inner_lower"]][topology.MOUTH_COLUMN]
    teeth = moved[it.vertex_groups["upper_teeth"]]
    assert np.linalg.norm(teeth - lip, axis=1).min() < 0.0012


def test_landmarks_lie_on_the_skin_in_ibug_order():
    it = face("woman")
    points = it.landmark_positions
    assert points.shape == (68, 3)
    assert np.isin(it._landmarks, it.vertex_groups["skin"]).all()
    assert len(np.unique(it._landmarks)) == 68
    x, y = points[:, 0], points[:, 1]
    assert np.all(np.diff(x[:17]) > 0)
    assert y[8] == y[:17].max()
    assert np.all(np.diff(x[17:27]) > 0)
    assert np.all(np.diff(y[27:31]) > 0)
    assert np.all(np.diff(x[31:36]) > 0)
    assert points[30, 2] == points[:, 2].min()  # the tip of the nose is foremost
    assert x[36] < x[39] < 0 < x[42] < x[45]
    assert y[37] < y[41]
    assert y[44] < y[46]
    assert x[48] < x[51] < x[54]
    assert y[51] < y[57]
    assert y[62] <= y[66] + 1e-4
    eyes = [np.abs(points[a] - points[b]) for a, b in ((36, 45), (39, 42), (48, 54))]
    assert eyes[0][0] > eyes[2][0] > eyes[1][0]


def test_proportions_are_a_humans():
    """Means of adults after Farkas (1994), within two standard deviations."""
    p = face().landmark_positions.astype(float) * 1000

    def between(a: int, b: int) -> float:
        return float(np.linalg.norm(p[a] - p[b]))

    assert 86 < between(36, 45) < 98  # biocular width
    assert 28 < between(39, 42) < 37  # intercanthal width
    assert 30 < between(31, 35) + 5 < 40  # nose width
    assert 46 < between(48, 54) < 57  # mouth width
    assert 108 < between(27, 8) < 128  # nasion to gnathion
    it = face()
    width = np.ptp(it.rest[it.vertex_groups["skin"], 0]) * 1000
    assert 138 < width < 158  # head breadth


def test_torso_weight_blends_down_the_neck():
    it = face("man")
    cloth = it.vertex_groups["clothes"]
    assert (it.torso_weight[cloth] == 1).all()
    skin_of = it.vertex_groups["skin"]
    weight, y = it.torso_weight[skin_of], it.rest[skin_of, 1]
    assert (weight[y < 0.06] == 0).all()
    assert (weight[y > 0.165] > 0.9).all()
    assert ((weight > 0.1) & (weight < 0.9)).any()


def test_brows_and_lashes_follow_the_skin():
    it = face()
    brow = it.vertex_groups["brows"]
    raised = it.vertices(weights(browInnerUp=1.0, browOuterUp=1.0))[brow] - it.rest[brow]
    assert raised[:, 1].mean() < -0.005
    lash = it.vertex_groups["lash_upper_left"]
    shut = it.vertices(weights(eyeBlink=1.0))[lash] - it.rest[lash]
    assert shut[:, 1].mean() > 0.006


def test_wrong_weights_and_identities_are_refused():
    with pytest.raises(ValueError, match="52"):
        face().vertices(np.zeros(51))
    with pytest.raises(ValueError, match="finite"):
        face().vertices(np.full(52, np.nan))
    with pytest.raises(ValueError, match="hair"):
        Identity(hair="mohawk")
    with pytest.raises(ValueError, match="jaw_width"):
        Identity(jaw_width=9.0)


def test_wishes_are_granted_and_the_rest_is_drawn():
    wish = Appearance(masculinity=0.9, hair="buzz", beard="full", glasses=True)
    one, two = sample_identity(1, wish), sample_identity(2, wish)
    assert (one.hair, one.beard, one.glasses) == ("buzz", "full", True)
    assert one == sample_identity(1, wish)
    assert one != dataclasses.replace(two, seed=1)


def test_shapes_agree_with_ict_facekit():
    folder = os.environ.get("AUDIOPLANE_ASSETS")
    if not folder:
        pytest.skip("AUDIOPLANE_ASSETS is not set: no ICT-FaceKit to compare with")
    path = os.path.join(folder, "mesh", "ict_facekit.npz")
    if not os.path.exists(path):
        pytest.skip(f"{path} is not there: no ICT-FaceKit to compare with")
    from audioplane.synthetic.face.compare import compare, table

    rows = compare(path)
    text = table(rows)
    assert len(rows) >= 48
    for row in rows:
        if row.name.startswith(("mouth", "jaw", "eyeBlink", "eyeWide", "eyeLook")):
            assert row.cosine > 0.4, text
            assert 0.5 < row.amplitude < 2.0, text
    assert np.mean([row.cosine for row in rows]) > 0.65, text


def test_compare_refuses_a_wrong_file(tmp_path):
    from audioplane.synthetic.face.compare import compare

    with pytest.raises(UserError, match="ICT-FaceKit"):
        compare(tmp_path / "missing.npz")
