"""LoRA saves to previews, scores, and the best step."""
