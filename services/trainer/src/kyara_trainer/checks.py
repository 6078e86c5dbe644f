"""What is asked of a run, checked before anything is done."""

from kyara.trainer.v1.trainer_pb2 import AdapterParams, TrainParams
from kyara_stage import StageError

POSITIVE = ("steps", "saves", "batch_size", "resolution", "buckets", "bucket_step")
NOT_NEGATIVE = (
    "warmup_steps", "weight_decay", "noise_offset", "multires_noise_iterations", "min_snr_gamma", "gradient_accumulation",
    "stop_after",
)  # fmt: skip
BELOW_ONE = ("tag_dropout", "caption_dropout", "validation_share")
WORDS = {
    "adapter": ("lora", "locon", "dora"),
    "precision": ("fp32", "fp16", "bf16"),
    "optimizer": ("adamw", "adamw8bit"),
    "schedule": ("constant", "cosine", "linear"),
}


def check(params: TrainParams) -> None:
    """Raise StageError for params that no training can be done with."""
    for name in POSITIVE:
        if getattr(params, name) < 1:
            raise _wrong(params, name, "it must be at least 1")
    for name in NOT_NEGATIVE:
        if not getattr(params, name) >= 0:
            raise _wrong(params, name, "it must not be negative")
    for name in BELOW_ONE:
        if not 0 <= getattr(params, name) < 1:
            raise _wrong(params, name, "it must be in 0..1, below 1")
    for name, known in WORDS.items():
        if getattr(params, name) not in ("", *known):
            raise StageError.invalid(f"trainer: {name} {getattr(params, name)!r} is unknown; use {', '.join(known)}")
    if params.unet.rank < 1 and params.text_encoder.rank < 1:
        raise StageError.invalid("trainer: unet.rank and text_encoder.rank are both 0, so there is nothing to train; set one")
    if params.unet.conv_rank and params.adapter != "locon":
        raise StageError.invalid(f"trainer: unet.conv_rank is {params.unet.conv_rank}, which only the adapter locon uses; set it")
    for name, adapter in (("unet", params.unet), ("text_encoder", params.text_encoder)):
        _check_adapter(name, adapter)
    if params.multires_noise_iterations and not 0 < params.multires_noise_discount <= 1:
        raise _wrong(params, "multires_noise_discount", "it must be above 0, and at most 1")
    if params.pivotal.words < 0 or (params.pivotal.words and not params.pivotal.learning_rate > 0):
        given = f"{params.pivotal.words} words and learning_rate {params.pivotal.learning_rate}"
        raise StageError.invalid(f"trainer: pivotal has {given}; neither may be below 0, and words need a rate")


def _check_adapter(name: str, adapter: AdapterParams) -> None:
    if adapter.rank > 0 and not (adapter.alpha > 0 and adapter.learning_rate > 0):
        given = f"alpha {adapter.alpha} and learning_rate {adapter.learning_rate}"
        raise StageError.invalid(f"trainer: {name} has a rank but {given}; both must be above 0")
    if not all(adapter.modules):
        raise StageError.invalid(f"trainer: {name}.modules has an empty name, which would be every module's ending; leave it out")
    if adapter.conv_rank > 0 and not adapter.conv_alpha > 0:
        raise StageError.invalid(f"trainer: {name} has a conv_rank but conv_alpha {adapter.conv_alpha}; it must be above 0")


def _wrong(params: TrainParams, name: str, rule: str) -> StageError:
    return StageError.invalid(f"trainer: {name} is {getattr(params, name)}; {rule}")
