"""How sites may spell a character's name."""

import re


def spellings(name: str, written: str = "underscores") -> list[str]:
    """Tags that a name may have, the likeliest first: `Hatsune Miku` is `hatsune_miku` here and `miku_hatsune` there.

    Sites that write tags in words have them as `Hatsune Miku`.
    """
    plain = re.sub(r"\s+", "_", name.strip().lower())
    core, _, series = plain.partition("_(")
    names = [core, *(_swapped(core))]
    with_series = [f"{each}_({series}" for each in names] if series else []
    known = [*with_series, *names]
    forms = dict.fromkeys(form for each in known for form in (each, each.replace("'", ""), each.replace("-", "_")))
    return [form.replace("_", " ").title() for form in forms] if written == "words" else list(forms)


def _swapped(name: str) -> list[str]:
    """Family name and given name the other way round, where there are two names."""
    first, _, second = name.partition("_")
    return [f"{second}_{first}"] if second and "_" not in second else []
