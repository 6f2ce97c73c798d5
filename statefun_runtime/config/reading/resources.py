"""Files that a module names: certificates, keys, and what is kept out of the module itself."""

import os.path

from statefun_runtime.config.problems import Code
from statefun_runtime.config.reading.fields import Fields
from statefun_runtime.config.reading.locations import local_path
from statefun_runtime.config.yaml.positions import Scalar

_CLASS_PATH = "classpath:"


def resource(fields: Fields, name: str) -> str | None:
    """Return the path that a field names, if it is there."""
    scalar = fields.scalar(name)
    return None if scalar is None else resource_path(fields, name, scalar)


def resource_path(fields: Fields, name: str, scalar: Scalar) -> str | None:
    """Return the path of a location: `classpath:x` is a file beside the module, all else a path or a `file:` URL.

    A module's folder is what StateFun puts on the class path, and so it holds what a module brings along.
    """
    location = scalar.text
    if location.startswith(_CLASS_PATH):
        folder = os.path.dirname(fields.draft.source.file)
        return os.path.join(folder, location.removeprefix(_CLASS_PATH).lstrip("/"))
    try:
        return local_path(location)
    except ValueError as error:
        message = f"{name!r} {location!r} cannot be read: {error}"
        hint = "give a path, a file: URL, or classpath:NAME for a file beside the module"
        fields.draft.error(scalar.place, Code.BAD_LOCATION, message, hint)
        return None
