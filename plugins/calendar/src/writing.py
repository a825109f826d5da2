"""Calendars that are written."""

import hashlib
from datetime import date, datetime, timedelta, timezone

import icalendar
from dateutil.rrule import rrulestr

MOST_EVENTS = 1000


def create(events, name, zone_of):
    """The text of a calendar; `zone_of` finds a zone by its name."""
    if not 1 <= len(events) <= MOST_EVENTS:
        raise ValueError(f"there are {len(events)} events: expected 1 to {MOST_EVENTS}")
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//Wardroom//calendar//EN")
    calendar.add("version", "2.0")
    if name is not None:
        calendar.add("x-wr-calname", name)
    for place, event in enumerate(events):
        try:
            calendar.add_component(_event(event, zone_of))
        except ValueError as error:
            raise ValueError(f"events[{place}]: {error}") from None
    calendar.add_missing_timezones()
    return calendar.to_ical().decode()


def _event(event, zone_of):
    zone = zone_of(event.zone) if event.zone is not None else None
    start = _time(event.starts, zone, "starts")
    whole_days = not isinstance(start, datetime)
    usual = start + (timedelta(days=1) if whole_days else timedelta(hours=1))
    end = usual if event.ends is None else _time(event.ends, zone, "ends")
    if isinstance(end, datetime) == whole_days:
        raise ValueError("`starts` and `ends` should both be dates, or both be times")
    if end <= start:
        raise ValueError("`ends` should lie behind `starts`")
    made = icalendar.Event()
    derived = hashlib.sha256(f"{event.title}\0{event.starts}".encode()).hexdigest()[:32] + "@wardroom"
    made.add("uid", derived if event.uid is None else event.uid)
    made.add("dtstamp", datetime.now(timezone.utc))
    made.add("summary", event.title)
    made.add("dtstart", start)
    made.add("dtend", end)
    if event.description is not None:
        made.add("description", event.description)
    if event.location is not None:
        made.add("location", event.location)
    if event.rule is not None:
        made.add("rrule", _rule(event.rule, start))
    return made


def _time(text, zone, name):
    try:
        if len(text) == 10:
            return date.fromisoformat(text)
        read = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"`{name}` should be a time or a date, such as 2026-03-29T09:00:00 or 2026-03-29") from None
    if read.tzinfo is not None:
        return read.astimezone(zone or timezone.utc)
    read = read.replace(tzinfo=zone or timezone.utc)
    if read.astimezone(timezone.utc).astimezone(read.tzinfo).replace(tzinfo=None) != read.replace(tzinfo=None):
        raise ValueError(f"`{name}` is skipped by the clocks of {zone}: they go forward then")
    return read


def _rule(text, start):
    if any(letter in text for letter in "\r\n:"):
        raise ValueError("`rule` should be one rule, such as FREQ=WEEKLY;COUNT=10")
    try:
        # Read twice: what one of them takes for a rule may be none to other calendars.
        rrulestr(text, dtstart=datetime(start.year, start.month, start.day), ignoretz=True)
        return icalendar.vRecur.from_ical(text)
    except Exception as error:
        raise ValueError(f"`rule` does not hold: {error}") from None
