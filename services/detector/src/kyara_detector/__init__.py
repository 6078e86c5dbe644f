"""The stage `detector`: where in each image a figure, its upper half, its head and its face are."""
