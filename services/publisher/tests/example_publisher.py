"""Tiny valid actions for the publisher, for the contract suite."""

import tempfile

from kyara.publisher.v1.publisher_pb2 import PublishDatasetParams, PublishLoraParams, Target
from kyara.stage.v1.stage_pb2 import ArtifactRef
from kyara_artifacts import Store
from services.publisher.tests import publisher_world


def _target() -> Target:
    # The same folder each time: it is in the receipt, and the same action must give the same one.
    return Target(folder=f"{tempfile.gettempdir()}/kyara-example-publisher")


def example_dataset(store: Store) -> tuple[PublishDatasetParams, dict[str, ArtifactRef]]:
    """`publisher.dataset` of two characters to a folder."""
    return PublishDatasetParams(target=_target(), name="show"), publisher_world.clusters(store)


def example_lora(store: Store) -> tuple[PublishLoraParams, dict[str, ArtifactRef]]:
    """`publisher.lora` of two saves to a folder."""
    params = PublishLoraParams(target=_target(), name="hana", trigger="hana", recipe="v1.4", base_model="nai")
    return params, publisher_world.lora(store)


def example_character(store: Store) -> tuple[PublishDatasetParams, dict[str, ArtifactRef]]:
    """`publisher.character` of three pictures to a folder."""
    return PublishDatasetParams(target=_target(), name="hana"), publisher_world.character(store)


EXAMPLES = {"publisher.dataset": example_dataset, "publisher.character": example_character, "publisher.lora": example_lora}
