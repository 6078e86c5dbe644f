"""The stage `embedder`: a vector for each crop that says who it shows."""
