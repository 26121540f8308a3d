"""The browser draws and moves the Gaussians as Python does, and speaks from a file without a kernel or a network."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from traitlets import TraitError

from audioplane.errors import UserError
from audioplane.evaluation import heads, protocols
from audioplane.inference import shipped
from audioplane.inference.poses import typical
from audioplane.inference.talking_head import TalkingHead
from audioplane.media.container import opened
from audioplane.methods.audio_plane.paper import prototypes
from audioplane.metrics.image import psnr
from audioplane.splat.ply import load_ply, upright
from audioplane.synthetic.voice import load_voice
from audioplane.widgets import GaussianViewer
from audioplane.widgets.bake import vectors
from tests.tiny_subject import TinySubject
from tests.widgets.awake import awake

if TYPE_CHECKING:
    from playwright.sync_api import Page

FRAMES = (0, 9, 21)
VOICE = TinySubject().audio[:16_000]
VIEWER = "document.querySelector('canvas').viewer"


def show(head: TalkingHead, audio: np.ndarray, path: Path, open_page: Callable[..., Page], **options: Any) -> Page:
    GaussianViewer(head, audio, size=head.width, **options).save(path / "talk.html")
    page = open_page(path / "talk.html", offline=True)
    ready(page)
    return page


def ready(page: Page) -> None:
    page.wait_for_function("document.querySelector('canvas')?.viewer?.painter?.behind")


def picture(page: Page, frame: int) -> np.ndarray:
    page.evaluate(f"{VIEWER}.seek({frame})")
    drawn = page.evaluate(f"{VIEWER}.pixels()")
    return np.array(drawn["data"], np.uint8).reshape(drawn["height"], drawn["width"], 4)[..., :3]


def moving(head: TalkingHead) -> torch.Tensor:
    """The Gaussians that the page moves."""
    return next(iter(head.branches.values())).moving


def rows(page: Page, head: TalkingHead, frame: int) -> np.ndarray:
    """The cloud of a frame as the browser has it, in the head's order."""
    page.evaluate(f"{VIEWER}.seek({frame})")
    table, order = page.evaluate(f"[Array.from({VIEWER}.cloud.rows), Array.from({VIEWER}.parts.order.data)]")
    out = np.empty((len(order), len(table) // len(order)))
    out[np.array(order, int)] = np.array(table).reshape(len(order), -1)
    return out


@pytest.fixture(scope="module")
def spoken(smoke: Any) -> np.ndarray:
    return smoke[0].audio[:32_000]


@pytest.mark.parametrize(
    "changes",
    [
        {"sparse": True, "audio__features": "mel"},
        {"method__fusion": "multiply", "gaussians__sh_degree": 3},
        {"method__field": "tri_plane", "method__hidden": 18, "method__saliency": False},
    ],
    ids=["paper", "multiply, harmonics", "tri-plane, odd width"],
)
def test_the_browser_moves_and_draws_what_python_does(
    changes: dict[str, Any],
    tmp_path: Path,
    open_page: Callable[..., Page],
    record_property: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "audioplane.inference.folding.STILL", 0.05
    )  # so that some of the sparse head move and some rest
    head = awake(tmp_path, **changes)
    assert 0 < head.moving <= len(head.cloud) - 10 * ("sparse" in changes)
    page, codes = show(head, VOICE, tmp_path, open_page), head.encode(VOICE)
    still = head.cloud.pack().numpy()
    errors, agreement = [], []
    for t in FRAMES:
        mine, expected = rows(page, head, t), head.deform(codes[t]).pack().numpy()
        assert np.abs(expected - still).max() > 0.01
        errors.append(np.abs(mine - expected).max(axis=0))
        view = head.viewmats[typical(head.viewmats.numpy())]
        agreement.append(psnr(picture(page, t), head.render(codes[t], view)))
    worst = np.max(errors, axis=0)
    record_property("largest error of positions, micrometres", float(1e6 * worst[:3].max()))
    record_property("psnr", float(min(agreement)))
    assert worst[:3].max() < 1e-4  # a tenth of a millimetre
    assert worst.max() < 5e-3
    assert min(agreement) > 35


def test_coarser_steps_of_a_large_head_are_too_small_to_see(
    tmp_path: Path, open_page: Callable[..., Page], record_property: Callable
) -> None:
    """The head that ships, whose tables are sent in steps: against what Python draws and moves."""
    head = TalkingHead.load(shipped.find("adam"))
    voice = load_voice("english_drive").audio[:32_000]
    page, codes = show(head, voice, tmp_path, open_page, expression="none"), head.encode(voice)
    shown = torch.sigmoid(head.cloud.opacities).numpy() > 0.1
    errors, agreement = [], []
    view = head.viewmats[typical(head.viewmats.numpy())]
    for t in (12, 25, 40):
        mine, expected = rows(page, head, t), head.deform(codes[t]).pack().numpy()
        errors.append(np.linalg.norm(mine[shown, :3] - expected[shown, :3], axis=1))
        agreement.append(psnr(picture(page, t), head.render(codes[t], view)))
    record_property("psnr", float(min(agreement)))
    assert np.sqrt(np.mean(np.square(errors))) < 1e-4  # metres
    assert np.quantile(errors, 0.99) < 4e-4
    assert min(agreement) > 50


def test_shaders_and_their_plain_twin_agree(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    page = show(awake(tmp_path), VOICE, tmp_path, open_page)
    largest, size = page.evaluate(f"""() => {{
        const field = {VIEWER}.field.each[0], code = {VIEWER}.codeAt(7);
        if (!field.prepare()) throw new Error("no float textures");
        const fast = field.fast(code), plain = field.plain(code);
        let largest = 0, size = 0;
        for (const part of ["offsets", "dynamism"])
            plain[part].forEach((value, i) => {{
                largest = Math.max(largest, Math.abs(value - fast[part][i]));
                size = Math.max(size, Math.abs(value));
            }});
        return [largest, size];
    }}""")
    assert size > 0.1
    assert largest < 1e-4 * size


def test_webassembly_and_its_plain_twin_agree(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    page = show(awake(tmp_path), VOICE, tmp_path, open_page)
    largest, size, alone = page.evaluate(f"""() => {{
        const field = {VIEWER}.field.each[0], code = {VIEWER}.codeAt(7);
        const fast = field.all(code), plain = field.plain(code);
        if (!field.dense.run) throw new Error("no WebAssembly");
        let largest = 0, size = 0;
        for (const part of ["offsets", "dynamism"])
            plain[part].forEach((value, i) => {{
                largest = Math.max(largest, Math.abs(value - fast[part][i]));
                size = Math.max(size, Math.abs(value));
            }});
        WebAssembly.Module = class {{ constructor() {{ throw new Error("forbidden"); }} }};
        field.dense = null;
        return [largest, size, field.all(code).offsets.every((value, i) => value === plain.offsets[i])];
    }}""")
    assert size > 0.1
    assert largest < 1e-4 * size
    assert alone, "a page that forbids WebAssembly moves them too"


def test_the_processor_draws_what_shaders_draw(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    """Light of the head and what passes it; shaders add up in sixteen bits."""
    page = show(TalkingHead.load(shipped.find("adam")), VOICE, tmp_path, open_page)
    furthest, mean, opaque = page.evaluate(f"""() => {{
        {VIEWER}.seek(9);
        {VIEWER}.drawNow();
        const {{ painter, projection, raster, gl }} = {VIEWER}, {{ width, height }} = painter;
        const mine = raster.draw(projection, width, height), shaders = new Float32Array(mine.length);
        painter.draw(projection, width, height, "splats", [1, 1, 1], true);
        gl.bindFramebuffer(gl.FRAMEBUFFER, painter.target);
        gl.readPixels(0, 0, width, height, gl.RGBA, gl.FLOAT, shaders);
        gl.bindFramebuffer(gl.FRAMEBUFFER, null);
        const apart = mine.map((value, i) => Math.abs(value - shaders[i]));
        const closed = mine.filter((value, i) => i % 4 === 3 && value < 0.05).length;
        return [apart.reduce((a, b) => Math.max(a, b)), apart.reduce((a, b) => a + b) / apart.length, closed];
    }}""")
    assert opaque > 1000
    assert furthest < 8 / 255
    assert mean < 0.25 / 255


def test_workers_make_the_same_pictures(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    """Drawn by a worker, or only sorted there; with a turned camera, a colour scale, a filter and a selection."""
    page = show(awake(tmp_path), VOICE, tmp_path, open_page)
    found = page.evaluate(f"""async () => {{
        const v = {VIEWER}, found = [];
        const same = (a, b) => a.length === b.length && a.every((value, i) => value === b[i]);
        v.isRunning = true;
        v.hire();
        v.isRunning = false;
        const made = (order) => new Promise((done) => {{
            v.workers.received = () => done(v.workers.take(9));
            v.workers.clear();
            v.workers.order(9, order);
        }});
        for (const color of ["appearance", "dynamism"]) {{
            v.setColor(color);
            if (color === "dynamism") {{
                v.look({{ yaw: 0.4, zoom: 1.2 }});
                v.selection.limit("opacity", 0.3);
                v.selection.choose([3, 4, 5, 6, 7, 8]);
            }}
            v.seek(9);
            v.drawNow();
            for (const isDrawn of [true, false]) {{
                const order = {{ ...v.order(9), isDrawn, ...(isDrawn ? {{}} : {{ moved: v.field.all(v.codeAt(9)) }}) }};
                const moment = await made(order), {{ cloud, projection, raster }} = v, {{ drawn }} = projection;
                const cut = (table) => table.subarray(0, 12 * drawn);
                found.push([drawn, moment.drawn, same(moment.rows, cloud.rows.subarray(0, moment.rows.length)),
                    same(moment.order.subarray(0, drawn), projection.order.subarray(0, drawn)),
                    same(cut(moment.instances), cut(projection.instances)),
                    isDrawn ? same(moment.sheet, raster.sheet) : moment.sheet === null]);
            }}
        }}
        return found;
    }}""")
    assert len(found) == 4
    assert 0 < found[2][0] < found[0][0], "the filter hides some"
    for drawn, theirs, *same in found:
        assert theirs == drawn
        assert same == [True] * 4


FAILING_WORKER = """class {
    constructor() { setTimeout(() => this.onerror(new Event("error"))); }
    postMessage() {}
    terminate() {}
}"""


@pytest.mark.parametrize("workers", ["undefined", FAILING_WORKER], ids=["none", "forbidden"])
def test_it_plays_with_and_without_workers(
    workers: str, ball: TalkingHead, tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    page = show(ball, VOICE, tmp_path, open_page)
    page.evaluate(f"() => {{ globalThis.Worker = {workers}; }}")
    page.click("text=Play")
    page.wait_for_function(f"{VIEWER}.sound.ended && {VIEWER}.state.frame === 24")
    assert page.evaluate(f"{VIEWER}.isAlone")
    alone = picture(page, 24)
    page = show(ball, VOICE, tmp_path, open_page)
    page.evaluate(f"""() => {{
        const viewer = {VIEWER}, adopt = viewer.adopt.bind(viewer);
        globalThis.adopted = 0;
        viewer.adopt = (moment) => {{ adopted++; adopt(moment); }};
    }}""")
    page.click("text=Play")
    page.wait_for_function(f"{VIEWER}.sound.ended && {VIEWER}.state.frame === 24")
    assert page.evaluate("adopted") > 0
    assert np.array_equal(picture(page, 24), alone)


def test_a_talking_page_is_small(tmp_path: Path) -> None:
    """Ten seconds of the head that ships."""
    head = TalkingHead.load(shipped.find("adam"))
    viewer = GaussianViewer(head, load_voice("english_drive").audio[:160_000])
    assert viewer.save(tmp_path / "talk.html").stat().st_size < 800_000


def test_prototypes_steer_the_face_as_in_python(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    head = awake(tmp_path)
    page, audio = show(head, VOICE, tmp_path, open_page), head.encode(VOICE)[9]
    page.evaluate(f"{VIEWER}.state.level = 1; {VIEWER}.steer(5, 0.7)")
    mine = rows(page, head, 9)[moving(head).numpy()]
    code = prototypes.steered(head, prototypes.plane_of(head).audio_code(audio), 1, 5, 0.7)
    expected = prototypes.deform(head, code).pack().numpy()[moving(head).numpy()]
    plain = head.deform(audio).pack().numpy()[moving(head).numpy()]
    assert np.abs(expected - plain).max() > 1e-3
    assert np.abs(mine - expected).max() < 5e-3
    reach = np.array(page.evaluate(f"Array.from({VIEWER}.reach(1, 5))"))[: head.moving]
    np.testing.assert_allclose(reach, prototypes.reaches(head, 1)[5][moving(head)].numpy(), atol=0.02, rtol=0.02)


def test_a_trained_head_looks_as_rendered(
    smoke: Any, spoken: np.ndarray, tmp_path: Path, open_page: Callable[..., Page], record_property: Callable
) -> None:
    head = smoke[1]
    page, codes = show(head, spoken, tmp_path, open_page), head.encode(spoken)
    view = head.viewmats[typical(head.viewmats.numpy())]
    agreement = [psnr(picture(page, t), head.render(codes[t], view)) for t in FRAMES]
    record_property("psnr", float(min(agreement)))
    assert min(agreement) > 35


def test_a_saved_page_speaks_without_kernel_and_network(
    smoke: Any, spoken: np.ndarray, tmp_path: Path, open_page: Callable[..., Page], record_property: Callable
) -> None:
    head = smoke[1]
    page = show(head, spoken, tmp_path, open_page, color="dynamism")
    assert vectors(head, head.encode(spoken)).shape[1] * 2 == page.evaluate(
        f"{VIEWER}.talk.parts.vectors.bits.byteLength / {VIEWER}.talk.facts.frames"
    )
    page.evaluate(f"{VIEWER}.timeline.set(0, 45)")  # again and again, as a busy machine may be late once
    page.click("text=Play")
    late = f"{VIEWER}.sound.currentTime * {head.fps} - {VIEWER}.state.frame"
    page.wait_for_function(f"{VIEWER}.state.frame > 12 && {late} >= 0 && {late} < 4")  # the picture is the sound's
    page.evaluate(f"{VIEWER}.timeline.set()")
    page.wait_for_function(f"{VIEWER}.stamps.length > 2")
    record_property("pictures a second, software GL", page.evaluate(f"{VIEWER}.stamps.length"))
    record_property("bytes sent once", len(GaussianViewer(head).head_data))
    page.wait_for_function(f"{VIEWER}.sound.ended")
    assert page.evaluate(f"{VIEWER}.state.frame") == page.evaluate(f"{VIEWER}.talk.facts.frames - 1")
    assert page.inner_text(".ap-clock") == "1.96 s"


def test_views_colours_and_questions(
    smoke: Any, spoken: np.ndarray, tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    page = show(smoke[1], spoken, tmp_path, open_page)
    front = picture(page, 5)
    seen = {"front": front}
    for color in ("dynamism", "displacement", "opacity", "scale", "density", "reach", "appearance"):
        page.get_by_label("colour").select_option(color)
        seen[color] = picture(page, 5)
        assert page.locator(".ap-bar").count() == (color != "appearance")
    assert len({image.tobytes() for image in seen.values()}) == len(seen) - 1  # front and appearance are one
    for style in ("ellipsoids", "points", "splats"):
        page.get_by_label("drawn as").select_option(style)
        seen[style] = picture(page, 5)
    assert np.array_equal(seen["splats"], front)
    page.focus("canvas")
    for key in ("ArrowLeft", "Shift+ArrowDown", "+"):
        before = picture(page, 5)
        page.keyboard.press(key)
        assert not np.array_equal(picture(page, 5), before), key
    page.keyboard.press("0")
    assert np.array_equal(picture(page, 5), front)
    page.hover("canvas")
    page.mouse.wheel(0, -300)
    page.wait_for_function(f"{VIEWER}.state.zoom > 1.4")
    canvas = page.locator(".ap-canvas").bounding_box()
    assert canvas is not None
    page.mouse.click(canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2)
    for words in ("opacity", "dynamism d", "static features", "path over the voice"):
        assert words in page.inner_text(".ap-details"), words
    number = int(page.locator(".ap-details caption").first.inner_text().split()[1])
    assert number == page.evaluate(f"{VIEWER}.model.get('picked')")
    page.wait_for_function("document.querySelectorAll('.ap-overlay circle').length === 1")  # in its next frame


def test_what_it_cannot_do_is_said(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    head = awake(tmp_path, method__field="six_planes")
    page = show(head, VOICE, tmp_path, open_page)
    assert "This head cannot speak in the browser" in page.inner_text(".ap-status")
    assert not page.locator(".ap-player").is_visible()
    silent = GaussianViewer(awake(tmp_path))
    silent.save(tmp_path / "silent.html")
    page = open_page(tmp_path / "silent.html")
    page.wait_for_function("document.querySelector('.ap-status')?.textContent.includes('no voice')")
    blind = open_page(tmp_path / "silent.html", java_script_enabled=False)
    assert "needs JavaScript" in blind.inner_text("main")
    assert blind.locator("main img").is_visible()
    with pytest.raises(ValueError, match="natural"):
        silent.speak(VOICE, poses="wild")


def test_pages_without_a_kernel_show_a_picture(smoke: Any) -> None:
    bundle = GaussianViewer(smoke[1])._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert {"application/vnd.jupyter.widget-view+json", "image/jpeg", "text/html"} <= set(data)
    assert "Gaussians, from the front" in data["text/html"]


def test_what_python_sets_is_within_bounds(ball: TalkingHead) -> None:
    viewer: Any = GaussianViewer(ball, VOICE)
    wrong = {
        "frame": 100_000,
        "picked": 10**6,
        "size": 3,
        "camera": {"roll": 1.0},
        "steering": {"level": 0, "row": 10**4},
        "face": [1.0] * 40,
        "loop": [3, 10**6],
        "selected": [0, 10**6],
    }
    parts = {"steering": {"row": 0.5}, "loop": [0.5, 3], "selected": [0.5]}
    for name, value in wrong.items():
        before = getattr(viewer, name)
        with pytest.raises(TraitError, match=f"^{name}"):
            setattr(viewer, name, value)
        assert getattr(viewer, name) == before
    for name, value in parts.items():
        with pytest.raises(TraitError, match=f"^{name}.*whole number"):
            setattr(viewer, name, value)
    with pytest.raises(TraitError, match="zoom"):
        viewer.camera = {"zoom": 1e9}
    with pytest.raises(TraitError, match="first and last"):
        viewer.loop = [3]
    viewer.frame, viewer.loop, viewer.selected = 24, [20, 4], [5, 2, 5]
    assert (viewer.loop, viewer.selected) == ([4, 20], [2, 5])
    viewer.speak(VOICE[:3200].tolist())  # a shorter one, and a list
    assert (viewer.frame, viewer.loop) == (0, [])
    assert viewer.talk_facts["frames"] == 5
    with pytest.raises(UserError, match="samples lie in"):
        viewer.speak(100 * VOICE)


def test_the_page_opens_as_python_left_it(ball: TalkingHead, tmp_path: Path, open_page: Callable[..., Page]) -> None:
    viewer: Any = GaussianViewer(ball, VOICE, size=200)
    viewer.camera, viewer.steering = {"yaw": 0.4}, {"level": 1, "row": 2, "amount": 0.5}
    viewer.picked, viewer.frame = 7, 12
    page = open_page(viewer.save(tmp_path / "talk.html"), offline=True)
    ready(page)
    state = page.evaluate(f"{VIEWER}.state")
    assert [state[name] for name in ("yaw", "level", "row", "amount", "frame")] == [0.4, 1, 2, 0.5, 12]
    page.wait_for_function("document.querySelector('.ap-details caption')?.textContent.startsWith('Gaussian 7 ')")


def test_the_panel_says_what_the_cloud_has(ball: TalkingHead, tmp_path: Path, open_page: Callable[..., Page]) -> None:
    """After playing, steering and another voice; its path is that of the voice that is heard."""
    page = show(ball, VOICE, tmp_path, open_page)
    page.evaluate(f"{VIEWER}.pick({VIEWER}.parts.order.data.findIndex((_, n) => {VIEWER}.cloud.moved[n] > 0))")

    def agree() -> None:
        page.evaluate(f"{VIEWER}.drawNow()")
        moved = page.evaluate(f"{VIEWER}.cloud.moved[{VIEWER}.state.picked]")
        assert f"{moved:.2f} mm" in page.locator(".ap-details tr", has_text="moved now").inner_text()

    agree()
    path = page.get_attribute(".ap-path polyline", "points")
    page.click("text=Play")
    page.wait_for_function(f"{VIEWER}.sound.ended")
    agree()
    page.get_by_label("attention to it").fill("0.9")
    agree()
    steered = page.get_attribute(".ap-path polyline", "points")
    assert steered != path
    page.evaluate(f"{VIEWER}.talk.parts.vectors.data.reverse(); {VIEWER}.voices++")
    agree()
    assert page.get_attribute(".ap-path polyline", "points") != steered


def test_a_sound_that_does_not_play_does_not_end(
    ball: TalkingHead, tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    """A browser may say so when a paused sound is moved: the frame that was asked for stays."""
    page = show(ball, VOICE, tmp_path, open_page)
    before = picture(page, 9)
    page.evaluate(f"{VIEWER}.sound.dispatchEvent(new Event('ended'))")
    assert page.evaluate(f"{VIEWER}.state.frame") == 9
    assert np.array_equal(picture(page, 9), before)


def test_a_lost_gpu_comes_back(ball: TalkingHead, tmp_path: Path, open_page: Callable[..., Page]) -> None:
    page = show(ball, VOICE, tmp_path, open_page)
    before = picture(page, 9)
    page.evaluate(f"globalThis.loss = {VIEWER}.gl.getExtension('WEBGL_lose_context'); loss.loseContext()")
    page.wait_for_function("document.querySelector('.ap-status').textContent.includes('GPU is lost')")
    page.evaluate("loss.restoreContext()")
    page.wait_for_function(f"!{VIEWER}.isLost && {VIEWER}.painter.behind")
    assert np.array_equal(picture(page, 9), before)


def test_narrow_pages_and_the_wheel(ball: TalkingHead, tmp_path: Path, open_page: Callable[..., Page]) -> None:
    viewer = GaussianViewer(ball, VOICE)
    page = open_page(viewer.save(tmp_path / "talk.html"), viewport={"width": 320, "height": 500})
    ready(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    box = page.locator(".ap-canvas").bounding_box()
    assert box is not None
    assert box["width"] == pytest.approx(box["height"], abs=1)
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.wheel(0, 120)
    page.wait_for_function("scrollY > 0")  # the page scrolls over a head that nobody has touched
    assert page.evaluate(f"{VIEWER}.state.zoom") == 1
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    page.wait_for_function(f"{VIEWER}.state.zoom > 1")


def test_one_speaks_at_a_time(ball: TalkingHead, tmp_path: Path, open_page: Callable[..., Page]) -> None:
    page = show(ball, VOICE, tmp_path, open_page)
    page.evaluate("""() => {
        const first = document.querySelector('canvas').viewer, second = document.createElement('div');
        document.body.append(second);
        new first.constructor(first.model, second);
        for (const sound of document.querySelectorAll('audio')) sound.loop = true;
    }""")
    paused = "[...document.querySelectorAll('audio')].map((sound) => sound.paused).join()"
    page.locator(".ap-play").nth(0).click()
    page.wait_for_function(f"{paused} === 'false,true'")
    page.locator(".ap-play").nth(1).click()
    page.wait_for_function(f"{paused} === 'true,false'")


def test_filters_hide_and_the_rest_is_saved(ball: TalkingHead, tmp_path: Path, open_page: Callable[..., Page]) -> None:
    page = show(ball, VOICE, tmp_path, open_page)
    whole = picture(page, 9)
    page.click("summary")
    opacity = np.array(page.evaluate(f"Array.from({VIEWER}.cloud.opacity)"))
    least = round(float(np.median(opacity)), 2)
    page.get_by_label("opacity from").fill(str(least))
    some = picture(page, 9)
    hidden = np.array(page.evaluate(f"Array.from({VIEWER}.cloud.hidden)"), bool)
    assert 0 < hidden.sum() < len(hidden)
    np.testing.assert_array_equal(hidden, opacity < least)
    assert not np.array_equal(some, whole)
    assert f"{(~hidden).sum()} of {len(hidden)} shown" in page.inner_text(".ap-choices")
    with page.expect_download() as waiting:
        page.click("text=save .ply")
    saved, expected = load_ply(waiting.value.path()), upright(ball.deform(ball.encode(VOICE)[9]))
    rows = np.array(page.evaluate(f"Array.from({VIEWER}.parts.order.data)"), int)[~hidden]
    for part in ("means", "quats", "scales", "opacities", "sh"):
        mine, theirs = getattr(saved, part), getattr(expected, part)[rows]
        if part == "quats":
            mine, theirs = (torch.nn.functional.normalize(q, dim=1) for q in (mine, theirs))
        torch.testing.assert_close(mine, theirs, atol=5e-3, rtol=0)
    page.click("text=show all")
    assert np.array_equal(picture(page, 9), whole)
    assert page.get_by_label("opacity from").input_value() == "0"


def test_a_brush_selects_what_is_in_sight(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    head = TalkingHead.load(shipped.find("adam"))
    viewer = GaussianViewer(head, VOICE, size=200)
    page = open_page(viewer.save(tmp_path / "talk.html"), offline=True)
    ready(page)
    before = picture(page, 3)
    page.click("summary")
    page.get_by_label("brush: drag selects").check()
    box = page.locator(".ap-canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 20, y, steps=3)
    page.mouse.up()
    state = page.evaluate(f"({VIEWER}.state)")
    assert (state["yaw"], state["picked"]) == (0, -1), "a brush neither turns nor picks"
    chosen = page.evaluate(f"{VIEWER}.model.get('selected')")
    assert 0 < len(chosen) < len(head.cloud)
    assert not np.array_equal(picture(page, 3), before)
    depths = page.evaluate(f"""() => {{
        const {{ projection, parts, selection }} = {VIEWER}, found = [[], []];
        for (let i = 0; i < projection.drawn; i++) {{
            const at = 12 * i, [u, v] = projection.instances.subarray(at, at + 2), scale = {VIEWER}.canvas.width / 200;
            const near = Math.hypot(u - 100 * scale, v - 100 * scale) < 14 * scale;
            if (near) found[selection.chosen[projection.order[i]]].push(projection.depths[projection.order[i]]);
        }}
        return found;
    }}""")
    assert np.median(depths[1]) < np.median(depths[0]), "what lies behind is left alone"
    page.click("text=hide these")
    page.wait_for_function(f"{VIEWER}.selection.shown === {len(head.cloud) - len(chosen)}")
    page.mouse.move(x, y)
    page.click("text=let go")
    page.wait_for_function(f"{VIEWER}.model.get('selected').length === 0")


def test_a_piece_is_repeated(ball: TalkingHead, tmp_path: Path, open_page: Callable[..., Page]) -> None:
    viewer: Any = GaussianViewer(ball, VOICE)
    viewer.loop = [3, 8]
    page = open_page(viewer.save(tmp_path / "talk.html"), offline=True)
    ready(page)
    page.evaluate(f"""() => {{
        globalThis.shown = [];
        const show = {VIEWER}.show.bind({VIEWER});
        {VIEWER}.show = (frame) => {{ shown.push(frame); show(frame); }};
    }}""")
    page.click("text=Play")
    page.wait_for_function("shown.filter((frame, k) => k && frame < shown[k - 1]).length > 1")
    shown = page.evaluate("shown")
    assert set(shown) <= set(range(3, 9))
    page.click("text=Pause")
    assert page.inner_text(".ap-timeline output") == "0.12 to 0.36 s"
    wave = page.locator(".ap-wave").bounding_box()
    assert wave is not None
    page.mouse.move(wave["x"] + 0.5 * wave["width"], wave["y"] + 20)
    page.mouse.down()
    page.mouse.move(wave["x"] + 0.9 * wave["width"], wave["y"] + 20, steps=3)
    page.mouse.up()
    assert page.evaluate(f"{VIEWER}.model.get('loop')") == [12, 22]
    page.click("text=no repeat")
    assert page.evaluate(f"{VIEWER}.model.get('loop')") == []
    page.mouse.click(wave["x"] + 0.1 * wave["width"], wave["y"] + 20)
    assert page.evaluate(f"{VIEWER}.state.frame") == 2


def test_the_filmed_picture_beside_the_drawn_one(smoke: Any, tmp_path: Path, open_page: Callable[..., Page]) -> None:
    subject, head = smoke
    viewer: Any = GaussianViewer(head, size=head.width)
    with pytest.raises(ValueError, match="neighbouring"):
        viewer.compare(subject, range(10**6, 10**6 + 3))
    frames = range(subject.test.start + 4, subject.test.start + 14)
    viewer.compare(subject, frames)
    page = open_page(viewer.save(tmp_path / "talk.html"), offline=True)
    ready(page)
    drawn = picture(page, 6).astype(float)
    expected = heads.renderer(head, subject, protocol=protocols.PROTOCOLS["alone"])(frames[6])
    assert psnr(drawn.astype(np.uint8), expected) > 33

    def over(choice: str) -> np.ndarray:
        page.get_by_label("show").select_option(choice)
        page.evaluate(f"{VIEWER}.truth.picture(6)")
        page.evaluate(f"{VIEWER}.drawNow()")
        assert page.evaluate(f"!{VIEWER}.truth.canvas.hidden")
        pixels = page.evaluate(f"""() => {{
            const {{ width, height }} = {VIEWER}.truth.canvas;
            return Array.from({VIEWER}.truth.canvas.getContext("2d").getImageData(0, 0, width, height).data);
        }}""")
        return np.array(pixels, float).reshape(*drawn.shape[:2], 4)

    true, half = subject.frame(frames[6]).astype(float), drawn.shape[1] // 2
    wiped = over("wipe")
    assert not wiped[:, : half - 1, 3].any()
    at, ends = viewer.talk_facts["parts"]["pictures"][2], viewer.talk_facts["pictures"]
    sent = np.array(Image.open(io.BytesIO(viewer.talk_data[at + ends[6] : at + ends[7]])), float)
    assert np.abs(sent - true).mean() < 6  # a JPEG of 64 pixels
    assert np.abs(wiped[:, half + 1 :, :3] - sent[:, half + 1 :]).max() <= 3  # decoders round differently
    difference = over("difference")[..., :3]
    assert np.corrcoef(difference.mean(2).ravel(), np.abs(drawn - true).mean(2).ravel())[0, 1] > 0.8
    page.click("text=profile")
    page.wait_for_function(f"{VIEWER}.truth.canvas.hidden")
    assert "as it was filmed" in page.inner_text("fieldset")


def test_a_film_of_what_is_shown(ball: TalkingHead, tmp_path: Path, open_page: Callable[..., Page]) -> None:
    page = show(ball, VOICE, tmp_path, open_page)
    page.get_by_label("time", exact=True).fill("9")
    with page.expect_download() as waiting:
        page.click("text=save film")
    with opened(waiting.value.path()) as film:
        assert {stream.type for stream in film.streams} == {"audio", "video"}
    page.wait_for_function("document.querySelector('.ap-timeline').textContent.includes('save film')")
    assert page.evaluate(f"{VIEWER}.state.frame") == page.evaluate(f"{VIEWER}.talk.facts.frames - 1")


def test_viewers_of_a_group_turn_and_speak_together(
    ball: TalkingHead, tmp_path: Path, open_page: Callable[..., Page]
) -> None:
    page = show(ball, VOICE, tmp_path, open_page, group="a")
    page.evaluate("""() => {
        const first = document.querySelector('canvas').viewer;
        globalThis.views = ["a", "b"].map((group) => {
            const place = document.createElement('div'), model = { ...first.model };
            document.body.append(place);
            model.get = (name) => (name === "group" ? group : first.model.get(name));
            return new first.constructor(model, place);
        });
    }""")
    page.locator(".ap-canvas").nth(1).focus()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(f"[{VIEWER}, ...views].map((one) => one.state.yaw)") == [-0.08, -0.08, 0]
    page.get_by_label("time", exact=True).nth(0).fill("9")
    assert page.evaluate(f"[{VIEWER}, ...views].map((one) => one.state.frame)") == [9, 9, 0]


def test_sounds_are_named_along_the_time(ball: TalkingHead) -> None:
    voice = load_voice("english_drive")
    viewer: Any = GaussianViewer(ball, voice)
    marks = viewer.talk_facts["marks"]
    assert len(marks) == len(voice.phonemes)
    assert marks[0] == [voice.phonemes[0].start, voice.phonemes[0].end, voice.phonemes[0].ipa]
    viewer.speak(VOICE)
    assert viewer.talk_facts["marks"] == []
