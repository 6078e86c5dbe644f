"""The stages `curator.clean`, `curator.web` and `curator.package`."""

from kyara.curator.v1.curator_pb2 import CleanParams, PackageParams, WebParams
from kyara_curator import clean_stage, package_stage, web_stage
from kyara_inference import digests_of
from kyara_stage import Operation

OPERATIONS = (
    Operation(name="curator.clean", version=6, params=CleanParams, run=clean_stage.run),
    Operation(name="curator.package", version=4, params=PackageParams, run=package_stage.run, models=digests_of),
    Operation(name="curator.web", version=3, params=WebParams, run=web_stage.run, models=digests_of),
)
