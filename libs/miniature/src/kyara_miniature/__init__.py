"""The miniature world: a procedural anime cast with ground truth for everything that Kyara looks for in pictures."""
