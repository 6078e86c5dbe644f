"""Names that users give to indexes: what makes them usable as a prompt's word and a file's name, and whom they name."""

import unicodedata
from collections.abc import Collection, Iterable, Mapping

from kyara_jobs.failures import failure
from kyara_jobs.params import slug

LONGEST_NAME = 60
DROP = "drop"
"""The word that stands in a name's place when an index is to be left out."""


def flaw(name: str) -> str | None:
    """What is wrong with a name, and what to do; None when nothing is."""
    # A name is shown in terminals and written into files: line ends and escape codes would say what they like there.
    if any(unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") for sign in name):
        return f"name {name!r} holds a line end or a control character; give one without"
    if not slug(name):
        return f"name {name!r} has no letter or digit; give one that has"
    if len(name) > LONGEST_NAME:
        return f"name {name[:20]!r}... is longer than {LONGEST_NAME} characters; shorten it"
    return None


def check_names(names: Mapping[int, str], indexes: Collection[int], recognised: Mapping[int, str]) -> None:
    """Raises ApplicationError INVALID_ARGUMENT unless `names` name or drop some of `indexes`, and leave a character to train."""
    known = ", ".join(map(str, sorted(indexes)))
    if not names:
        raise failure("INVALID_ARGUMENT", f"no names: give at least one of the indexes {known} a name")
    for index, name in sorted(names.items()):
        if index not in indexes:
            raise failure("INVALID_ARGUMENT", f"there is no character with index {index}; indexes are {known}")
        if why := flaw(name):
            raise failure("INVALID_ARGUMENT", f"index {index}: {why}")
    if not characters_in(names, indexes, recognised):
        raise failure("INVALID_ARGUMENT", "every index is dropped and nothing is left to train; cancel the job instead")


def is_dropped(name: str) -> bool:
    """Whether this word leaves an index out."""
    return slug(name) == DROP


def characters_in(given: Mapping[int, str], indexes: Iterable[int], recognised: Mapping[int, str]) -> list[list[int]]:
    """The characters to train, each as the indexes that show it.

    A name that a person gave goes before one that was recognised. Indexes of one name are one character; names are the
    same when prompts and files could not tell them apart. When a person named any index, those without a name are left
    out; when nobody did, each of them that is not dropped is a character.
    """
    names = {**recognised, **given}
    kept = [index for index in sorted(indexes) if not is_dropped(names.get(index, ""))]
    nobody_named = not any(index in given for index in kept)
    by_name: dict[str | int, list[int]] = {}
    for index in kept:
        if index in names:
            by_name.setdefault(slug(names[index]), []).append(index)
        elif nobody_named:
            by_name[index] = [index]
    return list(by_name.values())
