"""What danbooru's tag words are about: which name a body trait, and which can never be a character's own.

Data, matched on whole words of a tag (`long_hair` is `long` + `hair`), so that it holds for any tagger's vocabulary.
"""

_TRAITS = """
hair eyes eye bangs twintails ponytail braid braids ahoge sidelocks drill bun buns hairband heterochromia pupils
eyebrows horns horn halo ears ear tail tails wings wing fangs fang mole freckles scar skin eyepatch glasses
breasts elf beard mustache tattoo
"""

_MOMENTS = """
1girl 1boy 2girls 3girls 4girls 2boys 3boys multiple solo girls boys background looking viewer smile grin frown
blush closed open portrait body cowboy upper focus from standing sitting lying arms arm hand hands outdoors indoors
night day sky sunset cloud clouds tears crying sweat sweatdrop waving outstretched holding simple gradient parted
lips teeth tongue expressionless blurry screencap watermark signature text
"""

TRAIT_WORDS = frozenset(_TRAITS.split())
"""A tag names a body trait when one of its words is here."""

MOMENT_WORDS = frozenset(_MOMENTS.split())
"""A tag with one of these words is about the picture, the moment or the pose, whatever the character."""
