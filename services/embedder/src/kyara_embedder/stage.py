"""The stage `embedder`: input `images`, output `vectors`, a safetensors file.

It holds `features` [n, 768] float32, `clothes` [n, 405] float32 (see `clothes`) and, as JSON in its metadata, `names`:
the image that each row is of.
"""

import json

import numpy as np
from safetensors.numpy import save

from kyara.embedder.v1.embedder_pb2 import EmbedParams
from kyara_artifacts import ImageSet, ref
from kyara_embedder.clothes import CLOTHES, clothes
from kyara_embedder.settings import EmbedderSettings
from kyara_inference import Inference, catalogue, digests_of, embed
from kyara_inference.ccip import FEATURES
from kyara_inference.staging import pictures_of, stage_errors
from kyara_stage import Inputs, Operation, Outputs, StageContext


async def run(ctx: StageContext[EmbedderSettings], params: EmbedParams, inputs: Inputs) -> Outputs:
    """Embed every image, in the order of the set."""
    images = ImageSet.load(ctx.store, inputs["images"])
    names: list[str] = []
    rows, worn = [np.empty((0, FEATURES), np.float32)], [np.empty((0, CLOTHES), np.float32)]
    with stage_errors(), Inference(ctx.settings.inference) as inference:
        catalogue().ccip(params.model)
        for chunk in pictures_of(ctx, images.images, "embedding"):
            rows.append(embed(inference, params.model, [picture for _, picture in chunk]))
            worn.append(np.stack([clothes(picture, image.boxes) for image, picture in chunk]))
            names += [image.name for image, _ in chunk]
    # One key only: safetensors writes several in no fixed order, and the same input must give the same bytes.
    tensors = {"features": np.concatenate(rows), "clothes": np.concatenate(worn)}
    vectors = save(tensors, metadata={"names": json.dumps(names)})
    return {"vectors": ref("vectors", ctx.store.put(vectors), "application/vnd.safetensors")}


OPERATIONS = (Operation(name="embedder", version=2, params=EmbedParams, run=run, models=digests_of),)
