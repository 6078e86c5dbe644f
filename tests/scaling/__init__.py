"""How Kyara scales: runs on a Ray cluster whose nodes come and go, and the arithmetic to a thousand graphics cards."""
