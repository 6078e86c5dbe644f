"""Dataset to LoRA saves: the training itself, and the stage that has it run on Ray."""
