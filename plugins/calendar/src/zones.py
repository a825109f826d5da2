"""Time zones without a file system: all of them are read when the component is
built, and lie in its memory as they came."""

import importlib.resources
import io
import zoneinfo
import zoneinfo._common


def _all():
    root = importlib.resources.files("tzdata")
    names = root.joinpath("zones").read_text().split()
    return {name: root.joinpath("zoneinfo", *name.split("/")).read_bytes() for name in names}


_ZONES = _all()


def _load(key):
    if key not in _ZONES:
        raise zoneinfo.ZoneInfoNotFoundError(f"no time zone {key}")
    return io.BytesIO(_ZONES[key])


# No folder is looked into when a zone is asked for.
zoneinfo.reset_tzpath(to=())
zoneinfo._common.load_tzdata = _load


def zone(name):
    """A zone by its name, which is one of the IANA database."""
    if name not in _ZONES:
        raise ValueError(f"`{name}` is no time zone: expected a name such as Europe/Berlin")
    return zoneinfo.ZoneInfo(name)
