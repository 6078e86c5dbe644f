"""What a person looks at: the sheet of previews by prompt and step, and the curve of the scores."""

import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kyara_artifacts import png_bytes
from kyara_evaluator.judging import StepMarks
from kyara_evaluator.likeness import Likeness
from kyara_evaluator.scoring import StepScore

_INK, _SOFT, _PAPER, _BEST = (40, 40, 48), (120, 120, 132), (250, 249, 246), (214, 72, 108)
_GAP, _HEAD, _SIDE = 6, 38, 96
_SMALLEST, _LARGEST = 96, 160


def preview_sheet(
    pictures: Mapping[tuple[int, str], PIL.Image.Image], prompts: Sequence[str], scores: Sequence[StepScore], best: int
) -> bytes:
    """PNG: a row a prompt, a column a step with its score; step 0 is the base model, the best step is framed."""
    width, height = _cell(next(iter(pictures.values())).size)
    size = (_SIDE + len(scores) * (width + _GAP) + _GAP, _HEAD + len(prompts) * (height + _GAP) + _GAP)
    sheet = PIL.Image.new("RGB", size, _PAPER)
    draw = PIL.ImageDraw.Draw(sheet)
    large, small = PIL.ImageFont.load_default(13), PIL.ImageFont.load_default(11)
    for column, score in enumerate(scores):
        x = _SIDE + _GAP + column * (width + _GAP)
        colour = _BEST if score.step == best else _INK
        title = "no LoRA" if score.step == 0 else f"step {score.step}"
        draw.text((x + width / 2, 4), title, colour, large, "ma")
        draw.text((x + width / 2, 20), f"RecScore {score.recscore:.2f}", colour if score.step == best else _SOFT, small, "ma")
        for row, prompt in enumerate(prompts):
            y = _HEAD + row * (height + _GAP)
            picture = pictures[score.step, prompt]
            sheet.paste(picture.resize((width, height), PIL.Image.Resampling.LANCZOS), (x, y))
        if score.step == best:
            draw.rectangle((x - 3, _HEAD - 3, x + width + 2, size[1] - 2 * _GAP + 2), outline=_BEST, width=2)
    for row, prompt in enumerate(prompts):
        y = _HEAD + row * (height + _GAP) + height / 2
        draw.multiline_text((8, y), _broken(prompt, small), _INK, small, "lm", spacing=2)
    return png_bytes(sheet)


def score_curve(
    scores: Sequence[StepScore], base: StepScore, marks: Sequence[StepMarks], best: int, likenesses: Mapping[int, Likeness]
) -> bytes:
    """PNG: RecScore, fidelity, control and own pictures by step, the base model's RecScore as a dashed line, the best step.

    The likeness of text and picture too, where it was asked.
    """
    by_step = {each.step: each.judged() for each in marks}
    with mpl.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(8.4, 3.4), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        steps = [score.step for score in scores]
        axes.axvline(best, lw=6, color="#d6486c", alpha=0.25, label=f"best: step {best}")
        axes.plot(steps, [score.recscore for score in scores], "o-", color="#3b6ea5", label="RecScore")
        axes.axhline(base.recscore, ls="--", color="#787884", label=f"RecScore of the base model, {base.recscore:.2f}")
        axes.plot(steps, [by_step[step].fidelity for step in steps], "s-", color="#d6486c", label="fidelity")
        axes.plot(steps, [by_step[step].control for step in steps], "^-", color="#4f9d69", label="control")
        axes.plot(steps, [by_step[step].own for step in steps], "v-", color="#e0a030", label="own pictures")
        texts = [(step, text) for step in steps if (text := likenesses[step].text) is not None]
        if texts:
            axes.plot(*zip(*texts, strict=True), ".:", color="#8a63b8", label="likeness of text and picture")
        axes.set(xlabel="step", ylabel="0..1", ylim=(-0.04, 1.06))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)
        buffer = io.BytesIO()
        # The default metadata names matplotlib's version; the same scores should give the same bytes for longer.
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _cell(size: tuple[int, int]) -> tuple[int, int]:
    scale = 1.0
    if max(size) > _LARGEST:
        scale = _LARGEST / max(size)
    elif min(size) < _SMALLEST:
        scale = -(-_SMALLEST // min(size))
    return round(size[0] * scale), round(size[1] * scale)


def _broken(text: str, font: PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont) -> str:
    """The text in lines that fit the side, broken between words."""
    lines = [""]
    for word in text.replace("_", " ").split():
        joined = f"{lines[-1]} {word}".strip()
        if font.getlength(joined) <= _SIDE - 12 or not lines[-1]:
            lines[-1] = joined
        else:
            lines.append(word)
    return "\n".join(lines)
