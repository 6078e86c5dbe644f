"""Which models a stage's params ask for."""

from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from kyara_inference.catalogue import catalogue


def digests_of(params: Message) -> dict[str, str]:
    """Digest by name of every model that `params` name. A model that is not pinned has none, and is left out.

    Raises UnknownModel.
    """
    digests = {name: catalogue()[name].digest for name in models_named(params)}
    return {name: digest for name, digest in digests.items() if digest}


def models_named(params: Message) -> Iterator[str]:
    """The values of all string fields called `model` or `{something}_model`, at any depth."""
    for field, value in params.ListFields():
        values = value if field.is_repeated else [value]
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for message in values:
                yield from models_named(message)
        elif field.name == "model" or field.name.endswith("_model"):
            yield from values
