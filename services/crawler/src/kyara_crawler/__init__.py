"""The crawler: a character's pictures to an image set."""
