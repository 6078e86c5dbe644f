"""Names that users give: what makes them usable as a prompt's word and a file's name."""

from collections.abc import Collection, Mapping

from kyara_jobs.failures import failure
from kyara_jobs.params import slug

LONGEST_NAME = 60


def flaw(name: str) -> str | None:
    """What is wrong with a name, and what to do; None when nothing is."""
    if not slug(name):
        return f"name {name!r} has no letter or digit; give one that has"
    if len(name) > LONGEST_NAME:
        return f"name {name[:20]!r}... is longer than {LONGEST_NAME} characters; shorten it"
    return None


def check_names(names: Mapping[int, str], indexes: Collection[int]) -> None:
    """Raises ApplicationError INVALID_ARGUMENT unless `names` name some of the characters at `indexes`, each differently."""
    known = ", ".join(map(str, sorted(indexes)))
    if not names:
        raise failure("INVALID_ARGUMENT", f"no names: give at least one of the indexes {known} a name")
    taken: dict[str, int] = {}
    for index, name in sorted(names.items()):
        if index not in indexes:
            raise failure("INVALID_ARGUMENT", f"there is no character with index {index}; indexes are {known}")
        if why := flaw(name):
            raise failure("INVALID_ARGUMENT", f"index {index}: {why}")
        if (word := slug(name)) in taken:
            raise failure("INVALID_ARGUMENT", f"indexes {taken[word]} and {index} both get the name {word!r}; they need two")
        taken[word] = index
