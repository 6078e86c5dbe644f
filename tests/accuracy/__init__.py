"""Accuracy: whole rooms measured against the miniature world's ground truth."""
