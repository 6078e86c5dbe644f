"""The curator: clean crops of single persons out of frames, and a character's dataset out of crops."""
