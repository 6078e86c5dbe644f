"""The words that the published process has for the size of a dataset."""

# Upper ends in pictures.
_SCALES = ((5, "few-shot"), (20, "tiny"), (60, "small"), (150, "medium"), (350, "large"))


def scale_of(pictures: int) -> str:
    """The word for a dataset of so many pictures."""
    return next((word for most, word in _SCALES if pictures <= most), "massive")
