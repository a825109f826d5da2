"""Events of a span of time. Owns the span, the bounds and which zone a time is
read in; what a rule means is icalendar's, dateutil's and recurring_ical_events'."""

from datetime import date, datetime, time, timedelta, timezone

import icalendar
import recurring_ical_events

MOST_DAYS = 3 * 366
USUAL_EVENTS = 100
MOST_EVENTS = 1000
# How much is expanded before it is counted.
STRIDE = timedelta(days=31)
# Zones are at most 14 hours from UTC.
MARGIN = timedelta(days=1)
TOO_FINE = ("SECONDLY", "MINUTELY")


def moment(text, zone, name):
    """A time of RFC 3339, or a date at its midnight in a zone."""
    try:
        if len(text) == 10:
            return datetime.combine(date.fromisoformat(text), time(), zone)
        read = datetime.fromisoformat(text)
    except ValueError:
        read = None
    if read is None or read.tzinfo is None:
        raise ValueError(f"`{name}` should be RFC 3339 or a date, such as 2026-03-29T00:00:00Z or 2026-03-29")
    return read


def events(text, since, until, zone, limit):
    """The events as dictionaries in the order of their starts, and whether there are more."""
    limit = USUAL_EVENTS if limit is None else limit
    if not 1 <= limit <= MOST_EVENTS:
        raise ValueError(f"`limit` is {limit}: expected 1 to {MOST_EVENTS}")
    since, until = moment(since, zone, "since"), moment(until, zone, "until")
    if not timedelta(0) < until - since <= timedelta(days=MOST_DAYS):
        raise ValueError(f"`until` should lie behind `since`, by at most {MOST_DAYS} days")
    calendar = _calendar(text)
    series = _series(calendar)
    query = recurring_ical_events.of(calendar)
    found, seen, at = [], set(), since
    while at < until:
        end = min(at + STRIDE, until)
        # Times without a zone are none of UTC's: what the margin brings is sorted out below.
        for component in query.between(_utc(at) - MARGIN, _utc(end) + MARGIN):
            event = _event(component, zone, series)
            key = (event["uid"], event["at"], event["title"])
            if key not in seen and _overlaps(event, at, end):
                seen.add(key)
                found.append(event)
        if len(found) > limit and max(event["at"] for event in sorted(found, key=_order)[: limit + 1]) < end:
            break
        at = end
    found.sort(key=_order)
    return found[:limit], len(found) > limit


def _utc(at):
    return at.astimezone(timezone.utc)


def _order(event):
    return (event["at"], event["over"], event["title"] or "", event["uid"] or "")


def _calendar(text):
    try:
        # As bytes: a text would be taken for the path of a file first.
        calendar = icalendar.Calendar.from_ical(text.encode())
    except Exception as error:
        raise ValueError(f"it is no calendar that can be read: {error}") from None
    if calendar.name != "VCALENDAR":
        raise ValueError("it is no calendar that can be read: there is no VCALENDAR")
    for component in calendar.walk("VEVENT"):
        if "DTSTART" not in component:
            raise ValueError("it is no calendar that can be read: an event has no start")
        rules = component.get("RRULE", [])
        for rule in rules if isinstance(rules, list) else [rules]:
            if any(str(freq).upper() in TOO_FINE for freq in rule.get("FREQ", [])):
                raise ValueError("an event recurs more often than hourly, which is not expanded")
    return calendar


def _series(calendar):
    """What tells recurring events from others: expanded, all look alike."""
    marks = ("RRULE", "RDATE", "RECURRENCE-ID")
    return {str(event.get("UID")) for event in calendar.walk("VEVENT") if any(mark in event for mark in marks)}


def _event(component, zone, series):
    start = component["DTSTART"].dt
    whole_days = not isinstance(start, datetime)
    end = component["DTEND"].dt if "DTEND" in component else None
    if end is None:
        length = component["DURATION"].dt if "DURATION" in component else timedelta(days=1 if whole_days else 0)
        end = start + length
    text = lambda name: str(component[name]) if name in component else None
    return {
        "uid": text("UID"),
        "title": text("SUMMARY"),
        "description": text("DESCRIPTION"),
        "location": text("LOCATION"),
        "starts": _shown(start, zone),
        "ends": _shown(end, zone),
        "all_day": whole_days,
        "recurring": text("UID") in series,
        "status": text("STATUS"),
        "at": _placed(start, zone),
        "over": _placed(end, zone),
    }


def _placed(at, zone):
    """A time as a moment: a date is its midnight, and what has no zone is in the asked one."""
    if not isinstance(at, datetime):
        return datetime.combine(at, time(), zone).astimezone(timezone.utc)
    return (at.replace(tzinfo=zone) if at.tzinfo is None else at).astimezone(timezone.utc)


def _shown(at, zone):
    if not isinstance(at, datetime):
        return at.isoformat()
    return _placed(at, zone).astimezone(zone).isoformat()


def _overlaps(event, since, until):
    at, over = event["at"], event["over"]
    # An event without length is where it starts.
    return at < until and (over > since or at == over == since or at >= since)
