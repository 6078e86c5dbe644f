"""Artifacts: blobs named by their SHA-256, the manifests over them, and the store that keeps both."""

from kyara_artifacts.ages import Kept
from kyara_artifacts.boxes import Corners, covered, overlap
from kyara_artifacts.digests import canonical_json, digest_of, digest_of_file
from kyara_artifacts.manifests import Box, File, FileSet, Image, ImageSet, blobs_of, get_json, put_json, ref
from kyara_artifacts.parallel import side_by_side
from kyara_artifacts.pictures import BadPicture, contact_sheet, put_picture, read_picture
from kyara_artifacts.png import png_bytes
from kyara_artifacts.scale import scale_of
from kyara_artifacts.store import BlobCorrupt, BlobMissing, Store, StoreError, StoreFull, open_store

__all__ = [
    "BadPicture",
    "BlobCorrupt",
    "BlobMissing",
    "Box",
    "Corners",
    "File",
    "FileSet",
    "Image",
    "ImageSet",
    "Kept",
    "Store",
    "StoreError",
    "StoreFull",
    "blobs_of",
    "canonical_json",
    "contact_sheet",
    "covered",
    "digest_of",
    "digest_of_file",
    "get_json",
    "open_store",
    "overlap",
    "png_bytes",
    "put_json",
    "put_picture",
    "read_picture",
    "ref",
    "scale_of",
    "side_by_side",
]
