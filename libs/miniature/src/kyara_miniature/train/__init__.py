"""How the miniature models are made: drawing the training data, training, measuring, exporting.

Nothing here is needed to use the models. The modules named `*_quality` measure a finished ONNX file with
numpy and onnxruntime alone, so that the tests need no torch; the others need the `[train]` extra.
"""
