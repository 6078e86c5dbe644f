"""What a LoRA file says about itself, in the words of kohya-ss/sd-scripts (`ss_*`) and of ModelSpec 1.0.0."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence

from kyara.trainer.v1.trainer_pb2 import TrainParams
from kyara_trainer.buckets import Bucket
from kyara_trainer.captions import Caption
from kyara_trainer.model import BaseModel
from kyara_trainer.schedule import DataOrder

OPTIMIZERS = {"": "torch.optim.adamw.AdamW", "adamw": "torch.optim.adamw.AdamW", "adamw8bit": "bitsandbytes.optim.AdamW8bit"}


def metadata(
    params: TrainParams,
    base: BaseModel,
    step: int,
    order: DataOrder,
    buckets: Sequence[Bucket],
    captions: Iterable[Caption],
    validation_loss: float | None,
) -> dict[str, str]:
    """The header of a save at `step`. Every value is a string, as the format demands; none is a time of day."""
    counts = Counter(tag for caption in captions for tag in (caption.trigger, *caption.tags) if tag)
    sizes = {str(n): {"resolution": [b.width, b.height], "count": len(b.members)} for n, b in enumerate(buckets)}
    images = sum(len(bucket.members) for bucket in buckets)
    training = {
        "network_module": "networks.lora",
        "network_dim": params.unet.rank or params.text_encoder.rank,
        "network_alpha": params.unet.alpha if params.unet.rank else params.text_encoder.alpha,
        "network_args": _json(_network_args(params)),
        "base_model_version": base.version,
        "sd_model_name": params.base_model,
        "clip_skip": params.clip_skip or None,
        "resolution": f"({params.resolution}, {params.resolution})",
        "enable_bucket": True,
        "bucket_info": _json({"buckets": sizes}),
        "tag_frequency": _json({params.trigger or "dataset": dict(sorted(counts.items()))}),
        "output_name": params.output_name,
        "num_train_images": images,
        "num_batches_per_epoch": order.batches_per_epoch,
        "gradient_accumulation_steps": max(1, params.gradient_accumulation),
        "total_batch_size": params.batch_size,
        "steps": step,
        "max_train_steps": params.steps,
        "epoch": -(-step // order.batches_per_epoch),
        "unet_lr": params.unet.learning_rate,
        "text_encoder_lr": params.text_encoder.learning_rate,
        "lr_scheduler": "constant_with_warmup" if params.schedule in ("", "constant") else params.schedule,
        "lr_warmup_steps": params.warmup_steps,
        "optimizer": f"{OPTIMIZERS[params.optimizer]}(weight_decay={params.weight_decay})",
        "max_grad_norm": params.max_gradient_norm,
        "caption_tag_dropout_rate": params.tag_dropout,
        "caption_dropout_rate": params.caption_dropout,
        "shuffle_caption": not params.keep_tag_order,
        "noise_offset": params.noise_offset or None,
        "multires_noise_iterations": params.multires_noise_iterations or None,
        "multires_noise_discount": params.multires_noise_discount if params.multires_noise_iterations else None,
        "min_snr_gamma": params.min_snr_gamma or None,
        "validation_loss": validation_loss,
        "gradient_checkpointing": params.gradient_checkpointing,
        "mixed_precision": "no" if params.precision in ("", "fp32") else params.precision,
        "seed": params.seed,
    }
    model_spec = {
        "sai_model_spec": "1.0.0",
        "architecture": f"{base.architecture}/lora",
        "implementation": "https://github.com/Stability-AI/generative-models",
        "title": params.output_name or params.trigger,
        "resolution": f"{params.resolution}x{params.resolution}",
        "trigger_phrase": params.trigger,
        "encoder_layer": max(1, params.clip_skip),
    }
    return {f"ss_{name}": str(value) for name, value in training.items()} | {
        f"modelspec.{name}": str(value) for name, value in model_spec.items()
    }


def _network_args(params: TrainParams) -> dict[str, object]:
    args: dict[str, object] = {"text_encoder_dim": params.text_encoder.rank, "text_encoder_alpha": params.text_encoder.alpha}
    if params.adapter == "locon":
        args |= {"conv_dim": params.unet.conv_rank, "conv_alpha": params.unet.conv_alpha}
    if params.adapter == "dora":
        args |= {"dora_wd": True}
    for part, adapter in (("unet", params.unet), ("text_encoder", params.text_encoder)):
        if adapter.modules:
            args[f"{part}_modules"] = list(adapter.modules)
    return args


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
