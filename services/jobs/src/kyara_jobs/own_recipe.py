"""A recipe of the user's own: one YAML, checked before anything is done with it.

It may hold everything, or `extends` a shipped recipe and change what is written.
"""

from typing import Any

import yaml
from pydantic import ValidationError

from kyara_jobs.recipe import Recipe, UnknownRecipe, merged, shipped, whole

MOST_BYTES = 64 * 1024
MOST_ERRORS = 5


class BadRecipe(ValueError):
    """The YAML is no recipe; the message names the fields and says what they must be."""


class _Plain(yaml.SafeLoader):
    """YAML without aliases: a few lines of those can stand for gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise BadRecipe(f"line {self.peek_event().start_mark.line + 1}: a recipe has no aliases (*name); write it out")
        return super().compose_node(parent, index)


def own_recipe(name: str, text: str) -> Recipe:
    """The recipe that `text` describes, called `name`. Raises BadRecipe."""
    if len(text.encode()) > MOST_BYTES:
        raise BadRecipe(f"it has more than {MOST_BYTES // 1024} KiB; a recipe is a page")
    written = _mapping(text)
    base = written.pop("extends", None)
    try:
        # Shipped recipes alone: one of the same name as the file is another one.
        below = whole(str(base), shipped()) if base else {}
        return Recipe.model_validate({**merged(below, written), "name": name})
    except UnknownRecipe as error:
        raise BadRecipe(f"extends: {error}") from error
    except ValidationError as error:
        raise BadRecipe(_told(error)) from error


def _mapping(text: str) -> dict[str, Any]:
    try:
        written = yaml.load(text, _Plain)
    except yaml.YAMLError as error:
        raise BadRecipe(f"it is no YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise BadRecipe("it is nested too deeply for a recipe") from error
    if not isinstance(written, dict):
        raise BadRecipe("it must be sections such as `training:`, with keys and values below them")
    return {str(key): value for key, value in written.items() if key != "name"}


def _told(error: ValidationError) -> str:
    """The first errors as `training.batch_size: Input should be greater than 0 (it is -1)`."""
    found = error.errors(include_url=False)
    lines = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}{_given(each)}" for each in found[:MOST_ERRORS]]
    if len(found) > MOST_ERRORS:
        lines.append(f"and {len(found) - MOST_ERRORS} more")
    return "; ".join(lines)


def _given(error: Any) -> str:
    given = error.get("input")
    return "" if isinstance(given, dict) or error["type"] == "missing" else f" (it is {str(given)[:60]})"
