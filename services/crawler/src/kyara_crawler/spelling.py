"""How sites may spell a character's name."""

import re


def spellings(name: str) -> list[str]:
    """Tags that a name may have, the likeliest first: `Hatsune Miku` is `hatsune_miku` here and `miku_hatsune` there."""
    plain = re.sub(r"\s+", "_", name.strip().lower())
    core, _, series = plain.partition("_(")
    names = [core, *(_swapped(core))]
    with_series = [f"{each}_({series}" for each in names] if series else []
    known = [*with_series, *names]
    return list(dict.fromkeys(form for each in known for form in (each, each.replace("'", ""), each.replace("-", "_"))))


def _swapped(name: str) -> list[str]:
    """Family name and given name the other way round, where there are two names."""
    first, _, second = name.partition("_")
    return [f"{second}_{first}"] if second and "_" not in second else []
