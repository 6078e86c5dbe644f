"""The page of a run: everything is in it, nothing comes from elsewhere, and what names and prompts say stays text."""

from html.parser import HTMLParser

import PIL.Image
import pytest

from kyara.evaluator.v1.evaluator_pb2 import EvaluateParams
from kyara_artifacts import Image, Store, put_picture
from kyara_evaluator.report import Looked, report_html

HOSTILE = '"><script>alert(1)</script><img src=http://elsewhere/x.png onerror=alert(1)>'
MARKS = ("recscore", "fidelity", "control", "copies", "memorised", "diversity", "drift", "broken")
STEPS = (0, 10, 20)


class Page(HTMLParser):
    """Every tag of a page with its attributes, and its text."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(data.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def pictures(self) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == "img"]


NO_TEXT = dict.fromkeys(("text", "text_above_base", "text_by_kind", "text_above_base_by_kind"))


def row(step: int, text: float | None = None) -> dict[str, object]:
    marks: dict[str, object] = {
        "step": step,
        **dict.fromkeys(MARKS, 0.5),
        "drift": None,
        "why": f"because of {HOSTILE}",
        "by_kind": {"outfit": 0.4},
    }
    if text is None:
        return marks | NO_TEXT
    kinds = {"outfit": text, HOSTILE: 0.3}
    above = {"text_above_base": text - 0.5, "text_above_base_by_kind": {"outfit": text - 0.5, HOSTILE: 0.04}}
    return marks | {"text": text, "text_by_kind": kinds, **above}


def picture(store: Store, colour: int, name: str) -> Image:
    digest, width, height = put_picture(store, PIL.Image.new("RGB", (64, 96), (colour, 80, 160)))
    return Image(name=name, sha256=digest.sha256, size=digest.size_bytes, width=width, height=height, caption=HOSTILE)


def page(store: Store, notes: dict[int, str], texts: tuple[float | None, ...] = (None, None, None)) -> bytes:
    """A page of two prompts and two saves; the previews of a step carry its note, and its row how like its words they are."""
    prompts = [
        {"name": name, "text": HOSTILE, "negative": HOSTILE, "seed": 1, "kind": "plain", "contradicts": [HOSTILE]}
        for name in ("plain", HOSTILE)
    ]
    record = {
        "prompts": prompts, "base": row(0, texts[0]), "steps": [row(10, texts[1]), row(20, texts[2])], "best_step": 20,
        "rule": "the best", "images": 3,
    }  # fmt: skip
    dataset = [picture(store, 40 * number, f"{number}.png") for number in range(3)]
    previews = {(step, prompt["name"]): PIL.Image.new("RGB", (512, 768), (step, 9, 9)) for step in STEPS for prompt in prompts}
    looked = [
        Looked(picture(store, step, "x").model_copy(update=told(step, name, notes)), dataset[1])
        for step, name in previews
    ]  # fmt: skip
    return report_html(store, EvaluateParams(trigger=HOSTILE, core_tags=[HOSTILE]), record, previews, looked, dataset, b"png")


def told(step: int, prompt: str, notes: dict[int, str]) -> dict[str, object]:
    return {"step": step, "prompt": prompt, "scores": {"alike": 0.1 * step / 10}, "note": notes.get(step, "")}


def test_nothing_comes_from_elsewhere_and_what_is_named_stays_text(store: Store) -> None:
    shown = Page(page(store, {10: f"a copy of {HOSTILE}"}))
    assert not {"script", "link", "iframe", "object", "base", "form"} & {tag for tag, _ in shown.tags}
    assert all(str(each["src"]).startswith("data:image/") for each in shown.pictures())
    assert not [name for _, attributes in shown.tags for name in attributes if name.startswith("on")]
    policy = next(attributes["content"] for tag, attributes in shown.tags if attributes.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert shown.text.count("<script>alert(1)</script>") > 8, "they are read as they are written"


def test_every_preview_stands_in_the_grid_and_no_picture_is_larger_than_it_need_be(store: Store) -> None:
    pictures = Page(page(store, {})).pictures()
    # The grid's six, two large ones of the best step, the curve, two pairs of the nearest, three of the dataset.
    assert len(pictures) == 6 + 2 + 1 + 2 * 2 + 3
    assert {int(each["width"] or 0) for each in pictures if "width" in each} == {256, 96, 64}


@pytest.mark.parametrize(
    ("notes", "said", "shown"), [({}, "No preview is broken", 2), ({10: "corrupt", 20: "a copy of 1.png"}, "may be", 4)]
)
def test_suspicious_previews_stand_beside_the_picture_they_are_nearest_to(
    store: Store, notes: dict[int, str], said: str, shown: int
) -> None:
    found = Page(page(store, notes))
    assert said in found.text
    assert sum(each.get("alt") == "nearest training picture" for each in found.pictures()) == shown


def test_the_same_run_gives_the_same_page(store: Store) -> None:
    assert page(store, {}) == page(store, {})


def test_likeness_of_text_and_picture_stands_beside_the_base_models_where_it_was_asked(store: Store) -> None:
    shown = Page(page(store, {}, (0.5, 0.47, 0.4)))
    assert "0.47 (-0.03)" in shown.text
    assert "outfit 0.40 (-0.10)" in shown.text
    assert "0.30 (+0.04)" in shown.text
    assert not {"script", "iframe"} & {tag for tag, _ in shown.tags}
    assert "Likeness of text" not in Page(page(store, {})).text
