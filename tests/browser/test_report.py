"""The page of a run in a real Chromium: on a phone and on a desk, light and dark, without network. `make test-report`

Screenshots are left in out/report, to be looked at.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image as Pictures
from playwright.sync_api import Browser, Page, sync_playwright

from kyara.evaluator.v1.evaluator_pb2 import EvaluateParams
from kyara_artifacts import Image, open_store, put_picture
from kyara_evaluator.report import Looked, report_html
from kyara_miniature.pictures import make_pictures

pytestmark = pytest.mark.slow
OUT = Path("out/report")
STEPS = tuple(range(0, 320, 40))
PROMPTS = {
    "pattern_0": "pattern",
    "plain": "plain",
    "full_body": "pose",
    "maid": "outfit",
    "armor": "outfit",
    "stranger": "plain",
}
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
TAGS = ("blue_hair", "long_hair", "red_eyes", "horns", "a_very_long_tag_that_nobody_can_break_for_it_has_no_space_anywhere")


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of eight steps and six prompts, with two copies among the previews."""
    folder = tmp_path_factory.mktemp("run")
    make_pictures(folder / "drawn", 31, count=24)
    store = open_store(f"file://{folder}/store")
    dataset = []
    for path in sorted((folder / "drawn").glob("*.png")):
        with Pictures.open(path) as opened:
            digest, width, height = put_picture(store, opened.convert("RGB"))
        dataset.append(Image(name=path.name, sha256=digest.sha256, size=digest.size_bytes, width=width, height=height))
    cells = [(step, prompt) for step in STEPS for prompt in PROMPTS]
    previews: dict[tuple[int, str], Pictures.Image] = {}
    looked = []
    for number, (step, prompt) in enumerate(cells):
        shown = dataset[number % len(dataset)]
        with Pictures.open(folder / "drawn" / shown.name) as opened:
            previews[step, prompt] = opened.convert("RGB").resize((512, 768))
        note = f"a copy of {shown.name}" if number in (20, 31) else ""
        told = {"step": step, "prompt": prompt, "scores": {"alike": 0.6, "fidelity": 0.5}, "note": note}
        looked.append(Looked(shown.model_copy(update=told), shown))
    record = {
        "prompts": [_prompt(name, kind) for name, kind in PROMPTS.items()],
        "base": _row(0), "steps": [_row(step) for step in STEPS[1:]], "best_step": 200, "rule": "highest balance", "images": 24,
    }  # fmt: skip
    params = EvaluateParams(trigger="hana", core_tags=TAGS, preview_model="miniature-base")
    curve = store.get(dataset[0].digest)
    path = folder / "report.html"
    path.write_bytes(report_html(store, params, record, previews, looked, dataset, curve))
    return path


def _prompt(name: str, kind: str) -> dict[str, object]:
    words = ", ".join(["(hana:1.15)", *(tag.replace("_", " ") for tag in TAGS), "solo", "upper body"])
    return {"name": name, "text": words, "negative": "blurry, nsfw", "seed": 7, "kind": kind, "contradicts": []}


def _row(step: int) -> dict[str, object]:
    marks = {
        "recscore": 0.2 + step / 400,
        "fidelity": step / 300,
        "control": 0.9,
        "copies": 0.04,
        "memorised": 0.02,
        "diversity": 0.8,
    }
    why = "step 200 is as good in everything and better in fidelity and own pictures"
    told = {"drift": 0.0, "broken": 0.0, "why": why, "by_kind": {"outfit": 0.4, "pose": 0.5}}
    kinds = {"outfit": 0.61 - step / 2000, "pose": 0.55}
    above = {"text_above_base": -step / 4000, "text_above_base_by_kind": {"outfit": -step / 2000, "pose": 0.0}}
    return {"step": step, **marks, **told, "text": 0.58 - step / 4000, "text_by_kind": kinds, **above}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium where there is one, or else Playwright's."""
    with sync_playwright() as started:
        yield started.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_page_fits_and_every_picture_is_shown_without_network(
    browser: Browser, page_file: Path, size: dict[str, int], scheme: str
) -> None:
    with browser.new_context(viewport=size, color_scheme=scheme, offline=True, bypass_csp=True) as context:  # type: ignore[arg-type]
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text))
        page.goto(page_file.as_uri())
        assert _told(page, "document.documentElement.scrollWidth") == size["width"], "nothing but tables goes past the side"
        page.wait_for_function("[...document.images].every(each => each.complete)")
        assert _told(page, "[...document.images].filter(each => !each.naturalWidth).length") == 0
        assert _told(page, "Math.min(...[...document.images].map(each => each.getBoundingClientRect().width))") >= 48
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        assert wrong == []
        OUT.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=OUT / f"{size['width']}-{scheme}.png", full_page=True)


def test_the_grid_keeps_its_prompts_in_sight_while_it_is_moved(browser: Browser, page_file: Path) -> None:
    with browser.new_context(viewport=PHONE, bypass_csp=True) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(page_file.as_uri())
        page.evaluate("document.querySelector('.grid').parentElement.scrollLeft = 400")
        name = "document.querySelector('.grid tbody th').getBoundingClientRect().left"
        assert 0 <= _told(page, name) < 40


def _told(page: Page, expression: str) -> float:
    return page.evaluate(expression)
