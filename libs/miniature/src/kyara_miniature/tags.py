"""The tag vocabulary of the miniature world: danbooru general words, in a fixed order."""

COUNT_TAGS = ("1girl", "1boy", "solo", "multiple_girls")
HAIR_COLOR_TAGS = (
    "black_hair", "brown_hair", "blonde_hair", "red_hair", "pink_hair", "orange_hair",
    "green_hair", "aqua_hair", "blue_hair", "purple_hair", "white_hair",
)  # fmt: skip
HAIR_TAGS = (
    "long_hair", "short_hair", "twintails", "ponytail", "braid", "blunt_bangs", "wavy_hair", "curly_hair",
    "drill_hair", "hair_bun", "spiked_hair", "ahoge",
)  # fmt: skip
EYE_TAGS = (
    "blue_eyes", "red_eyes", "green_eyes", "brown_eyes", "purple_eyes", "yellow_eyes", "pink_eyes", "aqua_eyes",
)  # fmt: skip
ACCESSORY_TAGS = (
    "horns", "halo", "witch_hat", "beret", "animal_ears", "glasses", "eyepatch", "hair_bow", "hairclip", "hairband",
)  # fmt: skip
OUTFIT_TAGS = (
    "school_uniform", "serafuku", "blazer", "maid", "miko", "kimono", "hoodie", "suit", "dress", "armor", "coat",
    "sweater", "apron", "necktie", "pleated_skirt",
)  # fmt: skip
EXPRESSION_TAGS = ("smile", "closed_eyes", "open_mouth", "frown", "blush", "one_eye_closed")
POSE_TAGS = ("arms_up", "waving", "hand_on_hip", "arms_behind_back", "outstretched_arms", "own_hands_together")
FRAMING_TAGS = ("portrait", "upper_body", "cowboy_shot", "full_body")
BACKGROUND_TAGS = (
    "simple_background", "white_background", "gradient_background", "outdoors", "indoors", "night", "sky",
)  # fmt: skip

TAGS: tuple[str, ...] = (
    *COUNT_TAGS,
    *HAIR_COLOR_TAGS,
    *HAIR_TAGS,
    *EYE_TAGS,
    *ACCESSORY_TAGS,
    *OUTFIT_TAGS,
    *EXPRESSION_TAGS,
    *POSE_TAGS,
    *FRAMING_TAGS,
    *BACKGROUND_TAGS,
)
"""Every word that a picture of this world can carry."""
