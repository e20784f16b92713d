"""Pictures that `log_image` takes, by Pillow."""

from __future__ import annotations

from typing import Any

from registry_nb.errors import Invalid, LibraryMissing, RegistryWarning, warn

#: The longer side of the small copy of a picture in a series.
_SMALL = 256


def picture(image: Any) -> Any:
    """Return an array, or a picture of Pillow's, as the latter."""
    import numpy as np

    try:
        from PIL import Image
    except ImportError as error:
        raise LibraryMissing("log_image() needs the package Pillow; pip install pillow") from error
    if isinstance(image, Image.Image):
        return image
    if not isinstance(image, np.ndarray):
        raise Invalid(f"log_image() takes a numpy array or a picture of Pillow's, not {type(image).__name__}")
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.dtype.kind not in "biuf" or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in {3, 4})):
        raise Invalid(
            f"a picture is an array of numbers, height by width, with 1, 3 or 4 channels; "
            f"this one is {image.dtype} of shape {image.shape}"
        )
    return Image.fromarray(_bytes(image))


def small(image: Any) -> Any:
    """Return a copy whose longer side has 256 pixels."""
    width, height = image.size
    scale = _SMALL / max(width, height)
    return image.resize((max(1, int(width * scale)), max(1, int(height * scale))))


def _bytes(image: Any) -> Any:
    """Return numbers as bytes: whole ones from 0 to 255 as they are, others from 0 to 1."""
    import numpy as np

    if image.size == 0:
        raise Invalid(f"a picture has pixels, and an array of shape {image.shape} has none")
    if image.dtype.kind in "iu":
        if image.min() < 0 or image.max() > 255:
            raise Invalid(f"whole numbers in a picture are from 0 to 255, not from {image.min()} to {image.max()}")
        return image.astype(np.uint8)
    low, high = image.min(), image.max()
    if low < 0 or high > 1:
        warn(RegistryWarning, f"floats in a picture are from 0 to 1; those from {low} to {high} were scaled")
        image = (image - low) / ((high - low) or 1)
    return (image * 255).astype(np.uint8)
