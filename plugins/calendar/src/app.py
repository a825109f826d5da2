"""The interface `ics` of `wit/calendar.wit`: values in and out, and errors as words."""

import zones  # First: nothing else may look for zones on its own.

import reading
import writing
from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import ics


def _answer(work):
    try:
        return work()
    except (ValueError, OverflowError) as error:
        raise Err(str(error))
    except MemoryError:
        raise
    except Exception as error:
        raise Err(f"the calendar does not hold: {type(error).__name__}: {error}")


class Ics(exports.Ics):
    def events(self, text, since, until, zone, limit):
        def work():
            events, truncated = reading.events(text, since, until, zones.zone(zone or "UTC"), limit)
            hidden = ("at", "over")
            kept = [{name: value for name, value in event.items() if name not in hidden} for event in events]
            return ics.Found([ics.Event(**event) for event in kept], truncated)

        return _answer(work)

    def create(self, events, name):
        return _answer(lambda: writing.create(events, name, zones.zone))


def _warm():
    """Runs once while the component is built: what is imported late is imported now."""
    made = writing.create(
        [ics.NewEvent("warm", "2026-03-01T09:00:00", None, "Europe/Berlin", "d", "l", "FREQ=WEEKLY;BYDAY=MO;COUNT=3", None)], "n", zones.zone
    )
    reading.events(made, "2026-01-01", "2026-12-31", zones.zone("Europe/Berlin"), None)


_warm()
